"""The supervisor, over real processes."""

import asyncio
import io
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from obc_dev.servers.local_server import Launch
from obc_dev.supervision.child import ProcessSpec
from obc_dev.supervision.console import Console
from obc_dev.supervision.supervisor import StackError, Supervisor
from tests.support.eventually import eventually

# Says that it runs, touches its file (from then on it may be ended), waits for a signal, and says that it ends.
_SLEEPER = """
import pathlib, signal, sys, time
def end(*_):
    print(sys.argv[1], "ends", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print(sys.argv[1], "runs", flush=True)
pathlib.Path(sys.argv[2]).touch()
time.sleep(600)
"""


class Rig:
    """A supervisor, what it printed, and specs of small programs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._terminal = io.StringIO()
        self.console = Console(folder / "stack.log", self._terminal)
        self.supervisor = Supervisor(self.console)

    @property
    def printed(self) -> list[str]:
        return self._terminal.getvalue().splitlines()

    def program(self, name: str, source: str = _SLEEPER) -> ProcessSpec:
        marker = self._folder / f"{name}.ready"

        async def ready() -> bool:
            return marker.exists()

        command = (sys.executable, "-c", source, name, str(marker))
        return ProcessSpec(name, Launch(command), ready, dict(os.environ), ready_timeout=20, stop_timeout=5)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.supervisor.kill()
    await rig.supervisor.stop()
    rig.console.close()


async def test_processes_end_in_reverse_order_of_their_start(rig: Rig) -> None:
    for name in ("postgres", "ingest", "gateway"):
        await rig.supervisor.start(rig.program(name))

    await rig.supervisor.stop()

    ends = [line for line in rig.printed if line.endswith("ends")]
    assert ends == ["gateway       | gateway ends", "ingest        | ingest ends", "postgres      | postgres ends"]


async def test_a_killed_process_is_reported_and_started_again(rig: Rig) -> None:
    await rig.supervisor.start(rig.program("ingest"))
    first = rig.supervisor.pids()["ingest"]
    told: list[int] = []
    rig.supervisor.on_restart(lambda: told.append(rig.supervisor.pids()["ingest"]))

    psutil.Process(first).kill()

    await eventually(lambda: told == [rig.supervisor.pids().get("ingest")])
    assert first not in told
    assert any("ingest died (killed by SIGKILL); starting it again in 0.5 s" in line for line in rig.printed)


async def test_a_process_that_keeps_dying_ends_the_stack(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obc_dev.supervision.supervisor._FIRST_PAUSE", 0.01)

    with pytest.raises(StackError, match=r"ingest died 5 times in a row \(exit status 3\)"):
        await rig.supervisor.start(rig.program("ingest", "raise SystemExit(3)"))


async def test_a_process_that_ignores_the_signal_is_killed(rig: Rig) -> None:
    deaf = "import signal, pathlib, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    spec = rig.program("ingest", deaf + "pathlib.Path(sys.argv[2]).touch(); time.sleep(600)")
    await rig.supervisor.start(ProcessSpec(spec.name, spec.launch, spec.ready, spec.environment, stop_timeout=0.2))
    pid = rig.supervisor.pids()["ingest"]

    async with asyncio.timeout(5):
        await rig.supervisor.stop()

    assert not psutil.pid_exists(pid)


async def test_an_ending_that_is_cancelled_still_ends_everything(rig: Rig) -> None:
    await rig.supervisor.start(rig.program("ingest"), rig.program("gateway"))
    pids = rig.supervisor.pids().values()

    ending = asyncio.create_task(rig.supervisor.stop())
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending

    assert pids
    assert not any(psutil.pid_exists(pid) for pid in pids)


async def test_a_process_does_not_outlive_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    marker = tmp_path / "child.ready"
    parent = f"""
import subprocess, sys, signal, time
from obc_dev.servers.local_server import Launch
child = Launch((sys.executable, "-c", {_SLEEPER!r}, "child", {str(marker)!r})).arguments()
print(subprocess.Popen(child, start_new_session=True, stdout=subprocess.DEVNULL).pid, flush=True)
time.sleep(600)
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", parent, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    child = int(await process.stdout.readline())
    await eventually(marker.exists, timeout=20)

    process.kill()
    await process.communicate()

    await eventually(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


async def test_the_log_file_has_no_colours(rig: Rig, tmp_path: Path) -> None:
    console = Console(tmp_path / "colours.log", None)

    console.line("query", "\x1b[31mred\x1b[0m")
    console.close()

    assert (tmp_path / "colours.log").read_text() == "query         | red\n"
