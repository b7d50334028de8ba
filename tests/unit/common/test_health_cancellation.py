"""The registry ends when it is told to, whatever its checks do."""

import asyncio
import contextlib

from obc_common.clock import SystemClock
from obc_common.health import HealthRegistry


async def test_a_check_that_swallows_its_cancellation_does_not_keep_the_registry_alive() -> None:
    health = HealthRegistry(SystemClock())
    asked = asyncio.Event()

    async def swallows() -> None:
        asked.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    health.register("redis", swallows)
    running = asyncio.create_task(health.run())
    await asked.wait()

    running.cancel()
    ended, _ = await asyncio.wait([running], timeout=2)

    assert ended == {running}
    assert running.cancelled()
