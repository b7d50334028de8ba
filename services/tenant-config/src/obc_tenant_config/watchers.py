"""Who follows the changes: each has a list of what it must be told, never a queue of what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from obc_tenant_config.metrics import WATCHERS

EVERYTHING: Final = "everything"
ISSUERS: Final = "issuers"
OPERATOR_KEYS: Final = "operator_keys"

Topic = str
"""A tenant's id, or one of the three names above."""


class Watcher:
    """One follower. What it has not been told yet is a set of topics, so it is bounded by the number of tenants,
    however slow the follower is; it is told the newest state of each."""

    def __init__(self) -> None:
        self._pending: dict[Topic, None] = {EVERYTHING: None}
        self._signal = asyncio.Event()
        self._signal.set()
        self.ended = False
        """True when the follower should be let go."""

    def add(self, topics: Iterable[Topic]) -> None:
        """Notes what it must be told."""
        self._pending.update(dict.fromkeys(topics))
        self._signal.set()

    def end(self) -> None:
        """Lets it go."""
        self.ended = True
        self._signal.set()

    async def next(self, timeout: float) -> list[Topic]:
        """What it must be told next, oldest first; nothing when `timeout` seconds pass or it is let go."""
        try:
            async with asyncio.timeout(timeout):
                await self._signal.wait()
        except TimeoutError:
            return []
        self._signal.clear()
        topics, self._pending = list(self._pending), {}
        return [EVERYTHING] if EVERYTHING in topics else topics


class Watchers:
    """All followers of this process."""

    def __init__(self) -> None:
        self._open: set[Watcher] = set()
        self._ended = False

    @contextmanager
    def open(self) -> Iterator[Watcher]:
        """A follower, while the context is open. It begins with everything to be told."""
        watcher = Watcher()
        if self._ended:
            watcher.end()
        self._open.add(watcher)
        WATCHERS.inc()
        try:
            yield watcher
        finally:
            self._open.discard(watcher)
            WATCHERS.dec()

    def tell(self, topics: Iterable[Topic]) -> None:
        """Notes for every follower what changed."""
        topics = list(topics)
        for watcher in self._open:
            watcher.add(topics)

    def end_all(self) -> None:
        """Lets all go, now and from now on."""
        self._ended = True
        for watcher in self._open:
            watcher.end()
