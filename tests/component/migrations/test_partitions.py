"""Month partitions, made by whoever needs them first."""

import asyncio
from datetime import UTC, datetime

import asyncpg


async def _ensure(dsn: str, ready: asyncio.Barrier) -> int:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await ready.wait()
        made: int = await connection.fetchval(
            "SELECT obc_ensure_partitions($1, $2)", datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC)
        )
        return made
    finally:
        await connection.close()


async def test_many_that_need_the_same_months_at_once_make_each_once(database: str) -> None:
    ready = asyncio.Barrier(6)

    made = await asyncio.gather(*(_ensure(database, ready) for _ in range(6)))

    assert sum(made) == 6
