"""Senders that behave as an SDK must: the same ids again and again until they are answered."""

import asyncio
import random
import time
import uuid
from collections.abc import Sequence

from tests.support.chaos.connections import Connection, SendError
from tests.support.chaos.journal import Journal
from tests.support.product import Event

EXCLUDED_EVENTS = ["noise*"]
"""Rule every tenant of the load needs: these events are dropped."""
_DAY_MS = 86_400_000
_LONGEST_BACKOFF = 1.0


class EventMaker:
    """Makes one tenant's events: mostly good ones, and of every other kind a few.

    Args:
        tenant_id: whose.
        journal: where their ids are noted.
        shared_ids: ids that other tenants use too.
        rng: decides.
    """

    def __init__(self, tenant_id: str, journal: Journal, shared_ids: Sequence[str], rng: random.Random) -> None:
        self._tenant_id = tenant_id
        self._journal = journal
        self._shared_ids = list(shared_ids)
        self._rng = rng
        self._count = 0

    def batch(self, size: int) -> list[Event]:
        """New events of distinct ids."""
        return [self._event() for _ in range(size)]

    def _event(self) -> Event:
        self._count += 1
        draw = self._rng.random()
        now = int(time.time() * 1000)
        event_id = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        name, timestamp, expected = "page_view", now, "accepted"
        if draw < 0.03:
            name, expected = "noise_tick", "dropped"
        elif draw < 0.06:
            timestamp, expected = now - 400 * _DAY_MS, "rejected"  # too old
        elif draw < 0.10 and self._shared_ids:
            event_id = self._shared_ids.pop()
        self._journal.plan((self._tenant_id, event_id), expected)
        return {
            "event_id": event_id,
            "event_name": name,
            "event_category": "chaos",
            "session_id": f"s-{self._count // 50}",
            "user_id": f"user-{self._count % 97}",
            "timestamp": timestamp,
            "properties": {"owner": self._tenant_id, "n": self._count},
        }


class Sender:
    """Sends batches over one connection, a few at once, until told to finish.

    Args:
        connection: the way in.
        tenant_id: whose events.
        maker: makes them.
        journal: remembers everything.
        rng: decides pauses, repetitions, and when a client gives up (a closed tab).
        batch_size: events of a batch.
        pause: mean seconds between an answer and the next batch of one worker.
        window: batches under way at once.
    """

    def __init__(
        self,
        connection: Connection,
        tenant_id: str,
        maker: EventMaker,
        journal: Journal,
        rng: random.Random,
        *,
        batch_size: int,
        pause: float,
        window: int = 2,
    ) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._maker = maker
        self._journal = journal
        self._rng = rng
        self._batch_size = batch_size
        self._pause = pause
        self._window = window
        self._finishing = asyncio.Event()

    async def run(self) -> None:
        """Sends until `finish`; returns when everything it sent is answered or given up."""
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(self._window):
                    workers.create_task(self._work())
        finally:
            await self._connection.close()

    def finish(self) -> None:
        """No new batches."""
        self._finishing.set()

    async def _work(self) -> None:
        last: list[Event] = []
        while not self._finishing.is_set():
            batch = self._maker.batch(self._batch_size)
            if last and self._rng.random() < 0.1:
                batch += last[: self._batch_size // 4]  # a client that forgot that these were answered
            await self._until_answered(batch)
            last = batch
            await asyncio.sleep(self._rng.uniform(0.5, 1.5) * self._pause)

    async def _until_answered(self, batch: Sequence[Event]) -> None:
        backoff = 0.1
        while True:
            self._journal.sending(self._tenant_id, batch)
            try:
                results = await self._connection.send(batch)
            except SendError as error:
                self._journal.failed(self._connection.way, str(error))
                if self._rng.random() < 0.02:
                    return
            else:
                assert [result["event_id"] for result in results] == [event["event_id"] for event in batch]
                self._journal.answered(self._connection.way, self._tenant_id, results)
                return
            await asyncio.sleep(backoff * self._rng.uniform(0.5, 1.5))
            backoff = min(backoff * 2, _LONGEST_BACKOFF)
