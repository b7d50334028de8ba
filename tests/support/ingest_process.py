"""The ingest service as a process of its own, to be killed and started again on the same port."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from obc_dev.servers.ports import free_ports
from obc_ingest.app import SERVICE
from tests.support.eventually import eventually
from tests.support.tenant_config import SECRET, TenantConfig


class IngestProcess:
    """A real ingest process beside a TenantConfig of the test.

    Args:
        dsn: its database.
        redis_url: its Redis.
        tenant_config: its directory.
        log: what it writes is appended here.
    """

    def __init__(self, dsn: str, redis_url: str, tenant_config: TenantConfig, log: Path) -> None:
        [self.port] = free_ports(1)
        self._log = log
        self._environment = {
            **os.environ,
            "ANALYTICS_DATABASE_URL": dsn,
            "ANALYTICS_REDIS_URL": redis_url,
            "ANALYTICS_TENANT_CONFIG_ADDRESS": tenant_config.address,
            "ANALYTICS_INTERNAL_SECRET": SECRET,
            "ANALYTICS_INGEST_GRPC_PORT": str(self.port),
            "ANALYTICS_INGEST_ADMIN_PORT": "0",
            "ANALYTICS_DRAIN_DELAY_SECONDS": "0",
            "ANALYTICS_DRAIN_GRACE_SECONDS": "5",
        }
        self._process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        """Where it listens, also before it is started."""
        return f"127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether it was started, and not ended since."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Starts it and waits until it is ready."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "obc_ingest", env=self._environment, stdout=log, stderr=log
            )
        await eventually(self._is_ready, timeout=30, interval=0.05)

    async def kill(self) -> None:
        """What a crash, an OOM kill or a lost node is."""
        await self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """What a stuck process is: its connections stay open, and nothing comes."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it was."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        """Ends it if it runs."""
        await self._end(signal.SIGTERM)

    async def _end(self, with_signal: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(with_signal)
            await asyncio.wait_for(process.wait(), 20)

    async def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, self._log.read_text()[-4000:]
        async with grpc.aio.insecure_channel(self.address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)  # its types know no asynchronous channel
            try:
                answer = await stub.Check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=1)
            except grpc.aio.AioRpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
