"""One event: what `track` was told, checked for what the server would certainly reject.

The rules are those of docs/events.md. What depends on the server (a tenant's rules, its clock) is left to it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from obc_analytics.errors import InvalidEvent
from obc_analytics.identity import merges_everybody
from obc_analytics.ids import uuid7
from obc_analytics.properties import encode_properties

MAX_EVENT_BYTES = 32 * 1024
_MAX_NAME = 200
_MAX_CATEGORY = 100
_MAX_ID = 200
_MAX_URL_BYTES = 2048
_MAX_USER_AGENT_BYTES = 1024
_MAX_DEVICE_TEXT = 100
_MAX_PIXELS = 2**31 - 1
_SECONDS_LIKE_BELOW = 100_000_000_000
_MAX_MS = 253_402_300_799_999

DEVICE_NUMBERS = ("screen_width", "screen_height", "viewport_width", "viewport_height")
DEVICE_TEXTS = ("device_type", "browser", "browser_version", "os", "os_version", "language", "timezone")
TEXTS = (
    "event_name",
    "event_category",
    "user_id",
    "anonymous_id",
    "session_id",
    "page_url",
    "referrer",
    "user_agent",
    "correlation_id",
)

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# Field names and punctuation of one event as JSON.
_ENVELOPE_BYTES = 256


@dataclass(frozen=True, slots=True)
class Event:
    """A checked event. Empty text = absent.

    Attributes:
        timestamp_ms: when it happened, unix milliseconds.
        properties_json: the encoded object, or empty.
        size: about its size as JSON, bytes; what the queue counts.
    """

    event_id: str
    event_name: str
    timestamp_ms: int
    event_category: str
    user_id: str
    anonymous_id: str
    session_id: str
    properties_json: bytes
    page_url: str
    referrer: str
    user_agent: str
    correlation_id: str
    device_info: Mapping[str, int | str]
    consent: bool | None
    size: int


def make_event(
    name: str,
    properties: Mapping[str, Any] | None,
    now_ms: int,
    *,
    event_id: str | UUID | None = None,
    timestamp: int | datetime | None = None,
    category: str = "",
    user_id: str | UUID | None = None,
    anonymous_id: str | UUID | None = None,
    session_id: str | UUID | None = None,
    page_url: str = "",
    referrer: str = "",
    user_agent: str = "",
    correlation_id: str | UUID | None = None,
    device_info: Mapping[str, Any] | None = None,
    consent: bool | None = None,
) -> Event:
    """The event; see `Analytics.track` for the arguments.

    Raises:
        InvalidEvent: naming the argument.
    """
    if not isinstance(name, str) or not name.strip():
        raise InvalidEvent("name", f"must be text of 1 to {_MAX_NAME} characters")
    if consent is not None and not isinstance(consent, bool):
        raise InvalidEvent("consent", "must be True, False or None")
    texts = {
        "event_name": _text("name", name, _MAX_NAME),
        "event_category": _text("category", category, _MAX_CATEGORY),
        "user_id": _user_id(user_id),
        "anonymous_id": _text("anonymous_id", anonymous_id, _MAX_ID),
        "session_id": _text("session_id", session_id, _MAX_ID),
        "page_url": _long_text("page_url", page_url, _MAX_URL_BYTES),
        "referrer": _long_text("referrer", referrer, _MAX_URL_BYTES),
        "user_agent": _long_text("user_agent", user_agent, _MAX_USER_AGENT_BYTES),
        "correlation_id": _text("correlation_id", correlation_id, _MAX_ID),
    }
    encoded = encode_properties(properties)
    device = _device_info(device_info)
    certain = len(encoded) + sum(map(len, texts.values())) + sum(len(str(value)) for value in device.values())
    if certain > MAX_EVENT_BYTES:
        raise InvalidEvent("properties", f"the event has {certain} bytes, at most {MAX_EVENT_BYTES} are taken")
    return Event(
        event_id=_event_id(event_id, now_ms),
        timestamp_ms=_timestamp(timestamp, now_ms),
        properties_json=encoded,
        device_info=device,
        consent=consent,
        size=certain + _ENVELOPE_BYTES,
        **texts,
    )


def _event_id(value: str | UUID | None, now_ms: int) -> str:
    if value is None:
        return str(uuid7(now_ms))
    text = str(value) if isinstance(value, UUID) else value
    if not isinstance(text, str) or _UUID.fullmatch(text) is None or not UUID(text).int:
        raise InvalidEvent("event_id", "must be a UUID other than the nil UUID")
    return text.lower()


def _timestamp(value: int | datetime | None, now_ms: int) -> int:
    if value is None:
        return now_ms
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidEvent("timestamp", "must have a time zone: a naive datetime means another moment elsewhere")
        value = round(value.timestamp() * 1000)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidEvent("timestamp", "must be unix milliseconds or a datetime with a time zone")
    if value < _SECONDS_LIKE_BELOW:
        raise InvalidEvent("timestamp", "must be unix milliseconds; this looks like seconds")
    if value > _MAX_MS:
        raise InvalidEvent("timestamp", "is after the year 9999")
    return value


def _user_id(value: str | UUID | None) -> str:
    text = _text("user_id", value, _MAX_ID)
    if text and merges_everybody(text):
        raise InvalidEvent("user_id", f"{text!r} is no id of one person: it would merge everybody; leave it out")
    return text


def _text(field: str, value: str | UUID | None, most: int) -> str:
    if value is None:
        return ""
    text = str(value) if isinstance(value, UUID) else value
    if not isinstance(text, str):
        raise InvalidEvent(field, f"must be text, not {type(value).__name__}")
    if len(text) > most:
        raise InvalidEvent(field, f"may have at most {most} characters")
    if "\0" in text:
        raise InvalidEvent(field, "contains a NUL character")
    _utf8(field, text)
    return text


def _long_text(field: str, value: str | None, most_bytes: int) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidEvent(field, f"must be text, not {type(value).__name__}")
    if len(value) > most_bytes or len(_utf8(field, value)) > most_bytes:
        raise InvalidEvent(field, f"may have at most {most_bytes} bytes")
    return value


def _utf8(field: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidEvent(field, "contains a lone surrogate, which is no text") from None


def _device_info(given: Mapping[str, Any] | None) -> dict[str, int | str]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InvalidEvent("device_info", "must be a dictionary")
    device: dict[str, int | str] = {}
    for name, value in given.items():
        field = f"device_info.{name}"
        if value is None:
            continue
        if name in DEVICE_NUMBERS:
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_PIXELS:
                raise InvalidEvent(field, "must be a whole number of pixels")
            device[name] = value
        elif name in DEVICE_TEXTS:
            device[name] = _text(field, value, _MAX_DEVICE_TEXT)
        else:
            raise InvalidEvent(field, f"is unknown; known are {', '.join(DEVICE_NUMBERS + DEVICE_TEXTS)}")
    return device
