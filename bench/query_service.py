"""The query process of a run, seen from outside: its port, its side door, its memory."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson

SECRET = "a secret of the benchmark, long enough"  # of nothing but processes of the run itself


class QueryProcess:
    """The query process and its side door, and the process that tells it the tenants' rules."""

    def __init__(self, folder: Path, dsn: str, tenant_config_port: int, **settings: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANALYTICS_")} | {
            "ANALYTICS_INTERNAL_SECRET": SECRET,
            "ANALYTICS_DATABASE_URL": dsn,
            "ANALYTICS_WAREHOUSE_URL": f"chdb://{folder / 'warehouse'}",
            "ANALYTICS_QUERY_GRPC_PORT": "0",
            "ANALYTICS_QUERY_ADMIN_PORT": "0",
            "ANALYTICS_REDIS_URL": "redis://127.0.0.1:1",
            "ANALYTICS_ANSWER_CACHE_SECONDS": "0",
            "ANALYTICS_TENANT_CONFIG_ADDRESS": f"127.0.0.1:{tenant_config_port}",
            "ANALYTICS_TENANT_CONFIG_GRPC_PORT": str(tenant_config_port),
            "ANALYTICS_TENANT_CONFIG_ADMIN_PORT": "0",
            "ANALYTICS_DRAIN_DELAY_SECONDS": "0",
            "ANALYTICS_LOG_LEVEL": "error",
            **{f"ANALYTICS_{name.upper()}": value for name, value in settings.items()},
        }
        self._rules = subprocess.Popen([sys.executable, "-m", "obc_tenant_config"], env=environment, stdout=sys.stderr)
        self._query = subprocess.Popen(
            [sys.executable, "-m", "bench.query_process"],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            self.port = int(self._read()["port"])
        except BaseException:
            self.stop()
            raise

    def run(self, *statements: str) -> dict[str, Any]:
        """Runs statements inside the process: `ms`, and `rows` of each."""
        assert self._query.stdin is not None  # a pipe
        self._query.stdin.write(orjson.dumps(statements) + b"\n")
        self._query.stdin.flush()
        return self._read()

    def rss_mb(self) -> tuple[float, float]:
        """Resident memory of the query process: now, and at most since it began or was forgotten."""
        lines = Path(f"/proc/{self._query.pid}/status").read_text().splitlines()
        sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith("Vm")}
        return sizes["VmRSS"], sizes["VmHWM"]

    def forget_peak(self) -> None:
        """From now on `rss_mb` tells the most from here."""
        Path(f"/proc/{self._query.pid}/clear_refs").write_text("5")

    def stop(self) -> None:
        """Ends both processes."""
        self._query.stdin.close()  # type: ignore[union-attr]  # a pipe
        for process in (self._query, self._rules):
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()

    def _read(self) -> dict[str, Any]:
        assert self._query.stdout is not None  # a pipe
        line = self._query.stdout.readline()
        if not line:
            raise RuntimeError("the query process ended")
        answer: dict[str, Any] = orjson.loads(line)
        return answer
