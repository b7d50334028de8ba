"""Waiting on a condition, never on time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(
    predicate: Callable[[], T | Awaitable[T]], timeout: float = 5.0, *, interval: float = 0.01, message: str = ""
) -> T:
    """Polls `predicate` (plain or async) until it answers something true, and answers that.

    Fails the test after `timeout` seconds, naming the last answer. An exception of the predicate is not swallowed.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = predicate()
        value: T = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"{message or predicate} did not come true within {timeout} s; last answer: {value!r}")
        await asyncio.sleep(interval)
