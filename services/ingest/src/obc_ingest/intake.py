"""Which batches are unpacked now, and whose turn it is.

JSON grows twentyfold when it is parsed, so what is parsed at once is bounded; a batch that waits for its turn is still
the bytes that came. Parsing and judging keep the processor busy, so that taking turns costs nothing. Tenants take turns
too: a batch of a calm tenant waits for one batch of each tenant that waits as well, not for the whole flood of one.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_Waiting = deque[tuple[int, asyncio.Future[None]]]


class Intake:
    """Hands out turns: tenant by tenant, within a tenant in order of arrival.

    Args:
        at_once_bytes: raw bytes of the batches that have their turn; one larger batch may have it alone.
        at_once: batches that have their turn; more than one, for a batch may wait for Redis during its turn.
    """

    def __init__(self, at_once_bytes: int, at_once: int) -> None:
        self._at_once_bytes = at_once_bytes
        self._at_once = at_once
        self._unpacked = 0
        self._called = 0
        self._waiting: dict[str, _Waiting] = {}  # in the order of the round

    @asynccontextmanager
    async def turn(self, tenant_id: str, size: int) -> AsyncIterator[None]:
        """Waits for the turn of a tenant's batch of so many bytes."""
        await self._wait(tenant_id, size)
        try:
            yield
        finally:
            self._give_back(size)

    async def _wait(self, tenant_id: str, size: int) -> None:
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant_id, deque()).append((size, called))
        self._call_next()
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():
                self._give_back(size)  # it was called just before it gave up
            else:
                self._leave(tenant_id, (size, called))
            raise

    def _leave(self, tenant_id: str, place: tuple[int, asyncio.Future[None]]) -> None:
        waiting = self._waiting[tenant_id]
        waiting.remove(place)
        if not waiting:
            del self._waiting[tenant_id]
        self._call_next()

    def _give_back(self, size: int) -> None:
        self._unpacked -= size
        self._called -= 1
        self._call_next()

    def _call_next(self) -> None:
        while self._waiting and self._called < self._at_once:
            tenant_id, waiting = next(iter(self._waiting.items()))
            size, called = waiting[0]
            if self._unpacked and self._unpacked + size > self._at_once_bytes:
                return
            waiting.popleft()
            del self._waiting[tenant_id]
            if waiting:
                self._waiting[tenant_id] = waiting  # at the end of the round
            self._unpacked += size
            self._called += 1
            called.set_result(None)
