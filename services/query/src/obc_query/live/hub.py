"""Rooms: for each tenant somebody watches, one subscription and one stream of snapshots, whatever the audience."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from redis.asyncio import Redis

from obc_common.clock import Clock
from obc_common.errors import DomainError
from obc_common.live import LiveMessage
from obc_common.logs import get_logger
from obc_query.asker import AskerFactory
from obc_query.freshness import Freshness
from obc_query.live.feed import LiveFeed
from obc_query.live.snapshot import Snapshot
from obc_query.live.subscriber import Subscriber
from obc_query.metrics import LIVE_SUBSCRIBERS
from obc_query.questions.live_snapshot import Activity, read_activity

_log = get_logger(__name__)
_SNAPSHOT_TIMEOUT = 5.0
_SUBSCRIBE_SECONDS = 1.0


@dataclass(slots=True)
class _Room:
    subscribers: set[Subscriber] = field(default_factory=set)
    snapshots: asyncio.Task[None] | None = None


class LiveHub:
    """The live feeds of one process.

    Args:
        redis: for the feed's own connection.
        askers: for the numbers.
        freshness: how far the read model is.
        clock: what `now` is.
        unhealthy: names of the process's components that are not well.
        queue_messages: messages kept for a slow subscriber.
        snapshot_seconds: pause between two snapshots.
    """

    def __init__(
        self,
        redis: Redis,
        askers: AskerFactory,
        freshness: Freshness,
        clock: Clock,
        unhealthy: Callable[[], Sequence[str]],
        *,
        queue_messages: int,
        snapshot_seconds: float,
    ) -> None:
        self.feed = LiveFeed(redis, clock, self._deliver)
        self._askers = askers
        self._freshness = freshness
        self._clock = clock
        self._unhealthy = unhealthy
        self._queue_messages = queue_messages
        self._snapshot_seconds = snapshot_seconds
        self._rooms: dict[str, _Room] = {}

    @asynccontextmanager
    async def join(self, tenant_id: str) -> AsyncIterator[Subscriber]:
        """A mailbox of the tenant's feed. Events from now on are in it when this returns, unless Redis is away."""
        subscriber = Subscriber(self._queue_messages)
        room = self._rooms.setdefault(tenant_id, _Room())
        room.subscribers.add(subscriber)
        LIVE_SUBSCRIBERS.inc()
        try:
            subscribed = self.feed.watch(tenant_id)
            try:
                async with asyncio.timeout(_SUBSCRIBE_SECONDS if self.feed.connected else 0):
                    await subscribed.wait()
            except TimeoutError:
                pass  # the first snapshot says that the feed is interrupted
            if room.snapshots is None:
                room.snapshots = asyncio.create_task(self._snapshots(tenant_id, room), name="live snapshots")
            yield subscriber
        finally:
            LIVE_SUBSCRIBERS.dec()
            room.subscribers.discard(subscriber)
            if not room.subscribers:
                self._rooms.pop(tenant_id, None)
                self.feed.unwatch(tenant_id)
                if room.snapshots is not None:
                    room.snapshots.cancel()
                    await asyncio.gather(room.snapshots, return_exceptions=True)

    def _deliver(self, tenant_id: str, message: LiveMessage) -> None:
        room = self._rooms.get(tenant_id)
        for subscriber in room.subscribers if room is not None else ():
            subscriber.offer(message)

    async def _snapshots(self, tenant_id: str, room: _Room) -> None:
        activity: Activity | None = None
        while True:
            unhealthy = {name for name in self._unhealthy() if name != "redis"}
            if not self.feed.connected:
                unhealthy.add("redis")
            try:
                async with self._askers.question(tenant_id, _SNAPSHOT_TIMEOUT) as asker:
                    activity = await read_activity(asker, tenant_id, self._clock.now_ms())
            except DomainError as error:
                _log.warning("live_snapshot_failed", reason=error.reason)
                unhealthy.add("read_model")
            snapshot = Snapshot(activity, not self.feed.connected, sorted(unhealthy), self._freshness.lag_ms)
            for subscriber in room.subscribers:
                subscriber.show(snapshot)
            await asyncio.sleep(self._snapshot_seconds)
