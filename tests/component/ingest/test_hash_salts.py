"""The salts of keyed hashes: one a day, shared, destroyed in time."""

import asyncio
import uuid

from obc_common.clock import ManualClock
from obc_common.postgres import create_pool
from obc_ingest.salts import SaltStore
from tests.support.ingest import now_ms
from tests.support.tenant_config import connected


async def test_a_days_salt_is_shared_by_replicas_and_destroyed_after_48_hours(database: str) -> None:
    clock = ManualClock(now_ms())
    tenant = str(uuid.uuid4())
    pool = await create_pool(database, role="obc_ingest", name="test")
    first, second = SaltStore(pool, clock), SaltStore(pool, clock)

    one, two = await asyncio.gather(first.hasher(tenant, clock.now_ms()), second.hasher(tenant, clock.now_ms()))
    assert one.address("203.0.113.7") == two.address("203.0.113.7") != ""

    clock.advance(86_400)
    tomorrow = await first.hasher(tenant, clock.now_ms())
    assert tomorrow.address("203.0.113.7") != one.address("203.0.113.7")
    await first.destroy_old()
    async with connected(database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM hash_salts") == 2
        clock.advance(86_400)
        await first.destroy_old()
        assert await connection.fetchval("SELECT count(*) FROM hash_salts") == 1
    await pool.close()
