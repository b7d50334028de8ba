"""What the gateway says of the worker: the truth, whichever it is."""

from typing import Any

from obc_common.clock import SystemClock
from obc_common.context import Principal
from obc_common.errors import Unauthenticated
from obc_common.health import HealthRegistry
from obc_common.server import GrpcServer
from obc_common.settings import ServiceSettings
from obc_common.tasks import background
from tests.component.gateway.conftest import Edge, StartEdge
from tests.support.eventually import eventually
from tests.support.fake_services.recorder import SECRET


class Nobody:
    """Answers no calls, as the worker does."""

    async def authenticate(self, metadata: dict[str, str | bytes]) -> Principal:
        raise Unauthenticated("BAD_CREDENTIAL", "no")


async def said(edge: Edge) -> tuple[str, str, str]:
    """The suite's status, the worker's in /health, and its in /readyz."""
    async with edge.http.get("/health") as answer:
        health: dict[str, Any] = await answer.json()
    async with edge.http.get("/readyz") as answer:
        assert answer.status == 200  # whatever the worker does, requests can be answered
        ready: dict[str, Any] = await answer.json()
    return health["status"], health["services"]["worker"], ready["components"]["worker"]["status"]


async def test_a_worker_is_ok_while_it_is_ready_and_down_when_it_is_not_or_gone(start_edge: StartEdge) -> None:
    well = True

    async def check() -> None:
        if not well:
            raise ConnectionError("the database is away")

    health = HealthRegistry(SystemClock())
    health.register("database", check, interval=0.05)
    settings = ServiceSettings(internal_secret=SECRET)
    server = GrpcServer(settings, service="worker", authenticator=Nobody(), health=health, port=0)
    server.announce("obc.worker")
    await server.start()
    try:
        async with background({"health": health.run, "verdicts": server.run_verdicts}):
            edge = await start_edge(worker_address=f"127.0.0.1:{server.port}")

            async def says(status: str, worker: str) -> bool:
                return await said(edge) == (status, worker, worker)

            await eventually(lambda: says("ok", "ok"), timeout=15)
            well = False
            await eventually(lambda: says("degraded", "down"), timeout=15)
            well = True
            await eventually(lambda: says("ok", "ok"), timeout=15)
            await server.stop()
            await eventually(lambda: says("degraded", "down"), timeout=15)
    finally:
        await server.stop()


async def test_without_a_worker_it_says_so(edge: Edge) -> None:
    assert (await said(edge))[1:] == ("not_configured", "not_configured")
