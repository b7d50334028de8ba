"""Judges one event against the contract: a valid `Event`, or `Rejected` with a code and the field.

It runs once per event, identically for REST, WebSocket and gRPC, and is written for speed: one serialisation gives the
size, the fingerprint and whether there is any NUL at all; then one pass over the fields.
"""

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from obc_ingest.identity import merges_everybody
from obc_ingest.limits import Limits
from obc_ingest.metrics import SANITIZED, UNKNOWN_FIELDS
from obc_ingest.model import Event, Rejected
from obc_ingest.properties import check_properties, replace_nul
from obc_ingest.timestamps import BadTimestamp, parse_ms

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_NIL_UUID = "00000000-0000-0000-0000-000000000000"
_DEFAULT_CATEGORY = "general"

_FIELDS = frozenset(
    {
        "event_id",
        "event_name",
        "event_category",
        "user_id",
        "anonymous_id",
        "session_id",
        "properties",
        "timestamp",
        "page_url",
        "referrer",
        "user_agent",
        "device_info",
        "correlation_id",
        "tenant_id",
        "consent",
        "type",  # of a WebSocket frame that is a bare event
    }
)
_DEVICE_NUMBERS = ("screen_width", "screen_height", "viewport_width", "viewport_height")
_DEVICE_TEXTS = ("device_type", "browser", "browser_version", "os", "os_version", "language", "timezone")

_MAX_NAME = 200
_MAX_CATEGORY = 100
_MAX_ID = 200
_MAX_URL_BYTES = 2048
_MAX_USER_AGENT_BYTES = 1024
_MAX_DEVICE_TEXT = 100
_MAX_PIXELS = 2**31 - 1
_FIRST_MS = 946_684_800_000
"""2000-01-01: there are no partitions of earlier months."""

NUL_NOTE = "NUL characters were replaced by U+FFFD"


@dataclass(frozen=True, slots=True)
class Reception:
    """What is the same for every event of a batch; unix milliseconds, `sent_at_ms` 0 = unknown."""

    tenant_id: str
    received_at_ms: int
    sent_at_ms: int
    skew_ms: int


def validate(raw: Any, reception: Reception, limits: Limits) -> Event:
    """The event that `raw` (as orjson gives it) means.

    Raises:
        Rejected: with a code of docs/events.md.
    """
    if type(raw) is not dict:
        raise Rejected("not_object", "", "an event must be a JSON object")
    try:
        canonical = orjson.dumps(raw, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # orjson reads nesting of 1024 and writes 254; the limit is far below both.
        raise Rejected("too_deep", "", "the event is nested too deeply") from None
    size = len(canonical)
    if size > limits.event_bytes:
        raise Rejected(
            "event_too_big", "", f"an event may have at most {limits.event_bytes} bytes, this one has {size}"
        )
    # May be true for a text that only spells out an escape; then the slow path finds nothing to do.
    nul = b"\\u0000" in canonical
    unknown: tuple[str, ...] = ()
    if not raw.keys() <= _FIELDS:
        unknown = tuple(raw.keys() - _FIELDS)
        UNKNOWN_FIELDS.inc(len(unknown))

    event_id = _event_id(raw, nul)
    named_tenant = raw.get("tenant_id")
    if named_tenant and (type(named_tenant) is not str or named_tenant.lower() != reception.tenant_id):
        raise Rejected("tenant_mismatch", "tenant_id", "the event names another tenant than the credential's")
    timestamp_ms, event_time_ms = _times(raw, reception, limits)
    properties = raw.get("properties")
    if properties is None:
        properties = {}
    elif type(properties) is not dict:
        raise Rejected("bad_properties", "properties", "properties must be a JSON object")
    check_properties(properties, limits)
    consent = raw.get("consent")
    if consent is not None and type(consent) is not bool:
        raise Rejected("bad_type", "consent", "consent must be true or false")

    event = Event(
        tenant_id=reception.tenant_id,
        event_id=event_id,
        event_name=_event_name(raw, nul),
        event_category=_text(raw, "event_category", _MAX_CATEGORY, nul) or _DEFAULT_CATEGORY,
        user_id=_user_id(raw, nul),
        anonymous_id=_text(raw, "anonymous_id", _MAX_ID, nul),
        session_id=_text(raw, "session_id", _MAX_ID, nul),
        properties=properties,
        timestamp_ms=timestamp_ms,
        sent_at_ms=reception.sent_at_ms,
        received_at_ms=reception.received_at_ms,
        skew_ms=reception.skew_ms,
        event_time_ms=event_time_ms,
        page_url=_long_text(raw, "page_url", _MAX_URL_BYTES),
        referrer=_long_text(raw, "referrer", _MAX_URL_BYTES),
        user_agent=_long_text(raw, "user_agent", _MAX_USER_AGENT_BYTES),
        device_info=_device_info(raw),
        correlation_id=_text(raw, "correlation_id", _MAX_ID, nul),
        consent=consent,
        size=size,
        fingerprint=int.from_bytes(blake2b(canonical, digest_size=8).digest(), "big", signed=True),
        unknown_fields=unknown,
    )
    if nul:
        _replace_nul(event)
    return event


def event_label(raw: Any) -> str:
    """What names an event in an answer: its canonical id, or what was sent in its place, at most 64 characters."""
    value = raw.get("event_id") if type(raw) is dict else None
    if type(value) is str:
        return (value.lower() if _UUID.fullmatch(value) else value)[:64].replace("\0", "\ufffd")
    return "" if value is None or isinstance(value, dict | list) else str(value)[:64]


def _event_id(raw: dict[str, Any], nul: bool) -> str:
    value = raw.get("event_id")
    if type(value) is not str:
        raise Rejected("bad_event_id", "event_id", "event_id is required and must be a UUID")
    if nul and "\0" in value:
        raise Rejected("nul_byte", "event_id", "event_id contains a NUL character")
    if _UUID.fullmatch(value) is None or value == _NIL_UUID:
        raise Rejected("bad_event_id", "event_id", "event_id must be a UUID other than the nil UUID")
    return value.lower()


def _event_name(raw: dict[str, Any], nul: bool) -> str:
    value = raw.get("event_name")
    if type(value) is not str or not value.strip():
        raise Rejected("bad_event_name", "event_name", f"event_name must be text of 1 to {_MAX_NAME} characters")
    return _text(raw, "event_name", _MAX_NAME, nul)


def _user_id(raw: dict[str, Any], nul: bool) -> str:
    value = raw.get("user_id")
    if value is None or value == "":
        return ""
    if type(value) is not str:
        raise Rejected("bad_user_id", "user_id", "user_id must be text")
    if merges_everybody(value):
        raise Rejected("bad_user_id", "user_id", "this user_id is no id of one person: it would merge everybody")
    return _text(raw, "user_id", _MAX_ID, nul)


def _times(raw: dict[str, Any], reception: Reception, limits: Limits) -> tuple[int, int]:
    """The client's time and the corrected one."""
    try:
        timestamp_ms = parse_ms(raw.get("timestamp"))
    except BadTimestamp as error:
        raise Rejected("bad_timestamp", "timestamp", f"timestamp {error}") from None
    event_time_ms = timestamp_ms + reception.skew_ms
    if event_time_ms > reception.received_at_ms + limits.future_ms:
        raise Rejected("too_new", "timestamp", "the event lies in the future")
    if not limits.any_age and event_time_ms < reception.received_at_ms - limits.age_ms:
        raise Rejected("too_old", "timestamp", f"the event is older than {limits.age_ms // 86_400_000} days; import it")
    if event_time_ms < _FIRST_MS:
        raise Rejected("too_old", "timestamp", "the event lies before the year 2000")
    return timestamp_ms, event_time_ms


def _text(raw: dict[str, Any], name: str, most: int, nul: bool) -> str:
    value = raw.get(name)
    if value is None:
        return ""
    if type(value) is not str:
        raise Rejected("bad_type", name, f"{name} must be text")
    if len(value) > most:
        raise Rejected("too_long", name, f"{name} may have at most {most} characters")
    if nul and "\0" in value:
        raise Rejected("nul_byte", name, f"{name} contains a NUL character")
    return value


def _long_text(raw: dict[str, Any], name: str, most_bytes: int) -> str:
    value = raw.get(name)
    if value is None:
        return ""
    if type(value) is not str:
        raise Rejected("bad_type", name, f"{name} must be text")
    if len(value) * 4 > most_bytes and (len(value) > most_bytes or len(value.encode()) > most_bytes):
        raise Rejected("too_long", name, f"{name} may have at most {most_bytes} bytes")
    return value


def _device_info(raw: dict[str, Any]) -> dict[str, Any]:
    given = raw.get("device_info")
    if given is None:
        return {}
    if type(given) is not dict:
        raise Rejected("bad_type", "device_info", "device_info must be a JSON object")
    device: dict[str, Any] = {}
    for name in _DEVICE_NUMBERS:
        value = given.get(name)
        if value is None:
            continue
        if (type(value) is not int and type(value) is not float) or not 0 <= value <= _MAX_PIXELS:
            raise Rejected("bad_type", f"device_info.{name}", f"{name} must be a number of pixels")
        device[name] = int(value)  # a zoomed browser reports fractions
    for name in _DEVICE_TEXTS:
        value = given.get(name)
        if value is None or value == "":
            continue
        if type(value) is not str:
            raise Rejected("bad_type", f"device_info.{name}", f"{name} must be text")
        if len(value) > _MAX_DEVICE_TEXT:
            raise Rejected("too_long", f"device_info.{name}", f"{name} may have at most {_MAX_DEVICE_TEXT} characters")
        device[name] = value
    return device


def _replace_nul(event: Event) -> None:
    before = (event.properties, event.device_info, event.page_url, event.referrer, event.user_agent)
    after = tuple(replace_nul(value, "properties") for value in before)
    if after != before:
        event.properties, event.device_info, event.page_url, event.referrer, event.user_agent = after
        event.note = NUL_NOTE
        SANITIZED.inc()
