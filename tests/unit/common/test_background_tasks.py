"""Background tasks end when they are told to, whatever their clean-up does."""

import asyncio

from obc_common.tasks import background


async def test_a_task_whose_clean_up_fails_still_ends() -> None:
    # given a body whose clean-up raises while it is cancelled
    started = asyncio.Event()

    async def fails_at_the_end() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("the connection is gone")

    # when its owner ends
    async with asyncio.timeout(5):
        async with background({"fails_at_the_end": fails_at_the_end}):
            await started.wait()
    # then it ends too, rather than being started again
