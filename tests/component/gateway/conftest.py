"""A real gateway on a free port, before fakes of the three services."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from obc_gateway.app import Gateway, build
from obc_gateway.settings import Settings
from tests.support.eventually import eventually
from tests.support.fake_services.recorder import SECRET
from tests.support.fake_services.suite import FakeSuite, fake_suite


@dataclass
class Edge:
    """A gateway under test.

    Attributes:
        gateway: what `build` yielded.
        http: a client of it.
        suite: the services behind it.
    """

    gateway: Gateway
    http: aiohttp.ClientSession
    suite: FakeSuite

    def key(self, kind: str, *args: Any, **options: Any) -> dict[str, str]:
        """Headers with a new key."""
        return {"Authorization": f"Bearer {self.suite.tenant_config.make_key(kind, *args, **options)}"}  # type: ignore[arg-type]  # the literal is checked by the fake

    @property
    def port(self) -> int:
        return self.gateway.port


StartEdge = Callable[..., Awaitable[Edge]]


@pytest.fixture
async def suite() -> AsyncIterator[FakeSuite]:
    """The fakes."""
    async with fake_suite() as running:
        yield running


@pytest.fixture
async def start_edge(suite: FakeSuite, redis_url: str) -> AsyncIterator[StartEdge]:
    """Starts gateways with settings of the test's own."""
    async with AsyncExitStack() as stack:

        async def start(**overrides: Any) -> Edge:
            values: dict[str, Any] = {
                "port": 0,
                "admin_port": None,
                "internal_secret": SECRET,
                "redis_url": redis_url,
                "ingest_address": suite.address("ingest"),
                "query_address": suite.address("query"),
                "tenant_config_address": suite.address("tenant_config"),
                "drain_delay_seconds": 0,
                "drain_grace_seconds": 5,
                "socket_ack_seconds": 2,
            }
            gateway = await stack.enter_async_context(build(Settings(**values | overrides)))
            http = await stack.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{gateway.port}"))

            async def ready() -> bool:
                async with http.get("/readyz") as answer:
                    return answer.status == 200

            await eventually(ready, message="the gateway never became ready")
            return Edge(gateway, http, suite)

        yield start


@pytest.fixture
async def edge(start_edge: StartEdge) -> Edge:
    """A gateway with the default settings."""
    return await start_edge()
