"""A bound on open WebSockets and event streams; none are opened while the process drains."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from obc_common.errors import Unavailable
from obc_gateway import metrics


class SocketAdmission:
    """Counts what is open.

    Args:
        limit: most at once.
        draining: set when the process is about to end.
    """

    def __init__(self, limit: int, draining: asyncio.Event) -> None:
        self._limit = limit
        self._draining = draining
        self.open = 0

    @contextmanager
    def admit(self, kind: str) -> Iterator[None]:
        """Holds a place. Raises Unavailable: DRAINING or OVERLOADED."""
        if self._draining.is_set():
            raise Unavailable("DRAINING", "this process is about to end", retry_after=1.0)
        if self.open >= self._limit:
            raise Unavailable("OVERLOADED", "too many sockets are open", retry_after=5.0)
        self.open += 1
        metrics.SOCKETS.labels(kind).inc()
        try:
            yield
        finally:
            self.open -= 1
            metrics.SOCKETS.labels(kind).dec()

    @property
    def full(self) -> bool:
        """True when no more can be opened."""
        return self.open >= self._limit
