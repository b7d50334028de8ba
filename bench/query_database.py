"""PostgreSQL of a run: the real schema, filled by COPY as ingest fills it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from bench.query_traffic import COLUMNS, TENANTS
from obc_dev.servers.ports import free_ports
from obc_dev.servers.postgres import PostgresServer
from obc_migrations.runner import migrate
from obc_tenant_config.analytics_config import AnalyticsConfig

# What an administrator would set on a machine of this size; durability is as shipped.
_SETTINGS = {
    "shared_buffers": "2GB",
    "effective_cache_size": "8GB",
    "work_mem": "256MB",
    "maintenance_work_mem": "1GB",
    "max_wal_size": "8GB",
    "random_page_cost": "1.1",
}
_TRANSACTION_ROWS = 2_000
_COPY_TIMEOUT = 3_600.0
# What PostgreSQL would be given if it had to answer the questions itself.
_QUESTION_INDEXES = (
    "(tenant_id, event_time DESC, event_id DESC)",
    "(tenant_id, event_name, event_time)",
    "(tenant_id, session_id, event_time)",
)


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A server of the run's own; its DSN."""
    [port] = free_ports(1)
    server = PostgresServer(folder / "pg", port, folder / "pg.log", _SETTINGS)
    server.start()
    try:
        yield server.dsn()
    finally:
        server.stop()


async def prepare(dsn: str, start: datetime) -> None:
    """The schema, its partitions from `start` on, and the tenants."""
    await migrate(dsn)
    connection = await asyncpg.connect(dsn)
    await connection.execute("SELECT obc_ensure_partitions($1, $2)", start, datetime.now(UTC) + timedelta(days=1))
    rows = [(tenant, f"tenant {number}") for number, tenant in enumerate(TENANTS)]
    await connection.executemany("INSERT INTO tenants (id, name) VALUES ($1, $2)", rows)
    configs = [(tenant, AnalyticsConfig().to_json().decode()) for tenant in TENANTS]
    await connection.executemany(
        "INSERT INTO tenant_configs (tenant_id, version, config, created_by) VALUES ($1, 1, $2, 'bench')", configs
    )
    await connection.close()


async def load(dsn: str, chunks: Iterator[list[bytes]]) -> int:
    """Stores the chunks, a transaction for every 2,000 events; how many. Making and storing overlap."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("SET synchronous_commit = off")
    stored = 0
    storing: asyncio.Task[None] | None = None
    while True:
        chunk = await asyncio.to_thread(next, chunks, None)
        if storing is not None:
            await storing
        if chunk is None:
            break
        stored += len(chunk)
        storing = asyncio.create_task(_copy(connection, chunk))
    await connection.close()
    return stored


async def add_question_indexes(dsn: str) -> None:
    """Indexes that only the comparison needs; then statistics."""
    connection = await asyncpg.connect(dsn, command_timeout=_COPY_TIMEOUT)
    for index in _QUESTION_INDEXES:
        await connection.execute(f"CREATE INDEX ON analytics_events {index}")
    await connection.execute("VACUUM (ANALYZE) analytics_events")
    await connection.close()


async def table_bytes(dsn: str) -> int:
    """The events table with its own two indexes, without the ledger."""
    connection = await asyncpg.connect(dsn)
    size = await connection.fetchval(
        "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('analytics_events') WHERE isleaf"
    )
    await connection.close()
    return int(size)


async def _copy(connection: "asyncpg.Connection[asyncpg.Record]", lines: list[bytes]) -> None:
    for first in range(0, len(lines), _TRANSACTION_ROWS):
        part = lines[first : first + _TRANSACTION_ROWS]
        await connection.copy_to_table(
            "analytics_events", source=_once(b"".join(part)), columns=COLUMNS, format="text", timeout=_COPY_TIMEOUT
        )


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
