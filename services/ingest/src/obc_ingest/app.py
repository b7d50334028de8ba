"""Composition: the only place that builds concrete things. What is opened is closed in reverse."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
from redis.asyncio import Redis

from obc.ingest.v1.ingest_service_pb2_grpc import add_IngestServiceServicer_to_server
from obc_common.admin import admin_server
from obc_common.authentication import CredentialAuthenticator
from obc_common.clients import TenantConfigClient
from obc_common.clock import SystemClock
from obc_common.directory import TenantDirectory
from obc_common.errors import Unavailable
from obc_common.health import HealthRegistry
from obc_common.identity import IdentityMinter, IdentityVerifier
from obc_common.jwt_verifier import JwtVerifier
from obc_common.logs import get_logger
from obc_common.postgres import create_pool, ping
from obc_common.ratelimit import RateLimiter
from obc_common.server import GrpcServer
from obc_common.tasks import background
from obc_ingest.admission import ByteBudget
from obc_ingest.durability import DurabilityCheck
from obc_ingest.flush import Flusher
from obc_ingest.importer import Importer
from obc_ingest.ingestor import Ingestor
from obc_ingest.intake import Intake
from obc_ingest.left_out import LeftOutCounts
from obc_ingest.live_publisher import LivePublisher
from obc_ingest.partitions import Partitions
from obc_ingest.quota import QuotaBook
from obc_ingest.replay import Replayer
from obc_ingest.replay_store import ReplayStore
from obc_ingest.salts import SaltStore
from obc_ingest.servicer import IngestServicer
from obc_ingest.settings import Settings
from obc_ingest.store import EventStore
from obc_ingest.stream import StreamLimits
from obc_ingest.useragent import parse_user_agent
from obc_ingest.writer import GroupCommitWriter, WriterLimits

_log = get_logger(__name__)

SERVICE = "obc.ingest.v1.IngestService"
_ROLE = "obc_ingest"
_REPLAY_ROLE = "obc_replay"
_REPLAY_POOL_SIZE = 2
_DURABILITY_INTERVAL = 30.0
_REDIS_TIMEOUT = 1.0
_UNPACKED_AT_ONCE = 8 * 1024 * 1024  # two of the largest batches, some 200 MiB when they are parsed


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[GrpcServer]:
    """A started ingest service."""
    async with AsyncExitStack() as stack:
        clock = SystemClock()
        health = HealthRegistry(clock)
        secret = settings.internal_secret.get_secret_value()
        pool = await create_pool(
            settings.database_url.get_secret_value(),
            role=_ROLE,
            name="obc-ingest",
            max_size=settings.database_pool_size,
            reset=False,  # nothing here sets anything for a session
        )
        stack.push_async_callback(pool.close)
        # Reads bad rows, which obc_ingest may not: this one is under row-level security.
        replay_pool = await create_pool(
            settings.database_url.get_secret_value(),
            role=_REPLAY_ROLE,
            name="obc-replay",
            min_size=0,
            max_size=_REPLAY_POOL_SIZE,
        )
        stack.push_async_callback(replay_pool.close)
        redis = Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=_REDIS_TIMEOUT,
            socket_connect_timeout=_REDIS_TIMEOUT,
        )
        stack.push_async_callback(redis.aclose)
        tenant_config = TenantConfigClient(settings.tenant_config_address, IdentityMinter(secret, "ingest"))
        stack.push_async_callback(tenant_config.close)
        directory = TenantDirectory(tenant_config, clock, "ingest")
        jwt_verifier = JwtVerifier(directory.issuers, clock)
        stack.push_async_callback(jwt_verifier.close)

        partitions = Partitions(pool, clock)
        await partitions.ensure_ahead()
        parse_user_agent("")  # loads the library's rules, a third of a second, before an event waits for them
        salts = SaltStore(pool, clock)
        quotas = QuotaBook(pool, clock)
        stack.push_async_callback(_give_back, quotas)
        live = LivePublisher(redis, settings.live_queue_messages)
        writer = GroupCommitWriter(Flusher(EventStore(pool, partitions)), _writer_limits(settings), live.offer)
        stack.callback(writer.close)
        limits = settings.limits()
        limiter = RateLimiter(redis, clock)
        left_out = LeftOutCounts(pool, clock)
        ingestor = Ingestor(
            directory=directory,
            limiter=limiter,
            salts=salts,
            quotas=quotas,
            budget=ByteBudget(settings.max_bytes_in_flight, int(settings.max_bytes_in_flight * settings.tenant_share)),
            intake=Intake(_UNPACKED_AT_ONCE, settings.batches_judged_at_once),
            writer=writer,
            limits=limits,
            left_out=left_out,
            rate_per_second=settings.ingest_rate_per_second,
            burst=settings.ingest_burst,
            clock=clock,
        )

        async def database_answers() -> None:
            await ping(pool)

        async def directory_is_filled() -> None:
            # A stream that is lost later does not make the process unready: the last good copy goes on being used.
            if not directory.is_ready():
                raise Unavailable("TENANT_CONFIG_UNAVAILABLE", "no snapshot of the tenants yet")

        async def redis_answers() -> None:
            await redis.ping()

        health.register("database", database_answers)
        health.register("durability", DurabilityCheck(pool), interval=_DURABILITY_INTERVAL)
        health.register("tenant_directory", directory_is_filled, interval=1.0)
        health.register("redis", redis_answers, critical=False)

        server = GrpcServer(
            settings,
            service="ingest",
            authenticator=CredentialAuthenticator(directory, jwt_verifier, IdentityVerifier(secret, SERVICE)),
            health=health,
            port=settings.grpc_port,
        )
        server.add(
            add_IngestServiceServicer_to_server,
            IngestServicer(
                ingestor,
                directory,
                importer=Importer(
                    ingestor=ingestor,
                    limiter=limiter,
                    partitions=partitions,
                    limits=limits,
                    rate_per_second=settings.import_rate_per_second,
                    clock=clock,
                ),
                replayer=Replayer(ingestor, ReplayStore(replay_pool), clock),
                page_token_secret=secret,
                limits=limits,
                stream_limits=StreamLimits(settings.stream_credits, settings.stream_max_age_seconds),
                draining=server.draining,
                clock=clock,
            ),
            SERVICE,
        )
        await stack.enter_async_context(
            background(
                {
                    "writer": writer.run,
                    "live": live.run,
                    "left_out": left_out.run,
                    "partitions": partitions.run,
                    "salts": salts.run_cleaning,
                    "directory": directory.run,
                    "health": health.run,
                    "verdicts": server.run_verdicts,
                }
            )
        )
        await stack.enter_async_context(admin_server(settings.host, settings.admin_port, health))
        await server.start()
        stack.push_async_callback(server.stop)
        yield server


async def _give_back(quotas: QuotaBook) -> None:
    try:
        await quotas.close()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:  # TimeoutError is an OSError
        _log.warning("quota_share_lost", error=type(error).__name__)


def _writer_limits(settings: Settings) -> WriterLimits:
    return WriterLimits(
        flush_events=settings.flush_events,
        flush_bytes=settings.flush_bytes,
        flush_interval=settings.flush_interval_ms / 1000,
        flushes_in_flight=settings.flushes_in_flight,
        flush_timeout=settings.flush_timeout_seconds,
        queue_events=settings.queue_events,
        queue_bytes=settings.queue_bytes,
        tenant_share=settings.tenant_share,
    )
