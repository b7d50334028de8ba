"""One fault: how it begins, how long it lasts, how it is taken back."""

import asyncio
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.chaos.fault_proxy import Fault
from tests.support.chaos.stack import BrokenStack
from tests.support.eventually import eventually

_RESTART_TIMEOUT = 30.0
# Longer than a flush and a database call may take: every deadline of the product passes.
_LONG_STOP = 13.0


@dataclass(frozen=True, slots=True)
class Kill:
    """`kill -9` of a process and of all it started."""

    name: str

    def __str__(self) -> str:
        return f"kill -9 {self.name}"

    async def happen(self, stack: BrokenStack) -> None:
        """Kills it; returns when it is gone."""
        old = stack.pid(self.name)
        stack.signal(self.name, signal.SIGKILL)
        await eventually(lambda: stack.pid(self.name) != old, _RESTART_TIMEOUT)


@dataclass(frozen=True, slots=True)
class Stop:
    """`SIGSTOP` for a while: a process that is there and does nothing."""

    name: str
    seconds: float

    def __str__(self) -> str:
        return f"stop {self.name} for {self.seconds:.1f} s"

    async def happen(self, stack: BrokenStack) -> None:
        """Stops it and lets it go on."""
        stack.signal(self.name, signal.SIGSTOP)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            stack.signal(self.name, signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class BadNetwork:
    """A proxy misbehaves for a while."""

    place: str
    fault: Fault
    seconds: float

    def __str__(self) -> str:
        return f"{self.fault.value} before {self.place} for {self.seconds:.1f} s"

    async def happen(self, stack: BrokenStack) -> None:
        """Breaks it and heals it."""
        proxy = stack.proxies[self.place]
        proxy.break_with(self.fault)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            proxy.heal()


OneFault = Kill | Stop | BadNetwork


@dataclass(frozen=True, slots=True)
class Together:
    """Faults at the same time."""

    faults: tuple[OneFault, ...]

    def __str__(self) -> str:
        return " + ".join(map(str, self.faults))

    async def happen(self, stack: BrokenStack) -> None:
        """All of them; returns when the last is over."""
        async with asyncio.TaskGroup() as group:
            for fault in self.faults:
                group.create_task(fault.happen(stack))


def rounds(stack: BrokenStack, rng: random.Random) -> Iterator[Together]:
    """Faults without end: first every one alone in random order, then again, then more and more of them in pairs."""
    number = 0
    while True:
        number += 1
        faults = _every_fault(stack, rng)
        rng.shuffle(faults)
        while faults:
            count = 2 if number > 1 and len(faults) > 1 and rng.random() < 0.25 * number else 1
            chosen = [faults.pop() for _ in range(count)]
            yield Together(tuple(chosen))


def _every_fault(stack: BrokenStack, rng: random.Random) -> list[OneFault]:
    long_one = rng.choice(["postgres", "ingest", "gateway", "redis"])
    return [
        *(Kill(name) for name in stack.names),
        *(Stop(name, _LONG_STOP if name == long_one else rng.uniform(1, 4)) for name in stack.names),
        *(BadNetwork(place, fault, rng.uniform(1, 4)) for place in stack.proxies for fault in Fault),
    ]
