"""What each index of `analytics_events` costs the write path, and what it answers.

Writes the same events by COPY into tables with no index (the floor), with ours, and with the seed's five, in one run on
one server, and prints ratios. Then times the two access paths that are left, with and without their index.

Usage: `python bench/indexes.py [EVENTS]` (default 400,000).
"""

import asyncio
import datetime as dt
import random
import sys
import tempfile
import time
import uuid
from pathlib import Path

import asyncpg

from obc_dev.servers.ports import free_ports
from obc_dev.servers.postgres import PostgresServer
from obc_migrations.runner import migrate

BATCH = 2_000
COLUMNS = ("tenant_id", "event_id", "user_id", "session_id", "event_name", "event_category", "properties", "timestamp",
           "received_at", "skew_ms", "event_time", "device_info", "sample_rate")  # fmt: skip
SETS = {
    "none (floor)": [],
    "ours": ["(ingest_xid)", "(tenant_id, event_time, event_id)"],
    "the seed's five": ["(tenant_id)", "(timestamp)", "(event_name)", "(user_id)", "(session_id)"],
    "ours and the seed's": ["(ingest_xid)", "(tenant_id, event_time, event_id)", "(tenant_id)", "(timestamp)",
                            "(event_name)", "(user_id)", "(session_id)"],
}  # fmt: skip


def events(count: int) -> list[tuple[object, ...]]:
    """Seeded events of five tenants, in arrival order."""
    rng = random.Random(7)
    tenants = [uuid.UUID(int=rng.getrandbits(128)) for _ in range(5)]
    start = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
    names = ["page_view"] * 6 + ["user_action"] * 3 + ["signup", "purchase", "error"]
    rows: list[tuple[object, ...]] = []
    for number in range(count):
        at = start + dt.timedelta(milliseconds=number * 20 + rng.randrange(5_000))
        rows.append(
            (rng.choice(tenants), uuid.UUID(int=rng.getrandbits(128)), f"user-{rng.randrange(20_000)}",
             f"session-{rng.randrange(60_000)}", rng.choice(names), "general",
             f'{{"plan": "pro", "amount": {rng.randrange(1000)}}}', at, at, 0, at, '{"browser": "Chrome"}', 1.0)
        )  # fmt: skip
    return rows


async def copy_rate(connection: asyncpg.Connection, table: str, rows: list[tuple[object, ...]]) -> float:
    """Events a second through COPY in batches of 2,000, each in its own durable transaction."""
    started = time.perf_counter()
    for first in range(0, len(rows), BATCH):
        await connection.copy_records_to_table(table, records=rows[first : first + BATCH], columns=COLUMNS)
    return len(rows) / (time.perf_counter() - started)


async def median_ms(connection: asyncpg.Connection, sql: str, *arguments: object) -> float:
    """Median of eleven runs."""
    times = []
    for _ in range(11):
        started = time.perf_counter()
        await connection.fetch(sql, *arguments)
        times.append(time.perf_counter() - started)
    return sorted(times)[5] * 1000


async def measure(dsn: str, count: int) -> None:
    """Prints the two tables."""
    await migrate(dsn)
    connection = await asyncpg.connect(dsn)
    rows = events(count)
    print(f"{count:,} events, batches of {BATCH:,}, one connection, fsync on\n")
    print(f"{'indexes':<22}{'events/s':>10}{'of floor':>10}{'index bytes/event':>19}")
    floor = 0.0
    for name, indexes in SETS.items():
        table = "bench_" + "".join(c for c in name if c.isalpha())
        await connection.execute(
            f"CREATE TABLE {table} (LIKE analytics_events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
        )
        for index in indexes:
            await connection.execute(f"CREATE INDEX ON {table} {index}")
        rate = await copy_rate(connection, table, rows)
        floor = floor or rate
        size = await connection.fetchval("SELECT pg_indexes_size($1::regclass)", table)
        print(f"{name:<22}{rate:>10,.0f}{rate / floor:>10.2f}{size / count:>19.0f}")

    keys = random.Random(1).sample(rows, 100)
    page = (
        "SELECT e.event_id FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[]) AS k (t, at, id) "
        "JOIN {table} e ON e.tenant_id = k.t AND e.event_time = k.at AND e.event_id = k.id"
    )
    page_arguments = ([k[0] for k in keys], [k[10] for k in keys], [k[1] for k in keys])
    follow = "SELECT count(*) FROM {table} WHERE ingest_xid >= (SELECT max(ingest_xid) FROM {table})"
    print(f"\n{'access path':<38}{'with index ms':>14}{'without ms':>12}")
    for name, sql, arguments in (("a page of 100 events by key", page, page_arguments), ("newest batch", follow, ())):
        with_index = await median_ms(connection, sql.format(table="bench_ours"), *arguments)
        without = await median_ms(connection, sql.format(table="bench_nonefloor"), *arguments)
        print(f"{name:<38}{with_index:>14.2f}{without:>12.2f}")
    await connection.close()


def main() -> None:
    """Runs on a PostgreSQL of its own."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 400_000
    [port] = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="obc-bench-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder) / "pg", port, Path(folder) / "pg.log", {"max_wal_size": "4GB"})
        server.start()
        try:
            asyncio.run(measure(server.dsn(), count))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
