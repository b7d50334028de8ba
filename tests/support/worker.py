"""The worker's jobs on a test's database: tenants with a retention, old rows of every kind, and one run of a job."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import orjson

from obc_common.clock import Clock, SystemClock
from obc_common.postgres import Pool, create_pool
from obc_worker.app import all_jobs
from obc_worker.leases import Leases
from obc_worker.model import Job, JobKey
from obc_worker.rounds import Rounds
from obc_worker.runner import Ending, Runner
from obc_worker.settings import Settings
from tests.support.tenant_config import SECRET, connected

DAY = timedelta(days=1)


def worker_settings(dsn: str, **values: Any) -> Settings:
    """Settings of a worker on any free port that is in a hurry."""
    return Settings(
        **{
            "database_url": dsn,
            "internal_secret": SECRET,
            "grpc_port": 0,
            "admin_port": None,
            "drain_grace_seconds": 5,
            "processing_interval": 0.1,
            "worker_retry_seconds": 0.05,
            **values,
        }
    )


@dataclass
class Jobs:
    """The jobs of a worker, to be run one by one."""

    dsn: str
    pool: Pool
    leases: Leases
    runner: Runner
    jobs: dict[str, Job]
    rounds: Rounds
    stopping: asyncio.Event

    async def run(self, name: str) -> list[Ending]:
        """Runs all shares of a job once."""
        return [await self.runner.run(JobKey(name, shard)) for shard in self.jobs[name].shards]

    async def done(self, *names: str) -> None:
        """Runs jobs; every share must end well."""
        for name in names:
            endings = await self.run(name)
            assert {ending.outcome.value for ending in endings} == {"done"}, endings


@asynccontextmanager
async def open_jobs(
    dsn: str, *, clock: Clock | None = None, extra: Sequence[Job] = (), owner: str = "test", **values: Any
) -> AsyncIterator[Jobs]:
    """Opens everything that a worker has, except for its queue."""
    clock = clock or SystemClock()
    settings = worker_settings(dsn, **values)
    pool = await create_pool(dsn, role="obc_worker", name="test-worker", max_size=4)
    try:
        jobs = {job.name: job for job in [*all_jobs(settings, clock), *extra]}
        leases = Leases(pool, owner, settings.worker_lease_seconds)
        stopping = asyncio.Event()
        runner = Runner(
            jobs,
            leases,
            clock,
            stopping,
            retry_seconds=settings.worker_retry_seconds,
            dead_letter_retry_seconds=settings.worker_dead_letter_retry_seconds,
        )
        rounds = Rounds(pool, leases, list(jobs.values()), clock, settings.processing_interval)
        await leases.make([JobKey(job.name, shard) for job in jobs.values() for shard in job.shards])
        yield Jobs(dsn, pool, leases, runner, jobs, rounds, stopping)
    finally:
        await pool.close()


async def new_tenant(dsn: str, retention_days: int | None, *, own_partition: bool = False) -> uuid.UUID:
    """Makes a tenant; None = one whose rules are missing."""
    tenant_id = uuid.uuid4()
    async with connected(dsn) as connection:
        await connection.execute(
            "INSERT INTO tenants (id, name, own_partition) VALUES ($1, 'a tenant', $2)", tenant_id, own_partition
        )
    if retention_days is not None:
        await set_retention(dsn, tenant_id, retention_days)
    return tenant_id


async def set_retention(dsn: str, tenant_id: uuid.UUID, days: int) -> None:
    """Puts the next version of a tenant's rules in force."""
    async with connected(dsn) as connection:
        await connection.execute(
            """INSERT INTO tenant_configs (tenant_id, version, config, created_by)
               SELECT $1, coalesce(max(version), 0) + 1, $2::jsonb, 'test' FROM tenant_configs WHERE tenant_id = $1""",
            tenant_id,
            orjson.dumps({"retention_days": days}).decode(),
        )


_EVENT = """
INSERT INTO analytics_events (tenant_id, event_id, event_name, event_category, properties, "timestamp", received_at,
                              skew_ms, event_time, device_info, sample_rate)
SELECT $1, gen_random_uuid(), 'page_view', '', '{}', at, at, 0, at, '{}', 1 FROM unnest($2::timestamptz[]) AS at
"""


async def store_events(dsn: str, tenant_id: uuid.UUID, times: Iterable[datetime]) -> None:
    """Stores one event for each moment, making partitions as needed."""
    moments = list(times)
    async with connected(dsn) as connection:
        for month in sorted({(at.year, at.month) for at in moments}):
            await connection.execute("SELECT obc_ensure_partitions($1, $1)", datetime(*month, 1, tzinfo=UTC))
        await connection.execute(_EVENT, tenant_id, moments)


async def event_times(dsn: str, tenant_id: uuid.UUID) -> list[datetime]:
    """When the tenant's stored events were, oldest first."""
    async with connected(dsn) as connection:
        rows = await connection.fetch(
            "SELECT event_time FROM analytics_events WHERE tenant_id = $1 ORDER BY 1", tenant_id
        )
    return [row["event_time"] for row in rows]


async def partitions(dsn: str) -> set[str]:
    """The month partitions and what hangs below them."""
    async with connected(dsn) as connection:
        rows = await connection.fetch(
            r"""SELECT relname FROM pg_class
                WHERE relkind IN ('r', 'p') AND relname ~ '^analytics_events_y\d+m\d+(_t_.*)?$'"""
        )
    return {row["relname"] for row in rows}


async def store_event_ids(dsn: str, tenant_id: uuid.UUID, day: date, count: int) -> None:
    """Puts ids into the ledger."""
    async with connected(dsn) as connection:
        await connection.execute(
            "INSERT INTO event_ids SELECT $1, gen_random_uuid(), $2, 0 FROM generate_series(1, $3)",
            tenant_id,
            day,
            count,
        )


async def fetch(dsn: str, query: str, *arguments: object) -> list[asyncpg.Record]:
    """Reads the database as its superuser."""
    async with connected(dsn) as connection:
        return await connection.fetch(query, *arguments)


async def execute(dsn: str, statement: str, *arguments: object) -> str:
    """Changes the database as its superuser."""
    async with connected(dsn) as connection:
        return await connection.execute(statement, *arguments)
