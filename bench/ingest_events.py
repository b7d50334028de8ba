"""The events of the ingest benchmark, and batches of them, encoded once, that get fresh ids each time they are sent.

A load generator that shares the machine with what it measures must cost little: a batch is a copy of bytes with the ids
written over, about half a microsecond an event, in JSON and in protobuf alike (both hold an id as its 36 characters).
"""

import os
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import orjson

from obc.common.v1 import event_pb2
from obc.ingest.v1 import ingest_service_pb2 as pb

_USER_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
)
_ID_LENGTH = 36


def now_ms() -> int:
    """The wall clock, unix milliseconds."""
    return time.time_ns() // 1_000_000


def browser_event(number: int, now: int) -> dict[str, Any]:
    """One event as a browser sends it, about 700 bytes of JSON; `number` makes it differ from others."""
    return {
        "event_id": _placeholder(number),
        "event_name": "page_view",
        "event_category": "navigation",
        "user_id": f"user-{number % 5000}",
        "session_id": f"session-{number % 20000}",
        "properties": {"page_name": "product", "price": 19.9, "plan": "pro", "tags": ["a", "b"], "n": number},
        "timestamp": now - number % 60_000,
        "page_url": f"https://shop.example/product/{number}?utm_source=mail",
        "referrer": "https://search.example/",
        "user_agent": _USER_AGENTS[number % len(_USER_AGENTS)],
        "device_info": {"screen_width": 1920, "screen_height": 1080, "device_type": "desktop", "os": "Windows"},
        "correlation_id": str(number),
    }


def typed_event(event: dict[str, Any]) -> event_pb2.Event:
    """The same as an internal service sends it."""
    fields = dict(event)
    return event_pb2.Event(
        properties_json=orjson.dumps(fields.pop("properties")),
        timestamp_ms=fields.pop("timestamp"),
        device_info=event_pb2.DeviceInfo(**fields.pop("device_info")),
        **fields,
    )


def fresh_ids(count: int) -> list[str]:
    """That many new UUIDs of version 7, of this moment."""
    time_part = f"{now_ms():012x}"
    prefix = f"{time_part[:8]}-{time_part[8:]}-7"
    digits = os.urandom(9 * count).hex()
    return [
        f"{prefix}{digits[at : at + 3]}-8{digits[at + 3 : at + 6]}-{digits[at + 6 : at + 18]}"
        for at in range(0, 18 * count, 18)
    ]


class Batch(Protocol):
    """An encoded batch."""

    def fresh(self) -> bytes:
        """The batch with new ids."""
        ...


class Template:
    """An encoded batch whose ids are overwritten.

    Args:
        encoded: with placeholders for ids.
        numbers: of the events in it, in order.
    """

    def __init__(self, encoded: bytes, numbers: Sequence[int]) -> None:
        self._encoded = encoded
        self._places = list(_places(encoded, numbers))

    def fresh(self) -> bytes:
        """The batch with new ids."""
        batch = bytearray(self._encoded)
        for place, event_id in zip(self._places, fresh_ids(len(self._places)), strict=True):
            batch[place : place + _ID_LENGTH] = event_id.encode()
        return bytes(batch)


def json_template(first: int, size: int) -> Template:
    """A batch as REST takes it; with `type` and `seq` added in front, as the WebSocket takes it."""
    numbers = range(first, first + size)
    now = now_ms()
    return Template(orjson.dumps({"sent_at": now, "events": [browser_event(n, now) for n in numbers]}), numbers)


def typed_template(first: int, size: int) -> Template:
    """An EventBatch."""
    numbers = range(first, first + size)
    now = now_ms()
    batch = pb.EventBatch(events=[typed_event(browser_event(n, now)) for n in numbers], sent_at_ms=now)
    return Template(batch.SerializeToString(), numbers)


def _placeholder(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012x}"


def _places(encoded: bytes, numbers: Sequence[int]) -> Iterator[int]:
    at = 0
    for number in numbers:
        at = encoded.index(_placeholder(number).encode(), at)
        yield at
