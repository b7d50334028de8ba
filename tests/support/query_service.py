"""The Query service over gRPC without the processes around it: a real server and client, tenants' rules by hand."""

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from redis.asyncio import Redis

from obc.query.v1 import identity_service_pb2_grpc, query_service_pb2_grpc, saved_service_pb2_grpc
from obc_common.clients import IdentityClient, QueryClient, SavedClient
from obc_common.context import Principal
from obc_common.health import HealthRegistry
from obc_common.identity import IDENTITY_HEADER, IdentityMinter, IdentityVerifier
from obc_common.server import GrpcServer
from obc_common.tasks import background
from obc_common.tenant_state import TenantRules
from obc_query.answer_cache import AnswerCache
from obc_query.app import IDENTITY_SERVICE, SAVED_SERVICE, SERVICE
from obc_query.cached_answers import CachedAnswers
from obc_query.cohorts.directory import CohortDirectory
from obc_query.identity.decisions import LinkDecisions
from obc_query.identity.servicer import IdentityServicer
from obc_query.live.hub import LiveHub
from obc_query.saved.servicer import SavedServicer
from obc_query.saved.shelf import Shelf
from obc_query.servicer import QueryServicer
from obc_query.settings import Settings
from obc_query.warehouse import Warehouse
from tests.support.eventually import eventually
from tests.support.read_model import ReadModel, open_read_model

_SECRET = "a secret of the tests, long enough"


@dataclass(slots=True)
class HandRules:
    """Tenants' rules as the test sets them; every tenant exists."""

    changed: dict[str, TenantRules] = field(default_factory=dict)
    dead_keys: set[str] = field(default_factory=set)

    def rules(self, tenant_id: str) -> TenantRules | None:
        return self.changed.get(tenant_id, default_rules(tenant_id))

    async def rules_of_caller(self, tenant_id: str) -> TenantRules:
        return self.changed.get(tenant_id, default_rules(tenant_id))

    def key_is_live(self, key_id: str) -> bool:
        return key_id not in self.dead_keys

    def set_real_time(self, tenant_id: str, enabled: bool) -> None:
        self.changed[tenant_id] = replace(default_rules(tenant_id), real_time_enabled=enabled)


def default_rules(tenant_id: str) -> TenantRules:
    """The rules of a new tenant."""
    return TenantRules(
        tenant_id=tenant_id,
        version=1,
        enabled=True,
        tracking_level="standard",
        retention_days=365,
        data_export_enabled=True,
        real_time_enabled=True,
        custom_properties=("*",),
        excluded_events=(),
        sampling_rate=1.0,
        consent_policy="obey",
    )


class _InternalOnly:
    """Accepts identities of the suite's own processes, as the gateway's calls carry."""

    def __init__(self, verifier: IdentityVerifier) -> None:
        self._verifier = verifier

    async def authenticate(self, metadata: Mapping[str, str | bytes]) -> Principal:
        return self._verifier.verify(str(metadata.get(IDENTITY_HEADER, "")))


@dataclass(frozen=True, slots=True)
class QueryService:
    """A running service. `model` is what it reads from; its projector runs in the background."""

    client: QueryClient
    saved: SavedClient
    identity: IdentityClient
    model: ReadModel
    hub: LiveHub
    rules: HandRules
    server: GrpcServer


def principal(tenant_id: str, *scopes: str, key_id: str = "") -> Principal:
    """A caller of a tenant with the scope `query`, or others."""
    return Principal(tenant_id, "test", "secret", frozenset(scopes or ("query",)), key_id=key_id or str(uuid.uuid4()))


@asynccontextmanager
async def run_query_service(warehouse: Warehouse, dsn: str, redis_url: str) -> AsyncIterator[QueryService]:
    """Starts the service and its projector; waits until it is caught up."""
    settings = Settings(
        grpc_port=0, admin_port=None, internal_secret=_SECRET, database_url=dsn, drain_delay_seconds=0,
        drain_grace_seconds=2,
    )  # fmt: skip
    redis = Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2)
    rules = HandRules()
    async with open_read_model(warehouse, dsn) as model:
        health = HealthRegistry(model.clock)
        verifier = IdentityVerifier(_SECRET, (SERVICE, SAVED_SERVICE, IDENTITY_SERVICE))
        server = GrpcServer(settings, service="query", authenticator=_InternalOnly(verifier), health=health, port=0)
        hub = LiveHub(
            redis, model.askers, model.freshness, model.clock, lambda: [], queue_messages=4, snapshot_seconds=0.1
        )
        servicer = QueryServicer(
            askers=model.askers,
            pool=model.pool,
            answers=CachedAnswers(
                model.askers, AnswerCache(redis, model.clock, seconds=300), model.freshness, model.clock
            ),
            cohorts=CohortDirectory(model.pool),
            hub=hub,
            directory=rules,
            clock=model.clock,
            page_token_secret=_SECRET,
            query_timeout=20,
            draining=server.draining,
        )
        server.add(query_service_pb2_grpc.add_QueryServiceServicer_to_server, servicer, SERVICE)
        saved = SavedServicer(
            insights=Shelf("insight", 1000, model.pool, model.clock),
            dashboards=Shelf("dashboard", 200, model.pool, model.clock),
            cohorts=Shelf("cohort", 500, model.pool, model.clock),
            clock=model.clock,
            page_token_secret=_SECRET,
        )
        server.add(saved_service_pb2_grpc.add_SavedServiceServicer_to_server, saved, SAVED_SERVICE)
        identity = IdentityServicer(
            askers=model.askers,
            decisions=LinkDecisions(10_000, model.pool, model.askers.unlinked, model.clock),
            page_token_secret=_SECRET,
            query_timeout=20,
        )
        server.add(identity_service_pb2_grpc.add_IdentityServiceServicer_to_server, identity, IDENTITY_SERVICE)
        async with background({"projector": model.projector().run, "live": hub.feed.run}):
            await server.start()
            minter = IdentityMinter(_SECRET, "test")
            client = QueryClient(f"127.0.0.1:{server.port}", minter)
            saved_client = SavedClient(f"127.0.0.1:{server.port}", minter)
            identity_client = IdentityClient(f"127.0.0.1:{server.port}", minter)
            try:
                await eventually(lambda: model.freshness.caught_up, timeout=20)
                yield QueryService(client, saved_client, identity_client, model, hub, rules, server)
            finally:
                await client.close()
                await saved_client.close()
                await identity_client.close()
                await server.stop()
    await redis.aclose()
