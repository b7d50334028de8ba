"""What was decided about a device goes when its last event is gone, and not while the read model lacks it."""

import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from obc_common.clock import ManualClock
from obc_common.tenant_state import TenantRules
from obc_query.freshness import Freshness
from obc_query.identity.decisions import LinkDecisions
from obc_query.identity.forgetting import ForgottenDevices
from obc_query.identity.unlinked import NONE_UNLINKED
from tests.support.query_service import default_rules
from tests.support.read_model import ReadModel
from tests.support.stored_events import Stored

NOW = 1_760_000_000_000


class Tenants:
    """The tenants that there are."""

    def __init__(self, *tenant_ids: str) -> None:
        self._rules = [default_rules(tenant_id) for tenant_id in tenant_ids]

    def all_rules(self) -> Sequence[TenantRules]:
        return [replace(rules) for rules in self._rules]


class Passes:
    """Passes of a process whose read model is as fresh as the test says."""

    def __init__(self, model: ReadModel, tenant_id: str) -> None:
        self.clock = ManualClock(NOW)
        self.decisions = LinkDecisions(10, model.pool, model.askers.unlinked, model.clock)
        self.freshness = Freshness(self.clock)
        self.made("first")
        self.forgotten = ForgottenDevices(
            self.decisions, model.askers, Tenants(str(uuid.uuid4()), tenant_id), self.freshness, seconds=3600
        )

    def made(self, generation: str) -> None:
        """The read model was made (anew), and has everything."""
        self.freshness.started(generation, 0)
        self.fresh()
        self.freshness.mark_caught_up()

    def fresh(self) -> None:
        """It has everything up to now."""
        self.freshness.looked(self.clock.now_ms(), 1)
        self.freshness.projected(1, ())


@pytest.fixture
async def passes(read_model: ReadModel, tenant_id: str) -> AsyncIterator[Passes]:
    """A tenant that has unlinked two devices; of one of them no event is left."""
    await read_model.store(tenant_id, [Stored(NOW, anonymous="here"), Stored(NOW, anonymous="gone")])
    made = Passes(read_model, tenant_id)
    for device in ("here", "gone"):
        await made.decisions.decide(tenant_id, device, "unlink", "ann")
    handle = read_model.warehouse.connect()
    handle.command("DELETE FROM events WHERE anonymous_id = 'gone'")
    yield made
    handle.close()


async def test_a_device_that_is_gone_in_two_passes_is_forgotten(
    passes: Passes, read_model: ReadModel, tenant_id: str
) -> None:
    assert (await read_model.askers.unlinked.of(tenant_id)).devices == ("gone", "here")
    assert [await passes.forgotten.forget() for _ in range(3)] == [0, 1, 0]
    assert await passes.decisions.devices(tenant_id) == ["here"]
    assert (await read_model.askers.unlinked.of(tenant_id)).devices == ("here",)


async def test_a_device_that_comes_back_in_between_is_not(
    passes: Passes, read_model: ReadModel, tenant_id: str
) -> None:
    await passes.forgotten.forget()
    await read_model.store(tenant_id, [Stored(NOW + 1, anonymous="gone")])
    assert [await passes.forgotten.forget() for _ in range(2)] == [0, 0]
    assert await passes.decisions.devices(tenant_id) == ["gone", "here"]


async def test_nothing_is_forgotten_by_a_read_model_that_is_behind(passes: Passes, tenant_id: str) -> None:
    await passes.forgotten.forget()
    passes.clock.advance(61)
    assert await passes.forgotten.forget() == 0
    # and what was seen before does not count any more
    passes.fresh()
    assert [await passes.forgotten.forget() for _ in range(2)] == [0, 1]


async def test_what_another_making_of_the_read_model_lacked_does_not_count(passes: Passes, tenant_id: str) -> None:
    await passes.forgotten.forget()
    passes.made("second")
    assert [await passes.forgotten.forget() for _ in range(2)] == [0, 1]


async def test_a_tenant_without_decisions_is_left_alone(read_model: ReadModel, tenant_id: str) -> None:
    await read_model.store(tenant_id, [Stored(NOW, anonymous="d")])
    passes = Passes(read_model, tenant_id)
    assert [await passes.forgotten.forget() for _ in range(2)] == [0, 0]
    assert await read_model.askers.unlinked.of(tenant_id) == NONE_UNLINKED
