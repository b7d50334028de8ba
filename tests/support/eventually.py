"""Waiting on a condition, never on time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    predicate: Callable[[], Awaitable[T]], timeout: float = ..., *, interval: float = ..., message: str = ...
) -> T: ...


@overload
async def eventually(
    predicate: Callable[[], T], timeout: float = ..., *, interval: float = ..., message: str = ...
) -> T: ...


async def eventually(
    predicate: Callable[[], Any], timeout: float = 5.0, *, interval: float = 0.01, message: str = ""
) -> Any:
    """Polls `predicate` (plain or async) until it answers something true, and answers that.

    Fails the test after `timeout` seconds, naming the last answer. An exception of the predicate is not swallowed.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = predicate()
        value = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"{message or predicate} did not come true within {timeout} s; last answer: {value!r}")
        await asyncio.sleep(interval)
