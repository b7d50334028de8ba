"""Background tasks with an owner: started together, restarted when they crash, cancelled and awaited at the end."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from obc_common.logs import get_logger

_log = get_logger(__name__)
_FIRST_DELAY = 0.2
_LONGEST_DELAY = 10.0

Body = Callable[[], Awaitable[None]]


@asynccontextmanager
async def background(bodies: Mapping[str, Body]) -> AsyncIterator[None]:
    """Runs each body as a task while the context is open.

    A body that raises is logged and started again after a jittered, growing delay; one that returns is done.
    At exit every task is cancelled and awaited.
    """
    ending = asyncio.Event()
    tasks = [asyncio.create_task(_keep_running(name, body, ending), name=name) for name, body in bodies.items()]
    try:
        yield
    finally:
        ending.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_running(name: str, body: Body, ending: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    delay = _FIRST_DELAY
    while True:
        started = loop.time()
        try:
            await body()
            return
        except Exception:
            if ending.is_set():
                raise  # its clean-up failed while it was being cancelled: it must end all the same
            _forget_cancellations()
            _log.exception("background_task_failed", task=name)
        if loop.time() - started > 60:
            delay = _FIRST_DELAY
        await asyncio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311  # jitter, no secret
        delay = min(delay * 2, _LONGEST_DELAY)


def _forget_cancellations() -> None:
    """A TaskGroup of Python 3.11 whose child fails while it waits leaves its task marked as cancelled (it is not): the
    next one would then end it.
    """
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()
