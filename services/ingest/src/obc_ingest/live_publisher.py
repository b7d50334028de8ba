"""Tells the live feed what was stored. Losable: it never delays an acknowledgement, and never fails one."""

import asyncio
from dataclasses import dataclass, field

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
_PAUSE_SECONDS = 0.2
"""Between two rounds of messages: people cannot tell, and what is cut from a message anyway is not made first."""


@dataclass(slots=True)
class _Waiting:
    """What waits for one tenant's next message: a message's worth of events, and how many more there were."""

    events: list[Event] = field(default_factory=list)
    skipped: int = 0


class LivePublisher:
    """Publishes one message per tenant and moment.

    Args:
        redis: where to; its own timeouts apply too.
        queue_messages: messages (that is, tenants) that may wait; events of more are dropped and counted.
    """

    def __init__(self, redis: Redis, queue_messages: int) -> None:
        self._redis = redis
        self._most_waiting = queue_messages
        self._waiting: dict[str, _Waiting] = {}
        self._something = asyncio.Event()
        self._failing = False

    def offer(self, stored: list[Event]) -> None:
        """Keeps what may be shown of newly stored events; never waits, never raises."""
        by_tenant: dict[str, list[Event]] = {}
        for event in stored:
            if event.live:
                by_tenant.setdefault(event.tenant_id, []).append(event)
        for tenant_id, events in by_tenant.items():
            waiting = self._waiting.get(tenant_id)
            if waiting is None:
                if len(self._waiting) >= self._most_waiting:
                    LIVE_DROPPED.inc(len(events))
                    continue
                waiting = self._waiting[tenant_id] = _Waiting()
            room = MAX_EVENTS_PER_MESSAGE - len(waiting.events)
            waiting.events += events[:room]
            waiting.skipped += max(0, len(events) - room)
            self._something.set()

    async def run(self) -> None:
        """Publishes until cancelled. To be owned by `tasks.background`."""
        while True:
            await self._something.wait()
            for tenant_id in list(self._waiting):
                waiting = self._waiting.pop(tenant_id, None)
                if waiting is not None:  # dropped, when Redis went away in this round
                    await self._publish(tenant_id, waiting)
            if not self._waiting:
                self._something.clear()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _publish(self, tenant_id: str, waiting: _Waiting) -> None:
        message = encode([_live_event(event) for event in waiting.events], waiting.skipped)
        LIVE_DROPPED.inc(waiting.skipped)
        try:
            async with asyncio.timeout(_TIMEOUT):
                await self._redis.publish(live_channel(tenant_id), message)
        except REDIS_FAILURES as error:
            LIVE_DROPPED.inc(len(waiting.events))
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
        for waiting in self._waiting.values():
            LIVE_DROPPED.inc(len(waiting.events) + waiting.skipped)
        self._waiting.clear()


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
