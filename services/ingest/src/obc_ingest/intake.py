"""Which batches are unpacked now: JSON grows twentyfold when it is parsed, so what is parsed at once is bounded.

Parsing and judging keep the processor busy, so that taking turns costs nothing. A batch that waits for its turn is
still the bytes that came, and over a bound of those it is refused before anything is spent on it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from obc_common.errors import Unavailable


class Intake:
    """Hands out turns in order of arrival.

    Args:
        at_once_bytes: raw bytes of the batches that have their turn; one larger batch may have it alone.
        most_bytes: raw bytes of those and of the batches that wait; more are refused.
    """

    def __init__(self, at_once_bytes: int, most_bytes: int) -> None:
        self._at_once_bytes = at_once_bytes
        self._most_bytes = most_bytes
        self._unpacked = 0
        self._held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def turn(self, size: int) -> AsyncIterator[None]:
        """Waits for the turn of a batch of so many bytes. Raises Unavailable(OVERLOADED)."""
        if self._held + size > self._most_bytes:
            raise Unavailable("OVERLOADED", "too many batches are waiting to be read", retry_after=1.0)
        self._held += size
        try:
            await self._wait(size)
            try:
                yield
            finally:
                self._unpacked -= size
                self._call_next()
        finally:
            self._held -= size

    async def _wait(self, size: int) -> None:
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, called))
        self._call_next()
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():
                self._unpacked -= size  # it was called just before it gave up
            else:
                self._waiting.remove((size, called))
            self._call_next()
            raise

    def _call_next(self) -> None:
        while self._waiting:
            size, called = self._waiting[0]
            if self._unpacked and self._unpacked + size > self._at_once_bytes:
                return
            self._waiting.popleft()
            self._unpacked += size
            called.set_result(None)
