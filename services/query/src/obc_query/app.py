"""Builds the Query process: the only place that knows concrete things. Everything is closed in reverse order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from redis.asyncio import Redis

from obc.query.v1 import identity_service_pb2_grpc, query_service_pb2_grpc, saved_service_pb2_grpc
from obc_common.admin import admin_server
from obc_common.authentication import CredentialAuthenticator
from obc_common.clients import TenantConfigClient
from obc_common.clock import SystemClock
from obc_common.directory import TenantDirectory
from obc_common.errors import Unavailable
from obc_common.health import HealthRegistry
from obc_common.identity import IdentityMinter, IdentityVerifier
from obc_common.jwt_verifier import JwtVerifier
from obc_common.postgres import create_pool, ping
from obc_common.server import GrpcServer
from obc_common.tasks import background
from obc_query.admission import TenantGate
from obc_query.answer_cache import AnswerCache
from obc_query.asker import AskerFactory
from obc_query.cached_answers import CachedAnswers
from obc_query.cohorts.directory import CohortDirectory
from obc_query.engine import Engine
from obc_query.freshness import Freshness
from obc_query.identity.decisions import LinkDecisions
from obc_query.identity.directory import LinkDirectory
from obc_query.identity.forgetting import ForgottenDevices
from obc_query.identity.servicer import IdentityServicer
from obc_query.identity.unlinked import UnlinkedDevices
from obc_query.live.hub import LiveHub
from obc_query.projection.projector import Projector
from obc_query.retention import ReadModelRetention
from obc_query.saved.servicer import SavedServicer
from obc_query.saved.shelf import Shelf
from obc_query.servicer import QueryServicer
from obc_query.settings import Settings
from obc_query.warehouse import Warehouse

SERVICE = "obc.query.v1.QueryService"
SAVED_SERVICE = "obc.query.v1.SavedService"
IDENTITY_SERVICE = "obc.query.v1.IdentityService"
_REDIS_TIMEOUT = 2.0


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[GrpcServer]:
    """A started server; what it needs is open while the context is."""
    clock = SystemClock()
    secret = settings.internal_secret.get_secret_value()
    health = HealthRegistry(clock)
    async with AsyncExitStack() as stack:
        warehouse = await open_warehouse(settings)
        engine = await Engine.open(
            warehouse,
            clock,
            clients=settings.warehouse_clients,
            tenant_clients=settings.tenant_concurrent_statements,
            max_memory_bytes=settings.query_max_memory_bytes,
        )
        stack.push_async_callback(engine.close)

        dsn = settings.database_url.get_secret_value()
        pool = await create_pool(dsn, role="obc_query", name="obc-query", max_size=settings.database_pool_size)
        stack.push_async_callback(pool.close)
        projector_pool = await create_pool(dsn, role="obc_projector", name="obc-projector", max_size=2)
        stack.push_async_callback(projector_pool.close)
        redis = Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=_REDIS_TIMEOUT,
            socket_connect_timeout=_REDIS_TIMEOUT,
        )
        stack.push_async_callback(redis.aclose)

        tenant_config = TenantConfigClient(settings.tenant_config_address, IdentityMinter(secret, "query", clock))
        stack.push_async_callback(tenant_config.close)
        directory = TenantDirectory(tenant_config, clock, "query")
        jwt_verifier = JwtVerifier(directory.issuers, clock)
        stack.push_async_callback(jwt_verifier.close)
        identities = IdentityVerifier(secret, (SERVICE, SAVED_SERVICE, IDENTITY_SERVICE), clock)
        authenticator = CredentialAuthenticator(directory, jwt_verifier, identities)

        freshness = Freshness(clock)
        projector = Projector(
            warehouse,
            projector_pool,
            freshness,
            clock,
            poll_seconds=settings.projector_poll_ms / 1000,
            batch_rows=settings.projector_batch_rows,
        )
        retention = ReadModelRetention(
            warehouse, projector_pool, directory, freshness, clock, seconds=settings.read_model_retention_seconds
        )
        gate = TenantGate(questions=settings.tenant_waiting_questions)
        unlinked = UnlinkedDevices(pool, clock)
        askers = AskerFactory(engine, gate, LinkDirectory(freshness), unlinked, clock)

        def unhealthy() -> Sequence[str]:
            return [name for name, component in health.components().items() if not component.ok]

        hub = LiveHub(
            redis,
            askers,
            freshness,
            clock,
            unhealthy,
            queue_messages=settings.live_queue_messages,
            snapshot_seconds=settings.live_snapshot_seconds,
        )
        server = GrpcServer(
            settings, service="query", authenticator=authenticator, health=health, port=settings.grpc_port
        )
        servicer = QueryServicer(
            askers=askers,
            pool=pool,
            answers=CachedAnswers(
                askers, AnswerCache(redis, clock, seconds=settings.answer_cache_seconds), freshness, clock
            ),
            cohorts=CohortDirectory(pool),
            hub=hub,
            directory=directory,
            clock=clock,
            page_token_secret=secret,
            query_timeout=settings.query_timeout_seconds,
            draining=server.draining,
        )
        server.add(query_service_pb2_grpc.add_QueryServiceServicer_to_server, servicer, SERVICE)
        saved = SavedServicer(
            insights=Shelf("insight", settings.saved_insights_per_tenant, pool, clock),
            dashboards=Shelf("dashboard", settings.saved_dashboards_per_tenant, pool, clock),
            cohorts=Shelf("cohort", settings.saved_cohorts_per_tenant, pool, clock),
            clock=clock,
            page_token_secret=secret,
        )
        server.add(saved_service_pb2_grpc.add_SavedServiceServicer_to_server, saved, SAVED_SERVICE)
        decisions = LinkDecisions(settings.unlinked_devices_per_tenant, pool, unlinked, clock)
        forgotten = ForgottenDevices(
            decisions, askers, directory, freshness, seconds=settings.read_model_retention_seconds
        )
        identity = IdentityServicer(
            askers=askers,
            decisions=decisions,
            page_token_secret=secret,
            query_timeout=settings.query_timeout_seconds,
        )
        server.add(identity_service_pb2_grpc.add_IdentityServiceServicer_to_server, identity, IDENTITY_SERVICE)

        async def check_rules() -> None:
            if not directory.is_ready():
                raise Unavailable("TENANT_CONFIG_UNAVAILABLE", "no tenant rules yet")

        health.register("database", lambda: ping(pool))
        health.register("warehouse", engine.ping)
        health.register("read_model", projector.check, interval=1.0)
        health.register("tenant_config", check_rules, interval=1.0)
        health.register("redis", hub.feed.check, interval=1.0, critical=False)

        await stack.enter_async_context(
            background(
                {
                    "tenant-directory": directory.run,
                    "projector": projector.run,
                    "retention": retention.run,
                    "forgotten-devices": forgotten.run,
                    "live-feed": hub.feed.run,
                    "health": health.run,
                    "health-verdicts": server.run_verdicts,
                }
            )
        )
        await stack.enter_async_context(admin_server(settings.host, settings.admin_port, health))
        await server.start()
        stack.push_async_callback(server.stop)
        yield server


async def open_warehouse(settings: Settings) -> Warehouse:
    """The read model of the settings, its database made."""
    warehouse = Warehouse(settings.warehouse_url.get_secret_value(), settings.warehouse_database)
    if warehouse.embedded and not Path(warehouse.path).is_absolute():
        raise OSError(f"ANALYTICS_WAREHOUSE_URL: {warehouse.url} must name an absolute path")
    await asyncio.to_thread(warehouse.create_database)
    return warehouse
