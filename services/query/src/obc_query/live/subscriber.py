"""One live stream's mailbox: bounded, the oldest message gives way, what is lost is counted."""

import asyncio
from collections import deque

from obc_common.live import LiveEvent, LiveMessage
from obc_query.live.snapshot import Snapshot
from obc_query.metrics import LIVE_SKIPPED


class Subscriber:
    """Filled by the hub, emptied by one stream. Only the newest snapshot is kept."""

    def __init__(self, max_messages: int) -> None:
        self._messages: deque[LiveMessage] = deque()
        self._max_messages = max_messages
        self._skipped = 0
        self._snapshot: Snapshot | None = None
        self._something = asyncio.Event()

    def offer(self, message: LiveMessage) -> None:
        """Adds a message; the oldest gives way when there is no room."""
        if len(self._messages) >= self._max_messages:
            lost = self._messages.popleft()
            self._skipped += len(lost.events) + lost.skipped
            LIVE_SKIPPED.inc(len(lost.events) + lost.skipped)
        self._messages.append(message)
        self._something.set()

    def show(self, snapshot: Snapshot) -> None:
        """Puts a newer snapshot in the place of the one before."""
        self._snapshot = snapshot
        self._something.set()

    async def take(self) -> tuple[LiveMessage | None, Snapshot | None]:
        """Waits for something, then takes it all: the events as one message, and the newest snapshot."""
        await self._something.wait()
        self._something.clear()
        events: list[LiveEvent] = []
        skipped, self._skipped = self._skipped, 0
        while self._messages:
            message = self._messages.popleft()
            events.extend(message.events)
            skipped += message.skipped
        snapshot, self._snapshot = self._snapshot, None
        return (LiveMessage(tuple(events), skipped) if events or skipped else None), snapshot
