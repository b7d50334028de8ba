"""kill -9 at every step of a batch: exactly once all the same, counted after the next start."""

import subprocess
import sys
from pathlib import Path

from tests.support.stored_events import Stored, insert_events

NOW = 1_760_000_000_000
STEPS = ("live", "intent", "insert", "done", "inside:0.01", "inside:0.04", "inside:0.08", "live")


def run_projector(dsn: str, folder: Path, step: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.support.dying_projector", dsn, f"chdb://{folder / 'store'}", step],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_every_event_is_there_once_after_any_kill(database: str, tenant_id: str, tmp_path: Path) -> None:
    stored = 0
    for step in STEPS:
        # Given events of four months, so that one insert is several parts
        events = [Stored(NOW + index * 40_000_000, properties={"n": index}) for index in range(300)]
        await insert_events(database, tenant_id, events)
        stored += len(events)
        # When the projector is killed at the step, which may be while it makes good the step before
        result = run_projector(database, tmp_path, step)
        assert (result.returncode == 0) is (step == "live"), result.stderr
    # Then nothing is missing and nothing is there twice
    assert result.stdout.split()[-2:] == [str(stored), str(stored)]
