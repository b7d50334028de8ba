"""Where the process is in its life: serving, leaving (not ready any more), draining (ending what is open)."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Lifecycle:
    """Two steps towards the end, seen by probes and by open connections.

    Attributes:
        leaving: readiness is gone; new requests are still served until load balancers have noticed.
        draining: set when open sockets and streams have to end.
    """

    def __init__(self) -> None:
        self.leaving = False
        self.draining = asyncio.Event()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Counts a request, a socket or a stream that is under way."""
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def wait_idle(self, timeout: float) -> None:
        """Waits until nothing is under way, at most `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        except TimeoutError:
            return

    def leave(self) -> None:
        """Gives readiness up."""
        self.leaving = True

    def drain(self) -> None:
        """Ends what is open."""
        self.leaving = True
        self.draining.set()
