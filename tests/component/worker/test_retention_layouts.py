"""Retention over random layouts of tenants, months and ages: exactly the expired rows are gone, whatever the order."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obc_common.clock import ManualClock
from tests.support.databases import run_apart
from tests.support.tenant_config import connected
from tests.support.worker import DAY, event_times, new_tenant, open_jobs, partitions, store_events

NOW = datetime(2025, 6, 15, 12, tzinfo=UTC)


@dataclass(frozen=True)
class TenantLayout:
    """A tenant; `ages` are its events', in hours before NOW."""

    days: int | None
    own: bool
    ages: Sequence[int]


layouts = st.lists(
    st.builds(
        TenantLayout,
        days=st.one_of(st.none(), st.sampled_from([1, 14, 15, 30, 45, 46, 76, 90, 106, 120, 365])),
        own=st.booleans(),
        ages=st.lists(st.integers(min_value=0, max_value=24 * 200), min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=4,
)


async def _reset(dsn: str) -> None:
    async with connected(dsn) as connection:
        for name in await partitions(dsn):
            if "_t_" not in name:
                await connection.execute(f"DROP TABLE {name}")
        await connection.execute("TRUNCATE tenant_configs, tenants CASCADE")


async def _check(dsn: str, layout: Sequence[TenantLayout], order: Sequence[str]) -> None:
    await _reset(dsn)
    tenants: list[tuple[uuid.UUID, TenantLayout]] = []
    for tenant in layout:
        tenants.append((await new_tenant(dsn, tenant.days, own_partition=tenant.own), tenant))
    for tenant_id, tenant in tenants:
        await store_events(dsn, tenant_id, [NOW - timedelta(hours=age) for age in tenant.ages])
    months_before = await partitions(dsn)

    async with open_jobs(dsn, clock=ManualClock(round(NOW.timestamp() * 1000)), worker_batch_rows=3) as jobs:
        await jobs.done(*order)

    for tenant_id, tenant in tenants:
        moments = sorted(NOW - timedelta(hours=age) for age in tenant.ages)
        kept = moments if tenant.days is None else [at for at in moments if at >= NOW - tenant.days * DAY]
        assert await event_times(dsn, tenant_id) == kept, tenant
    # A partition is gone exactly when it is wholly older than whoever may have rows in it.
    expected = {name for name in months_before if not _is_expired(name, tenants)}
    assert await partitions(dsn) == expected


def _is_expired(name: str, tenants: Sequence[tuple[uuid.UUID, TenantLayout]]) -> bool:
    month, _, owner = name.removeprefix("analytics_events_y").partition("_t_")
    year, number = int(month[:4]), int(month[5:])
    end = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    whole = all(tenant.days is not None and end <= NOW - tenant.days * DAY for _, tenant in tenants)
    own = any(
        tenant_id.hex == owner and tenant.days is not None and end <= NOW - tenant.days * DAY
        for tenant_id, tenant in tenants
    )
    return whole or own


@given(layout=layouts, order=st.permutations(["expired_partitions", "expired_events"]))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_exactly_the_expired_rows_and_partitions_are_gone(
    module_database: str, layout: Sequence[TenantLayout], order: Sequence[str]
) -> None:
    run_apart(_check(module_database, layout, order))


async def test_a_held_table_delays_a_drop_and_inserts_for_a_second_at_most(database: str) -> None:
    tenant = await new_tenant(database, 1)
    await store_events(database, tenant, [datetime(2025, 1, 5, tzinfo=UTC)])
    async with connected(database) as reader, open_jobs(database) as jobs:
        transaction = reader.transaction()
        await transaction.start()
        await reader.execute("SELECT count(*) FROM analytics_events")
        # When somebody reads for long
        [ending] = await jobs.run("expired_partitions")
        assert (ending.outcome.value, asyncpg.LockNotAvailableError.__name__ in ending.error) == ("failed", True)
        await transaction.rollback()
        # Then the next attempt does it
        await jobs.done("expired_partitions")
    assert await partitions(database) == set()
