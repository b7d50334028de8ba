"""Keeps processes running: a dead one is reported and started again, one that keeps dying ends it all."""

import asyncio
import signal
import time
from collections.abc import Callable

from obc_dev.supervision.child import Child, ProcessSpec
from obc_dev.supervision.console import Console

_QUICK_DEATH_SECONDS = 10.0
_GIVE_UP_AFTER = 5
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 8.0
_READY_POLL_SECONDS = 0.1


class StackError(Exception):
    """The stack cannot run; the message says why and what to do."""


class Supervisor:
    """Owns the processes it starts. Call `stop` in every case; it ends them in reverse order of their start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._kept: dict[str, _Kept] = {}
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._restarted: Callable[[], None] = lambda: None

    async def start(self, *specs: ProcessSpec) -> None:
        """Starts processes side by side and waits until each is ready. Raises StackError when one never is."""
        kept = [_Kept(spec, self._console, self._failed, lambda: self._restarted()) for spec in specs]
        for one in kept:
            self._kept[one.spec.name] = one
            one.task = asyncio.create_task(one.keep(), name=f"keeps {one.spec.name}")
        for one in kept:
            await self._wait_ready(one.spec)

    def on_restart(self, restarted: Callable[[], None]) -> None:
        """Calls `restarted` each time a dead process has been started again, with `pids` up to date."""
        self._restarted = restarted

    async def wait(self) -> None:
        """Waits until a process keeps dying, and then raises StackError; never returns by itself."""
        await asyncio.shield(self._failed)

    def pids(self) -> dict[str, int]:
        """The processes that run now."""
        return {name: one.child.pid for name, one in self._kept.items() if one.child is not None}

    async def stop(self) -> None:
        """Ends every process, last started first, each with the time its spec allows.

        A cancellation does not cut it short, which would leave orphans: it is passed on when everything has ended.
        """
        ending = asyncio.create_task(self._stop_all(), name="ends everything")
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await ending
            raise

    async def _stop_all(self) -> None:
        for name in reversed(list(self._kept)):
            await self._kept.pop(name).stop()
        if self._failed.done() and not self._failed.cancelled():
            self._failed.exception()  # seen: `wait` may not have been called any more

    def kill(self) -> None:
        """Ends every process now; `stop` then has nothing to wait for."""
        for one in self._kept.values():
            one.stopping = True
            if one.child is not None:
                one.child.kill()

    async def _wait_ready(self, spec: ProcessSpec) -> None:
        started = time.monotonic()
        while not await spec.ready():
            if self._failed.done():
                await self._failed
            if time.monotonic() - started > spec.ready_timeout:
                raise StackError(f"{spec.name} was not ready after {spec.ready_timeout:g} s; its log lines are above")
            await asyncio.sleep(_READY_POLL_SECONDS)
        self._console.say(f"{spec.name} is ready ({time.monotonic() - started:.1f} s)")


class _Kept:
    """One process and the task that keeps it running."""

    def __init__(
        self, spec: ProcessSpec, console: Console, failed: "asyncio.Future[None]", restarted: Callable[[], None]
    ) -> None:
        self.spec = spec
        self.child: Child | None = None
        self.task: asyncio.Task[None] | None = None
        self.stopping = False
        self._console = console
        self._failed = failed
        self._restarted = restarted

    async def keep(self) -> None:
        """Runs the process again and again until `stopping`, or until it died too often too quickly."""
        again = False
        quick_deaths = 0
        pause = _FIRST_PAUSE
        while not self.stopping:
            started = time.monotonic()
            try:
                self.child = await Child.start(self.spec, self._console.line)
            except OSError as error:
                self._fail(f"{self.spec.name} cannot be started: {error}")
                return
            if again:
                self._restarted()
            again = True
            status = await self.child.wait()
            self.child = None
            if self.stopping:
                return
            if time.monotonic() - started > _QUICK_DEATH_SECONDS:
                quick_deaths, pause = 0, _FIRST_PAUSE
            quick_deaths += 1
            if quick_deaths >= _GIVE_UP_AFTER:
                self._fail(f"{self.spec.name} died {quick_deaths} times in a row ({_ending(status)}); giving up")
                return
            self._console.complain(f"{self.spec.name} died ({_ending(status)}); starting it again in {pause:g} s")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def stop(self) -> None:
        """Ends the process and the keeping of it."""
        self.stopping = True
        if self.child is not None:
            await self.child.stop()
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    def _fail(self, reason: str) -> None:
        if not self._failed.done():
            self._failed.set_exception(StackError(reason))


def _ending(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
