"""Turns at the engine's handles: who waits gets the next one by tenant, not by arrival.

A handle is held as long as a statement runs, so who holds how many is who has how much of the engine. The next free one
goes to the waiting tenant that holds fewest; of those, to the one whose last turn is longest ago. Within a tenant it
goes by arrival.

Statements are not interrupted, so handles must be left for tenants that come later: a tenant takes a further one only
while more are free than it holds. One alone gets half of all, a second one half of the rest, and so on.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

_Thing = TypeVar("_Thing")


class Turns(Generic[_Thing]):
    """Hands things out and takes them back. A tenant that neither holds nor waits takes no memory.

    Args:
        things: what is handed out.
        most: how many one tenant may hold in any case.
    """

    def __init__(self, things: Sequence[_Thing], *, most: int) -> None:
        self._free = list(things)
        self._most = most
        self._held: dict[str, int] = {}
        # In the order of their last turns. Never an empty queue.
        self._waiting: dict[str, deque[asyncio.Future[_Thing]]] = {}

    @property
    def tenants(self) -> int:
        """How many tenants hold or wait."""
        return len(self._held.keys() | self._waiting.keys())

    async def take(self, tenant_id: str) -> _Thing:
        """The tenant's next thing, when it is its turn. Who is cancelled meanwhile holds nothing."""
        mine: asyncio.Future[_Thing] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant_id, deque()).append(mine)
        self._hand_out()
        try:
            return await mine
        except asyncio.CancelledError:
            if mine.cancelled():
                self._forget(tenant_id, mine)
            else:  # it was handed out in the same moment
                self.give_back(tenant_id, mine.result())
            raise

    def give_back(self, tenant_id: str, thing: _Thing) -> None:
        """Takes a thing back from who held it."""
        self._free.append(thing)
        self._held[tenant_id] -= 1
        if not self._held[tenant_id]:
            del self._held[tenant_id]
        self._hand_out()

    def _hand_out(self) -> None:
        while self._free and (may := [tenant_id for tenant_id in self._waiting if self._may_take(tenant_id)]):
            # Of equals `min` takes the first.
            tenant_id = min(may, key=lambda each: self._held.get(each, 0))
            queue = self._waiting.pop(tenant_id)
            next_one = queue.popleft()
            if queue:
                self._waiting[tenant_id] = queue
            if not next_one.cancelled():
                self._held[tenant_id] = self._held.get(tenant_id, 0) + 1
                next_one.set_result(self._free.pop())

    def _may_take(self, tenant_id: str) -> bool:
        held = self._held.get(tenant_id, 0)
        return not held or held < min(self._most, len(self._free))

    def _forget(self, tenant_id: str, gone: "asyncio.Future[_Thing]") -> None:
        queue = self._waiting.get(tenant_id, deque())
        if gone in queue:
            queue.remove(gone)
            if not queue:
                del self._waiting[tenant_id]
