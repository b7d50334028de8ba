"""Health as a cached verdict: checks run in the background, probes only read what they found.

A check that hangs turns its component bad by its timeout; a checker that dies turns it bad by staleness.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from obc_common.clock import Clock

Check = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    """What is known of one component.

    Attributes:
        ok: the last check passed, recently.
        detail: why not, in a few words.
        critical: without it the process is not ready.
    """

    ok: bool
    detail: str
    critical: bool


@dataclass(slots=True)
class _Component:
    check: Check
    interval: float
    timeout: float
    critical: bool
    ok: bool = False
    detail: str = "not checked yet"
    checked_at: float | None = None


class HealthRegistry:
    """The components of one process and their last verdicts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._components: dict[str, _Component] = {}

    def register(
        self, name: str, check: Check, *, interval: float = 5.0, timeout: float = 2.0, critical: bool = True
    ) -> None:
        """Adds a component. `check` raises when it is not well; seconds throughout."""
        self._components[name] = _Component(check, interval, timeout, critical)

    async def run(self) -> None:
        """Checks every component at its interval until cancelled. To be owned by `tasks.background`."""
        async with asyncio.TaskGroup() as group:
            for component in self._components.values():
                group.create_task(self._watch(component))

    async def check_now(self) -> None:
        """Checks every component once."""
        await asyncio.gather(*(self._check(component) for component in self._components.values()))

    def ready(self) -> bool:
        """True when every critical component is well."""
        return all(health.ok for health in self.components().values() if health.critical)

    def components(self) -> dict[str, ComponentHealth]:
        """The verdicts by name."""
        return {name: self._verdict(component) for name, component in self._components.items()}

    async def _watch(self, component: _Component) -> None:
        while True:
            await self._check(component)
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError  # the check ate it, as the Redis client does while it connects
            # A bad component is looked at again soon, so that recovery shows.
            await asyncio.sleep(component.interval if component.ok else min(1.0, component.interval))

    async def _check(self, component: _Component) -> None:
        try:
            async with asyncio.timeout(component.timeout):
                await component.check()
        except TimeoutError:
            component.ok, component.detail = False, f"no answer in {component.timeout:g} s"
        except Exception as error:  # whatever a check raises means that the component is not well
            component.ok, component.detail = False, f"{type(error).__name__}: {error}"[:200]
        else:
            component.ok, component.detail = True, ""
        component.checked_at = self._clock.monotonic()

    def _verdict(self, component: _Component) -> ComponentHealth:
        if component.checked_at is not None:
            age = self._clock.monotonic() - component.checked_at
            if age > 3 * (component.interval + component.timeout):
                return ComponentHealth(False, f"last checked {age:.0f} s ago", component.critical)
        return ComponentHealth(component.ok, component.detail, component.critical)
