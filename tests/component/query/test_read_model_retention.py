"""Retention of the read model: exactly what PostgreSQL loses, whole parts at once where possible."""

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from obc_common.clock import ManualClock
from obc_common.tenant_state import TenantRules
from obc_query.retention import ReadModelRetention
from tests.support.read_model import ReadModel
from tests.support.stored_events import Stored

DAY = 86_400_000
NOW = 1_760_000_000_000  # 9 October 2025, 08:53:20

RULES = TenantRules("", 1, True, "standard", 365, True, True, ("*",), (), 1.0, "obey")


@dataclass
class Rules:
    """The tenants' retention, and how old that knowledge is."""

    days: dict[str, int]
    age: float = 0.0

    def all_rules(self) -> Sequence[TenantRules]:
        return [replace(RULES, tenant_id=tenant_id, retention_days=days) for tenant_id, days in self.days.items()]

    def age_seconds(self) -> float:
        return self.age


def retention(model: ReadModel, rules: Rules, now: int = NOW) -> ReadModelRetention:
    return ReadModelRetention(
        model.warehouse, model.projector_pool, rules, model.freshness, ManualClock(now), seconds=3600
    )


def times(model: ReadModel, tenant_id: str) -> list[int]:
    rows = model.rows(
        f"SELECT toUnixTimestamp64Milli(event_time) FROM events WHERE tenant_id = '{tenant_id}' ORDER BY 1"
    )
    return [int(row[0]) for row in rows]


async def test_the_boundary_is_exact_and_other_tenants_keep_theirs(read_model: ReadModel, tenant_id: str) -> None:
    other, unknown = str(uuid.uuid4()), str(uuid.uuid4())
    boundary = NOW - 30 * DAY
    for one in (tenant_id, other, unknown):
        await read_model.store(one, [Stored(at) for at in (boundary - 1, boundary, NOW)])

    expired = await retention(read_model, Rules({tenant_id: 30, other: 365})).remove()

    assert times(read_model, tenant_id) == [boundary, NOW]
    assert times(read_model, other) == times(read_model, unknown) == [boundary - 1, boundary, NOW]
    assert expired.tenants == {tenant_id}
    # and once more does nothing
    again = await retention(read_model, Rules({tenant_id: 30, other: 365})).remove()
    assert (again.parts, again.deletions, again.tenants) == (0, 0, frozenset())


async def test_months_that_nobody_keeps_go_as_whole_parts(read_model: ReadModel, tenant_id: str) -> None:
    await read_model.store(tenant_id, [Stored(NOW - days * DAY) for days in (0, 100, 130, 160)])
    version = read_model.freshness.version(tenant_id)

    expired = await retention(read_model, Rules({tenant_id: 60})).remove()

    assert times(read_model, tenant_id) == [NOW]
    assert (expired.parts, expired.deletions) == (3, 0)
    # and no answer from before is given again
    assert read_model.freshness.version(tenant_id) != version


async def test_without_tenants_nothing_goes(read_model: ReadModel, tenant_id: str) -> None:
    await read_model.store(tenant_id, [Stored(NOW - 4000 * DAY)])

    await retention(read_model, Rules({})).remove()

    assert len(times(read_model, tenant_id)) == 1


async def test_what_comes_late_and_is_old_goes_with_the_next_pass_and_the_projector_goes_on(
    read_model: ReadModel, tenant_id: str
) -> None:
    rules = Rules({tenant_id: 30})
    await read_model.store(tenant_id, [Stored(NOW - 100 * DAY), Stored(NOW)])
    await retention(read_model, rules).remove()
    await read_model.store(tenant_id, [Stored(NOW - 100 * DAY), Stored(NOW - 1), Stored(NOW)])
    assert len(times(read_model, tenant_id)) == 4

    await retention(read_model, rules).remove()

    assert times(read_model, tenant_id) == [NOW - 1, NOW, NOW]


@pytest.mark.parametrize("seed", range(6))
async def test_random_layouts_lose_exactly_what_is_expired(read_model: ReadModel, seed: int) -> None:
    chance = random.Random(seed)
    days = {str(uuid.uuid4()): chance.choice([1, 7, 8, 30, 38, 39, 69, 365]) for _ in range(5)}
    stored: dict[str, list[int]] = {tenant: [] for tenant in [*days, str(uuid.uuid4())]}
    for _ in range(4):
        for tenant, ats in stored.items():
            fresh = [NOW - chance.randrange(100 * DAY) for _ in range(chance.randrange(6))]
            ats += fresh
            await read_model.store(tenant, [Stored(at) for at in fresh])

    await retention(read_model, Rules(days)).remove()

    for tenant, ats in stored.items():
        kept = sorted(at for at in ats if tenant not in days or at >= NOW - days[tenant] * DAY)
        assert times(read_model, tenant) == kept
