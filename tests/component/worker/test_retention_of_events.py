"""Retention of events, exactly: what is older than its tenant keeps is gone, everything else is there."""

import uuid
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from obc_common.clock import ManualClock
from tests.support.tenant_config import connected
from tests.support.worker import (
    DAY,
    event_times,
    fetch,
    new_tenant,
    open_jobs,
    partitions,
    set_retention,
    store_events,
)

RETENTION = ("expired_partitions", "expired_events")
# As of noon of a day in the middle of a month.
NOW = datetime(2025, 6, 15, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
_ROWS_READ_IN_SEQUENCE = (
    "SELECT sum(seq_tup_read)::bigint FROM pg_stat_user_tables WHERE relname LIKE 'analytics_events%'"
)


def clock_at(moment: datetime) -> ManualClock:
    return ManualClock(round(moment.timestamp() * 1000))


async def test_the_boundary_is_exact_to_the_microsecond(database: str) -> None:
    tenant = await new_tenant(database, 30)
    boundary = NOW - 30 * DAY
    await store_events(database, tenant, [boundary - TICK, boundary, boundary + TICK])

    async with open_jobs(database, clock=clock_at(NOW)) as jobs:
        await jobs.done(*RETENTION)

    assert await event_times(database, tenant) == [boundary, boundary + TICK]


async def test_a_month_goes_as_a_whole_only_when_every_tenant_is_done_with_it(database: str) -> None:
    short, long = await new_tenant(database, 10), await new_tenant(database, 100)
    march, april, may, june = (datetime(2025, month, 3, tzinfo=UTC) for month in (3, 4, 5, 6))
    february = datetime(2025, 2, 3, tzinfo=UTC)
    for tenant in (short, long):
        await store_events(database, tenant, [february, march, april, may, june, NOW])

    async with open_jobs(database, clock=clock_at(NOW)) as jobs:
        await jobs.done(*RETENTION)

    # 100 days before NOW is 7 March: February is older for both, March only in part.
    assert await partitions(database) == {f"analytics_events_y2025m{month:02}" for month in (3, 4, 5, 6)}
    assert await event_times(database, short) == [NOW]
    assert await event_times(database, long) == [april, may, june, NOW]


async def test_a_month_that_ends_on_the_boundary_is_dropped_and_not_a_moment_earlier(database: str) -> None:
    await new_tenant(database, 10)
    await store_events(database, uuid.uuid4(), [datetime(2025, 5, 20, tzinfo=UTC)])
    end_of_may = datetime(2025, 6, 1, tzinfo=UTC)

    async with open_jobs(database, clock=clock_at(end_of_may + 10 * DAY - timedelta(milliseconds=1))) as jobs:
        await jobs.done(*RETENTION)
    assert await partitions(database) == {"analytics_events_y2025m05"}

    async with open_jobs(database, clock=clock_at(end_of_may + 10 * DAY)) as jobs:
        await jobs.done(*RETENTION)
    assert await partitions(database) == set()


async def test_an_own_partition_is_dropped_while_the_month_stays_for_the_others(database: str) -> None:
    own, other = await new_tenant(database, 20, own_partition=True), await new_tenant(database, 365)
    april, may = datetime(2025, 4, 10, tzinfo=UTC), datetime(2025, 5, 10, tzinfo=UTC)
    for tenant in (own, other):
        await store_events(database, tenant, [april, may, NOW])

    async with open_jobs(database, clock=clock_at(NOW)) as jobs:
        await jobs.done(*RETENTION)
        # An event of a dropped month that comes late goes the way of all shared rows.
        await store_events(database, own, [april])
        await jobs.done(*RETENTION)

    left = {name for name in await partitions(database) if own.hex in name}
    # May ends within twenty days of NOW: it stays, and what was expired in it was deleted.
    assert left == {f"analytics_events_y2025m{month:02}_t_{own.hex}" for month in (5, 6)}
    assert await event_times(database, own) == [NOW]
    assert await event_times(database, other) == [april, may, NOW]


async def test_many_rows_go_in_bounded_batches(database: str) -> None:
    tenant = await new_tenant(database, 5)
    await store_events(database, tenant, [NOW - 6 * DAY - n * timedelta(hours=1) for n in range(250)] + [NOW])

    async with open_jobs(database, clock=clock_at(NOW), worker_batch_rows=40) as jobs:
        await jobs.done("expired_events")

    assert await event_times(database, tenant) == [NOW]


async def test_a_changed_retention_counts_from_the_next_round_on(database: str) -> None:
    tenant = await new_tenant(database, 365)
    old = NOW - 40 * DAY
    await store_events(database, tenant, [old, NOW])
    async with open_jobs(database, clock=clock_at(NOW)) as jobs:
        await jobs.done(*RETENTION)
        assert await event_times(database, tenant) == [old, NOW]
        # When the tenant keeps less, and a new tenant comes
        await set_retention(database, tenant, 30)
        newcomer = await new_tenant(database, 1)
        await store_events(database, newcomer, [NOW - 2 * DAY, NOW])
        await jobs.done(*RETENTION)

    assert await event_times(database, tenant) == [NOW]
    assert await event_times(database, newcomer) == [NOW]


async def test_a_tenant_whose_rules_are_missing_keeps_everything(database: str) -> None:
    lost, other = await new_tenant(database, None, own_partition=True), await new_tenant(database, 1)
    old = datetime(2025, 1, 5, tzinfo=UTC)
    for tenant in (lost, other):
        await store_events(database, tenant, [old])

    async with open_jobs(database, clock=clock_at(NOW)) as jobs:
        await jobs.done(*RETENTION)

    assert await event_times(database, lost) == [old]
    assert await event_times(database, other) == []


async def test_without_any_tenant_nothing_is_dropped(database: str) -> None:
    stray = uuid.uuid4()
    await store_events(database, stray, [datetime(2020, 1, 5, tzinfo=UTC)])

    async with open_jobs(database) as jobs:
        await jobs.done(*RETENTION)

    assert len(await event_times(database, stray)) == 1


@pytest.mark.parametrize("own", [False, True])
async def test_whatever_is_passed_nothing_younger_than_retention_goes(database: str, own: bool) -> None:
    now = datetime.now(UTC)
    tenant = await new_tenant(database, 30, own_partition=own)
    await store_events(database, tenant, [now - 29 * DAY, now])
    before = await partitions(database)
    far = datetime(2200, 1, 1, tzinfo=UTC)
    async with connected(database, "obc_worker") as connection:
        # When somebody who holds the worker's rights asks for everything
        assert await connection.fetch("SELECT * FROM obc_expired_partitions($1)", far) == []
        for name in before:
            assert not await connection.fetchval("SELECT obc_drop_expired_partition($1, NULL, $2)", name, far)
            assert not await connection.fetchval("SELECT obc_drop_expired_partition($1, $2, $3)", name, tenant, far)
        for name in (
            "analytics_events",
            "tenants",
            "event_ids_p0",
            "analytics_events_y2025m99",
            'x"; DROP TABLE tenants',
        ):
            assert not await connection.fetchval("SELECT obc_drop_expired_partition($1, NULL, $2)", name, far)
        assert await connection.fetchval("SELECT obc_delete_expired_events($1, $2, 2147483647)", tenant, far) == 0
        assert not await connection.fetchval("SELECT obc_drop_expired_partition(NULL, NULL, NULL)")

    assert await partitions(database) == before
    assert len(await event_times(database, tenant)) == 2


async def test_a_table_that_only_looks_like_a_month_is_left_alone(database: str) -> None:
    tenant = await new_tenant(database, 1)
    await store_events(database, tenant, [datetime(2024, 1, 5, tzinfo=UTC)])
    async with connected(database) as connection:
        # Given a partition with a month's name and another month's rows
        await connection.execute(
            """CREATE TABLE analytics_events_y2001m01 PARTITION OF analytics_events
               FOR VALUES FROM ('2026-01-01+00') TO ('2026-02-01+00')"""
        )
    async with open_jobs(database) as jobs:
        await jobs.done(*RETENTION)

    assert await partitions(database) == {"analytics_events_y2001m01"}


async def test_the_role_reads_no_event_and_deletes_nothing_by_itself(database: str) -> None:
    await store_events(database, await new_tenant(database, 1), [datetime(2025, 1, 5, tzinfo=UTC)])
    async with connected(database, "obc_worker") as connection:
        for statement in (
            "SELECT 1 FROM analytics_events",
            "DELETE FROM analytics_events",
            "SELECT 1 FROM analytics_events_y2025m01_shared",
            "DROP TABLE analytics_events_y2025m01",
            "DELETE FROM event_ids",
            "SELECT * FROM bad_rows",
            "SELECT * FROM tenants",
            "SELECT * FROM tenant_configs",
            "DELETE FROM config_changes",
            "SELECT * FROM hash_salts",
            "SELECT * FROM api_keys",
            "DELETE FROM obc_jobs.dead_letters",
            "SELECT * FROM obc_tenant_retention()",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


async def test_no_other_role_may_run_what_destroys(database: str) -> None:
    rows = await fetch(
        database,
        """SELECT p.proname, r.rolname FROM pg_proc p CROSS JOIN pg_roles r
           WHERE p.pronamespace = 'public'::regnamespace AND p.proname ~ '^obc_(drop|delete|purge|prune)_'
             AND r.rolname LIKE 'obc\\_%' AND has_function_privilege(r.oid, p.oid, 'EXECUTE')""",
    )
    assert {row["rolname"] for row in rows} == {"obc_worker"}
    assert len({row["proname"] for row in rows}) == 5


async def test_who_has_something_expired_is_found_without_reading_every_event(database: str) -> None:
    # given many events of which none is expired
    tenant = await new_tenant(database, 30)
    await store_events(database, tenant, [NOW - timedelta(minutes=minute) for minute in range(2000)])
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("VACUUM (ANALYZE) analytics_events")
        await connection.execute("SELECT pg_stat_force_next_flush()")
        before = await connection.fetchval(_ROWS_READ_IN_SEQUENCE)
        # when they are looked for
        found = await connection.fetch("SELECT obc_tenants_with_expired_events($1)", NOW)
        await connection.execute("SELECT pg_stat_force_next_flush()")
        # then no table was read from end to end
        assert found == []
        assert await connection.fetchval(_ROWS_READ_IN_SEQUENCE) == before
    finally:
        await connection.close()
