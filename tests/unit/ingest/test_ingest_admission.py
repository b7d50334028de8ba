"""Bytes under way are bounded per process and per tenant."""

import pytest

from obc_common.errors import ResourceExhausted, Unavailable
from obc_ingest.admission import ByteBudget


def test_a_tenant_over_its_share_is_told_to_slow_down_and_others_go_on() -> None:
    budget = ByteBudget(100, 50)
    with budget.hold("flood", 40):
        with pytest.raises(ResourceExhausted) as refused, budget.hold("flood", 20):
            pass
        with budget.hold("calm", 20):
            pass
    assert refused.value.reason == "TENANT_BUSY"
    assert refused.value.retry_after is not None
    with budget.hold("flood", 40):
        pass


def test_a_full_process_refuses_everybody_until_there_is_room() -> None:
    budget = ByteBudget(100, 60)
    with budget.hold("a", 60), budget.hold("b", 40), pytest.raises(Unavailable) as refused, budget.hold("c", 1):
        pass
    assert refused.value.reason == "OVERLOADED"
    with budget.hold("c", 1):
        pass


def test_a_tenants_first_batch_is_taken_whatever_its_size() -> None:
    with ByteBudget(100, 10).hold("a", 90):
        pass
