"""`make test-chaos`: every process is killed and stopped, every connection broken, under load, again and again."""

import os
import random
import shutil
from pathlib import Path

import pytest

from tests.support.chaos.campaign import SETTINGS, Campaign
from tests.support.chaos.faults import rounds
from tests.support.chaos.stack import broken_stack

_SECONDS = float(os.environ.get("OBC_CHAOS_SECONDS") or 300)
_SEED = int(os.environ.get("OBC_CHAOS_SEED") or random.randrange(1_000_000))
# Where to copy the processes' log, to look into afterwards.
_KEEP_LOG = os.environ.get("OBC_CHAOS_LOG")


@pytest.mark.timeout(_SECONDS + 420)
async def test_whatever_dies_every_acknowledged_event_is_stored_once_and_nobody_has_to_help(
    server_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # given the whole product under load from three tenants over REST, WebSocket and gRPC
    rng = random.Random(_SEED)
    with capsys.disabled():
        print(f"\nchaos for {_SECONDS:g} s with SEED={_SEED}", flush=True)
    async with broken_stack(server_folder / "chaos", rng, SETTINGS) as stack:
        campaign = Campaign(stack, rng)
        try:
            # when everything that can fail fails, one after the other and together
            report = await campaign.run(rounds(stack, rng), _SECONDS)
        finally:
            if _KEEP_LOG:
                shutil.copy(stack.state.log_file, _KEEP_LOG)
            with capsys.disabled():
                print(campaign.report.text(), flush=True)
    # then
    assert not report.wrong, report.text()
