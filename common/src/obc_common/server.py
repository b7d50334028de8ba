"""The gRPC server every service runs in: health, reflection, interceptors, graceful drain."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from obc_common.health import HealthRegistry
from obc_common.interceptors.admit import Admission
from obc_common.interceptors.authenticate import Authenticator
from obc_common.interceptors.chain import CallInterceptor
from obc_common.logs import get_logger
from obc_common.settings import ServiceSettings

_log = get_logger(__name__)
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_VERDICT_INTERVAL = 0.5
# Once its connection is old, a stream has this long to end by itself. More than any ingest stream lives: a shorter time
# would cut every stream of a connection at the same moment, young ones and unacknowledged batches included.
CONNECTION_GRACE_SECONDS = 600
_MAX_MESSAGE = 4 * 1024 * 1024 + 256 * 1024  # the largest batch and its envelope


class GrpcServer:
    """One gRPC server on one port.

    Health (grpc.health.v1) knows these names: `` (alive), each service's full name (ready), and `component.<name>` for
    every component of the registry, so that the edge can tell people which part is not well.

    Args:
        settings: limits and drain times.
        service: short name, for logs.
        authenticator: finds out who calls.
        health: the process's components; run by `run_verdicts`' owner.
        port: 0 = any free port.

    Attributes:
        draining: set when streams should end after what they have received is acknowledged.
        port: the port in use, once started.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        service: str,
        authenticator: Authenticator,
        health: HealthRegistry,
        port: int,
    ) -> None:
        self._settings = settings
        self._service = service
        self._health = health
        self._names: list[str] = []
        self._health_servicer = health_aio.HealthServicer()
        self.draining = asyncio.Event()
        self.port = port
        admission = Admission(settings.max_concurrent_calls, settings.max_concurrent_streams)
        self._server = grpc.aio.server(
            interceptors=[CallInterceptor(authenticator, admission)],
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", _MAX_MESSAGE),
                ("grpc.max_send_message_length", 16 * 1024 * 1024),
                ("grpc.max_connection_age_ms", settings.max_connection_age_seconds * 1000),
                ("grpc.max_connection_age_grace_ms", CONNECTION_GRACE_SECONDS * 1000),
                # Below the clients' interval, or the server would answer their pings with GOAWAY.
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                ("grpc.http2.bdp_probe", 0),
            ],
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health_servicer, self._server)

    def add(self, add_to_server: Callable[[Any, Any], None], servicer: object, name: str) -> None:
        """Registers a servicer under its full service name."""
        add_to_server(servicer, self._server)
        self._names.append(name)

    def announce(self, name: str) -> None:
        """Has health tell under a name whether the process is ready, for one that answers no calls."""
        self._names.append(name)

    async def start(self) -> None:
        """Binds the port and begins to serve. Raises OSError naming the port when it is taken."""
        if self._settings.reflection_enabled:
            names = (*self._names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
            reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), self._server)
        address = f"{self._settings.host}:{self.port}"
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"{self._service}: cannot listen on {address}: {error}") from error
        await self._health_servicer.set("", _SERVING)
        await self._publish_verdicts()
        await self._server.start()
        _log.info("grpc_server_started", name=self._service, port=self.port)

    async def run_verdicts(self) -> None:
        """Publishes the registry's verdicts until cancelled. To be owned by `tasks.background`."""
        while True:
            await self._publish_verdicts()
            await asyncio.sleep(_VERDICT_INTERVAL)

    async def drain(self) -> None:
        """Ends gracefully: not ready, go on serving for a while, end streams, let calls finish, stop."""
        for name in self._names:
            await self._health_servicer.set(name, _NOT_SERVING)
        self._names = []
        _log.info("draining", name=self._service, delay=self._settings.drain_delay_seconds)
        await asyncio.sleep(self._settings.drain_delay_seconds)
        self.draining.set()
        await self._server.stop(self._settings.drain_grace_seconds)

    async def stop(self) -> None:
        """Stops at once; safe after `drain`."""
        self.draining.set()
        await self._server.stop(0)

    async def _publish_verdicts(self) -> None:
        ready = _SERVING if self._health.ready() else _NOT_SERVING
        for name in self._names:
            await self._health_servicer.set(name, ready)
        for name, component in self._health.components().items():
            await self._health_servicer.set(f"component.{name}", _SERVING if component.ok else _NOT_SERVING)
