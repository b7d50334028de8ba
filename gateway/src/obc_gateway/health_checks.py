"""What the gateway knows of the suite's health: background checks of the services' own verdicts, and of Redis.

The gateway does not reach PostgreSQL; the `database` component is what ingest says of its pool. Losing a dependency
does not make the gateway unready: it goes on answering 503 with Retry-After, which a load balancer without backends
would not. It becomes ready once it has the tenants' keys and has seen ingest well, so that no event is sent to a suite
that is still starting; questions that fail meanwhile are asked again by people.
"""

from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from redis.asyncio import Redis

from obc_common.directory import TenantDirectory
from obc_common.health import Check, HealthRegistry
from obc_gateway.lifecycle import Lifecycle
from obc_gateway.sockets.admission import SocketAdmission

_TIMEOUT = 1.5


class NotWellError(Exception):
    """A component is not well."""


def register_checks(
    health: HealthRegistry,
    *,
    channels: dict[str, tuple[grpc.aio.Channel, str]],
    redis: Redis,
    directory: TenantDirectory,
    admission: SocketAdmission,
    lifecycle: Lifecycle,
) -> None:
    """Registers every component.

    Args:
        health: the registry.
        channels: component -> channel and full service name (`ingest`, `query`, `tenant_config`; `worker` if there is
            one).
        redis: the shared limits' store.
        directory: the tenants' rules and keys.
        admission: open sockets.
        lifecycle: whether the process is leaving.
    """
    seen: set[str] = set()

    def remembered(name: str, check: Check) -> Check:
        async def checked() -> None:
            await check()
            seen.add(name)

        return checked

    for name, (channel, service) in channels.items():
        health.register(name, remembered(name, _serving(channel, service)), interval=2.0, critical=False)
    ingest_channel, ingest_service = channels["ingest"]
    health.register("database", _database(ingest_channel, ingest_service), interval=2.0, critical=False)

    async def redis_answers() -> None:
        await redis.ping()

    async def sockets_accepted() -> None:
        if admission.full:
            raise NotWellError("too many sockets are open")
        if lifecycle.draining.is_set():
            raise NotWellError("draining")

    async def started() -> None:
        if not directory.is_ready():
            raise NotWellError("no tenant configuration yet")
        if "ingest" not in seen:
            raise NotWellError("ingest was not seen well yet")

    async def staying() -> None:
        if lifecycle.leaving:
            raise NotWellError("leaving")

    health.register("redis", redis_answers, interval=2.0, critical=False)
    health.register("websocket", sockets_accepted, interval=1.0, critical=False)
    health.register("startup", started, interval=0.2, critical=True)
    health.register("lifecycle", staying, interval=0.25, critical=True)


def _serving(channel: grpc.aio.Channel, service: str) -> Check:
    stub = health_pb2_grpc.HealthStub(channel)

    async def check() -> None:
        answer = await _ask(stub, service)
        if answer != health_pb2.HealthCheckResponse.SERVING:
            raise NotWellError("not ready")

    return check


def _database(channel: grpc.aio.Channel, service: str) -> Check:
    stub = health_pb2_grpc.HealthStub(channel)

    async def check() -> None:
        try:
            answer = await _ask(stub, "component.database")
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            answer = await _ask(stub, service)  # ingest is not ready without its database
        if answer != health_pb2.HealthCheckResponse.SERVING:
            raise NotWellError("not reachable")

    return check


async def _ask(stub: Any, service: str) -> int:
    # The stub is typed for synchronous channels only.
    answer: health_pb2.HealthCheckResponse = await stub.Check(
        health_pb2.HealthCheckRequest(service=service), timeout=_TIMEOUT
    )
    return answer.status
