"""The three fakes, running."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from obc.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from obc.query.v1 import query_service_pb2_grpc as query_grpc
from obc.tenant_config.v1 import tenant_config_service_pb2_grpc as tenant_grpc
from obc_common.clock import SystemClock
from obc_common.context import Principal
from obc_common.health import HealthRegistry
from obc_common.identity import IDENTITY_HEADER, IdentityVerifier
from obc_common.server import GrpcServer
from obc_common.settings import ServiceSettings
from obc_common.tasks import background
from tests.support.fake_services.ingest import FakeIngest
from tests.support.fake_services.query import FakeQuery
from tests.support.fake_services.recorder import SECRET
from tests.support.fake_services.tenant_config import FakeTenantConfig


class _Identities:
    """Only identities of the suite pass: the gateway must never forward a raw credential."""

    def __init__(self, audience: str) -> None:
        self._verifier = IdentityVerifier(SECRET, audience)

    async def authenticate(self, metadata: dict[str, str | bytes]) -> Principal:
        return self._verifier.verify(str(metadata.get(IDENTITY_HEADER, "")))


@dataclass
class FakeSuite:
    """The three fakes, running."""

    ingest: FakeIngest
    query: FakeQuery
    tenant_config: FakeTenantConfig
    servers: Mapping[str, GrpcServer]
    unwell: set[str]

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.servers[name].port}"


@asynccontextmanager
async def fake_suite() -> AsyncIterator[FakeSuite]:
    """Starts the fakes; at the end, fails when anything unexpected was called."""
    ingest, query, tenant_config = FakeIngest(), FakeQuery(), FakeTenantConfig()
    adders: dict[str, tuple[Any, Any, str]] = {
        "ingest": (ingest_grpc.add_IngestServiceServicer_to_server, ingest.servicer(), "obc.ingest.v1.IngestService"),
        "query": (query_grpc.add_QueryServiceServicer_to_server, query.servicer(), "obc.query.v1.QueryService"),
        "tenant_config": (
            tenant_grpc.add_TenantConfigServiceServicer_to_server,
            tenant_config.servicer(),
            "obc.tenant_config.v1.TenantConfigService",
        ),
    }
    settings = ServiceSettings(internal_secret=SECRET, drain_delay_seconds=0, drain_grace_seconds=0)
    servers: dict[str, GrpcServer] = {}
    unwell: set[str] = set()

    async def database() -> None:
        if "database" in unwell:
            raise ConnectionError("the database is away")

    async with AsyncExitStack() as stack:
        for name, (add, servicer, service) in adders.items():
            health = HealthRegistry(SystemClock())
            if name == "ingest":
                health.register("database", database, interval=0.1)
                await health.check_now()
            server = GrpcServer(settings, service=name, authenticator=_Identities(service), health=health, port=0)
            server.add(add, servicer, service)
            await server.start()
            stack.push_async_callback(server.stop)
            await stack.enter_async_context(background({"health": health.run, "verdicts": server.run_verdicts}))
            servers[name] = server
        suite = FakeSuite(ingest, query, tenant_config, servers, unwell)
        yield suite
    unexpected = [*ingest.recorder.unexpected, *query.recorder.unexpected, *tenant_config.recorder.unexpected]
    assert not unexpected, f"unexpected calls: {unexpected}"
