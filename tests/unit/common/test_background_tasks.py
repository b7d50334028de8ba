"""Background tasks end when they are told to, whatever their clean-up does."""

import asyncio

from obc_common.tasks import background
from tests.support.eventually import eventually


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


async def test_a_body_whose_group_of_tasks_fails_is_started_again_every_time() -> None:
    runs = 0

    async def fails_later() -> None:
        await asyncio.sleep(0)
        raise ConnectionError("away")

    async def body() -> None:
        nonlocal runs
        runs += 1
        async with asyncio.TaskGroup() as group:
            group.create_task(fails_later())
            group.create_task(asyncio.sleep(60))

    async with background({"body": body}):
        await eventually(lambda: runs >= 3, timeout=10)
