"""One child process: its command, its output line by line, its end."""

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from obc_dev.servers.local_server import Launch

Output = Callable[[str, str], None]
_LONGEST_LINE = 64 * 1024


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process to keep running.

    Attributes:
        name: prefix of its log lines.
        launch: command, user and stop signal.
        ready: answers True once the process serves; never raises.
        environment: its whole environment.
        ready_timeout: seconds until it must be ready after the first start.
        stop_timeout: seconds it gets to end by itself before it is killed.
    """

    name: str
    launch: Launch
    ready: Callable[[], Awaitable[bool]]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready_timeout: float = 60.0
    stop_timeout: float = 30.0


class Child:
    """A running process of a spec. Whoever starts it must await `wait` or `stop`."""

    def __init__(self, spec: ProcessSpec, process: Process, output: Output) -> None:
        self._spec = spec
        self._process = process
        self._reader = asyncio.create_task(self._read(output), name=f"output of {spec.name}")

    @classmethod
    async def start(cls, spec: ProcessSpec, output: Output) -> "Child":
        """Starts it. Raises OSError when the program is not there."""
        process = await asyncio.create_subprocess_exec(
            *spec.launch.arguments(),
            env=dict(spec.environment),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            # A session of its own: Ctrl-C reaches only the supervisor, which ends things in order.
            start_new_session=True,
        )
        return cls(spec, process, output)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def wait(self) -> int:
        """Waits for its end and for its last line; answers the exit status (negative = the signal that ended it)."""
        status = await self._process.wait()
        await self._reader
        return status

    async def stop(self) -> None:
        """Asks it to end, and kills it when it takes too long."""
        self.signal(self._spec.launch.stop_signal)
        try:
            async with asyncio.timeout(self._spec.stop_timeout):
                await self._process.wait()
        except TimeoutError:
            self.kill()
        await self.wait()

    def kill(self) -> None:
        """Ends it now, with everything it started itself."""
        try:
            os.killpg(self._process.pid, 9)
        except ProcessLookupError:
            return

    def signal(self, number: int) -> None:
        """Sends it a signal; nothing happens when it is gone."""
        try:
            self._process.send_signal(number)
        except ProcessLookupError:
            return

    async def _read(self, output: Output) -> None:
        stream = self._process.stdout
        assert stream is not None
        rest = b""
        while chunk := await stream.read(_LONGEST_LINE):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                output(self._spec.name, line.decode("utf-8", "replace"))
            if len(rest) > _LONGEST_LINE:
                output(self._spec.name, rest.decode("utf-8", "replace"))
                rest = b""
        if rest:
            output(self._spec.name, rest.decode("utf-8", "replace"))
