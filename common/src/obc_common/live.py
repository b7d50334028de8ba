"""The live feed's wire form: what ingest publishes to Redis after a commit and query's subscribers read.

One message per tenant and moment (a few flushes). The feed is losable by design: nothing is promised to a subscriber,
and what a message leaves out is counted in `skipped`. Publisher and subscriber may run different releases during a
rollout, so a decoder refuses what it does not understand instead of guessing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

MAX_EVENTS_PER_MESSAGE = 100
"""More than a person can watch; it bounds a message to some 50 KB whatever the flush's size."""

_CHANNEL_PREFIX = "obc:live:"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One event just stored, in short, after the tenant's rules were applied. Times are unix milliseconds."""

    event_id: str
    event_name: str
    event_category: str
    user_id: str
    """The known user, else the device's id, else empty."""
    page_path: str
    event_time_ms: int
    received_at_ms: int


@dataclass(frozen=True, slots=True)
class LiveMessage:
    """What was stored for one tenant in a moment."""

    events: tuple[LiveEvent, ...]
    skipped: int
    """Events of the flush that are not in `events`."""


def live_channel(tenant_id: str) -> str:
    """The tenant's Redis pub/sub channel."""
    return _CHANNEL_PREFIX + tenant_id


def encode(events: Sequence[LiveEvent], skipped: int = 0) -> bytes:
    """One message; events beyond MAX_EVENTS_PER_MESSAGE are left out and counted in `skipped`."""
    shown = events[:MAX_EVENTS_PER_MESSAGE]
    rows = [
        (e.event_id, e.event_name, e.event_category, e.user_id, e.page_path, e.event_time_ms, e.received_at_ms)
        for e in shown
    ]
    return orjson.dumps({"v": _VERSION, "skipped": skipped + len(events) - len(shown), "events": rows})


def decode(data: bytes) -> LiveMessage:
    """The message back. Raises ValueError for anything that `encode` of this version did not write."""
    try:
        message: Any = orjson.loads(data)
        if message["v"] != _VERSION:
            raise ValueError(f"live message of version {message['v']!r}")
        return LiveMessage(tuple(LiveEvent(*row) for row in message["events"]), int(message["skipped"]))
    except (orjson.JSONDecodeError, TypeError, KeyError) as error:
        raise ValueError("not a live message") from error
