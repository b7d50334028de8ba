"""A tenant's rate, and its daily quota: a prefix of the batch, shared by replicas, kept over restarts."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from obc_common.clock import ManualClock
from obc_common.errors import OutOfRange, ResourceExhausted
from obc_common.postgres import Pool, create_pool
from obc_dev.servers.redis import RedisServer
from obc_ingest.quota import QuotaBook
from tests.support.ingest import Ingest, event, now_ms, running_ingest, sender
from tests.support.tenant_config import TenantConfig

TENANT = "0190a0a0-0000-7000-8000-0000000000aa"
DAY = 86_400


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    pool = await create_pool(database, role="obc_ingest", name="test")
    yield pool
    await pool.close()


def results(answer: dict[str, object]) -> list[tuple[str, str]]:
    listed = answer["results"]
    assert isinstance(listed, list)
    return [(result["result"], result.get("code", "")) for result in listed]


async def test_a_prefix_of_the_batch_is_stored_and_the_rest_is_dropped_by_quota(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant(event_quota_per_day=5)
    first = [event() for _ in range(3)]
    assert (await ingest.send(tenant, first))["accepted"] == 3

    second = [event() for _ in range(4)]
    answer = await ingest.send(tenant, second)

    assert results(answer) == [("accepted", ""), ("accepted", ""), ("dropped", "quota"), ("dropped", "quota")]
    assert len(await ingest.stored(tenant)) == 5


async def test_a_dropped_event_is_no_duplicate_when_it_comes_again_with_room(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant(event_quota_per_day=1)
    events = [event(), event()]
    assert results(await ingest.send(tenant, events)) == [("accepted", ""), ("dropped", "quota")]

    await ingest.change_rules(tenant, event_quota_per_day=10)
    await ingest.knows(tenant, version=3)

    assert results(await ingest.send(tenant, events)) == [("duplicate", ""), ("accepted", "")]


async def test_duplicates_and_bad_events_cost_nothing(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant(event_quota_per_day=3)
    events = [event(), event()]
    for _ in range(3):
        await ingest.send(tenant, [*events, {"event_name": "bad"}])
    assert (await ingest.send(tenant, [event()]))["accepted"] == 1
    assert results(await ingest.send(tenant, [event()])) == [("dropped", "quota")]


async def test_a_tenant_without_a_quota_is_not_counted(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    await ingest.send(tenant, [event()])
    assert await ingest.rows("SELECT 1 FROM event_quota_use WHERE tenant_id = $1", tenant) == []
    assert sender(tenant).tenant_id == tenant


async def test_replicas_together_never_grant_more_than_the_quota(pool: Pool) -> None:
    books = [QuotaBook(pool, ManualClock(now_ms())) for _ in range(4)]
    granted = await asyncio.gather(*(book.take(TENANT, 1000, 7) for book in books for _ in range(100)))
    assert sum(granted) <= 1000
    assert sum(granted) >= 1000 - 4 * 10  # each may hold one unspent share


async def test_a_restart_forgets_nothing_and_gives_back_what_was_not_spent(pool: Pool) -> None:
    clock = ManualClock(now_ms())
    book = QuotaBook(pool, clock)
    assert await book.take(TENANT, 10_000, 30) == 30
    await book.close()
    used = await pool.fetchval("SELECT events FROM event_quota_use WHERE tenant_id = $1", TENANT)
    assert used == 30


async def test_a_new_day_has_its_quota_and_the_old_days_row_is_removed(pool: Pool) -> None:
    clock = ManualClock(now_ms())
    book = QuotaBook(pool, clock)
    assert await book.take(TENANT, 5, 8) == 5
    assert await book.take(TENANT, 5, 1) == 0
    clock.advance(DAY)
    assert await book.take(TENANT, 5, 8) == 5
    assert await pool.fetchval("SELECT count(*) FROM event_quota_use WHERE tenant_id = $1", TENANT) == 1


async def test_rate_limits_are_refused_with_a_time_and_too_dear_batches_for_good(
    module_database: str, shared_redis: RedisServer, tenant_config: TenantConfig
) -> None:
    limits = {"ingest_rate_per_second": 1000, "ingest_burst": 20, "max_events_per_batch": 20}
    async with running_ingest(module_database, shared_redis.url, tenant_config, **limits) as limited:
        tenant = await limited.make_tenant()
        assert (await limited.send(tenant, [event() for _ in range(20)]))["accepted"] == 20

        with pytest.raises(ResourceExhausted) as refused:
            for _ in range(10):
                await limited.send(tenant, [event() for _ in range(20)])
        with pytest.raises(OutOfRange) as too_many:
            await limited.send(tenant, [event() for _ in range(21)])

    assert refused.value.reason == "RATE_LIMITED"
    assert refused.value.retry_after is not None
    assert too_many.value.reason == "TOO_MANY_EVENTS"
