"""Tells the live feed what was stored. Losable: it never delays an acknowledgement, and never fails one."""

import asyncio

from redis.asyncio import Redis

from obc_common.live import MAX_EVENTS_PER_MESSAGE, LiveEvent, encode, live_channel
from obc_common.logs import get_logger
from obc_common.redis_failures import REDIS_FAILURES
from obc_ingest.metrics import LIVE_DROPPED, LIVE_PUBLISHED
from obc_ingest.model import Event
from obc_ingest.rules import page_path

_log = get_logger(__name__)

_TIMEOUT = 1.0
_PAUSE_AFTER_FAILURE = 1.0


class LivePublisher:
    """Publishes one message per (tenant, flush).

    Args:
        redis: where to; its own timeouts apply too.
        queue_messages: messages that may wait; more are dropped and counted.
    """

    def __init__(self, redis: Redis, queue_messages: int) -> None:
        self._redis = redis
        self._queue: asyncio.Queue[tuple[str, bytes, int]] = asyncio.Queue(queue_messages)
        self._failing = False

    def offer(self, stored: list[Event]) -> None:
        """Queues what may be shown of newly stored events; never waits, never raises."""
        by_tenant: dict[str, list[Event]] = {}
        for event in stored:
            if event.live:
                by_tenant.setdefault(event.tenant_id, []).append(event)
        for tenant_id, events in by_tenant.items():
            shown = [_live_event(event) for event in events[:MAX_EVENTS_PER_MESSAGE]]
            skipped = len(events) - len(shown)
            try:
                self._queue.put_nowait((live_channel(tenant_id), encode(shown, skipped), len(events)))
                LIVE_DROPPED.inc(skipped)
            except asyncio.QueueFull:
                LIVE_DROPPED.inc(len(events))

    async def run(self) -> None:
        """Publishes until cancelled. To be owned by `tasks.background`."""
        while True:
            channel, message, events = await self._queue.get()
            try:
                async with asyncio.timeout(_TIMEOUT):
                    await self._redis.publish(channel, message)
            except REDIS_FAILURES as error:
                LIVE_DROPPED.inc(events)
                if not self._failing:
                    _log.warning("live_feed_interrupted", error=f"{type(error).__name__}: {error}")
                self._failing = True
                await asyncio.sleep(_PAUSE_AFTER_FAILURE)
                self._drop_waiting()
            else:
                LIVE_PUBLISHED.inc()
                if self._failing:
                    _log.info("live_feed_resumed")
                self._failing = False

    def _drop_waiting(self) -> None:
        """What waited through an interruption is no longer live."""
        while not self._queue.empty():
            LIVE_DROPPED.inc(self._queue.get_nowait()[2])


def _live_event(event: Event) -> LiveEvent:
    return LiveEvent(
        event_id=event.event_id,
        event_name=event.event_name,
        event_category=event.event_category,
        user_id=event.user_id or event.anonymous_id,
        page_path=page_path(event.page_url),
        event_time_ms=event.event_time_ms,
        received_at_ms=event.received_at_ms,
    )
