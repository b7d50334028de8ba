"""The whole product as `make run` starts it, on free ports and in a folder of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from obc_dev.servers.ports import free_ports
from obc_dev.state import StateFolder

_READY_TIMEOUT = 90.0
_STOP_TIMEOUT = 60.0
_PORTS = (
    "DEV_POSTGRES_PORT", "DEV_REDIS_PORT", "GATEWAY_PORT", "INGEST_GRPC_PORT", "QUERY_GRPC_PORT",
    "TENANT_CONFIG_GRPC_PORT", "GATEWAY_ADMIN_PORT", "INGEST_ADMIN_PORT", "QUERY_ADMIN_PORT",
    "TENANT_CONFIG_ADMIN_PORT", "WORKER_GRPC_PORT", "WORKER_ADMIN_PORT",
)  # fmt: skip


class StackProcess:
    """One `python -m obc_dev run`. Whoever calls `start` must call `stop`, also when `start` fails."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
        self.state = StateFolder(folder)
        self.ports = {f"ANALYTICS_{name}": port for name, port in ports.items()}
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ANALYTICS_", "OBC_"))},
            **{name: str(port) for name, port in self.ports.items()},
            "ANALYTICS_DEV_STATE_DIR": str(folder),
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until it is ready. Fails with the end of its log."""
        self.state.path.mkdir(parents=True, exist_ok=True)
        with (self.state.path / "output.log").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "obc_dev", "run", "--quiet"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + _READY_TIMEOUT
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the stack is not ready; its log ends:\n{self.log()[-6000:]}")
            time.sleep(0.05)

    def is_ready(self) -> bool:
        """True once everything serves and `demo.env` is written."""
        note = self.state.read_note()
        return note is not None and note.ready

    def stop(self) -> int | None:
        """Ends it as Ctrl-C does; answers its exit status, None when it was not started."""
        process, self.process = self.process, None
        if process is None:
            return None
        process.send_signal(signal.SIGINT)
        try:
            return process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the stack did not end in {_STOP_TIMEOUT:g} s:\n{self.log()[-6000:]}") from None

    def log(self) -> str:
        """What the stack and its processes wrote."""
        paths = (self.state.log_file, self.state.path / "output.log")
        return "\n".join(path.read_text(errors="replace") for path in paths if path.exists())
