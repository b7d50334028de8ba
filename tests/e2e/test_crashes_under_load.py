"""One fault of each kind under load; all of them, again and again, are `make test-chaos`."""

import random
from pathlib import Path

import pytest

from tests.support.chaos.campaign import SETTINGS, Campaign
from tests.support.chaos.fault_proxy import Fault
from tests.support.chaos.faults import BadNetwork, Kill, Stop, Together
from tests.support.chaos.stack import broken_stack

_FAULTS = (
    Together((Kill("ingest"),)),
    Together((BadNetwork("postgres", Fault.CUT_REPLY, 1.5), BadNetwork("gateway", Fault.CUT_REPLY, 1.5))),
    Together((Stop("postgres", 1.5),)),
    Together((BadNetwork("ingest", Fault.RESET, 1.0), Stop("redis", 1.0))),
    Together((Kill("postgres"),)),
)


@pytest.mark.timeout(180)
async def test_what_is_acknowledged_survives_a_fault_of_each_kind(server_folder: Path) -> None:
    rng = random.Random(32)
    # given load on a stack of its own
    async with broken_stack(server_folder / "crashes", rng, SETTINGS) as stack:
        campaign = Campaign(stack, rng, tenants=2)
        # when
        report = await campaign.run(_FAULTS, seconds=120)
    # then
    assert len(report.faults) == len(_FAULTS)
    assert not report.wrong, report.text()
