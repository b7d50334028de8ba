"""What a client says on an ingest WebSocket.

A frame with events is passed on undecoded; here it is decoded only to learn what it is. The seed's client sends bare
events: an object without `type`. They count as batches of one.
"""

from dataclasses import dataclass
from typing import Any

import orjson

_HIGHEST_SEQ = 2**53


@dataclass(frozen=True, slots=True)
class Auth:
    """`{"type":"auth","token":...}`."""

    token: str
    tenant_id: str


@dataclass(frozen=True, slots=True)
class Events:
    """A batch; `seq` is None when the client gave it no number (a bare event)."""

    seq: int | None
    json: bytes


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """`{"type":"heartbeat","timestamp":...}`, to be echoed."""

    timestamp: int | float | None


@dataclass(frozen=True, slots=True)
class Bad:
    """A frame that is none of these."""

    reason: str
    message: str


Frame = Auth | Events | Heartbeat | Bad


def parse_frame(text: str) -> Frame:
    """What a text frame is. Never raises."""
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        return Bad("BAD_JSON", "The frame is not valid JSON.")
    if not isinstance(parsed, dict):
        return Bad("NOT_OBJECT", "A frame must be a JSON object.")
    kind = parsed.get("type")
    if kind == "auth":
        return _auth(parsed)
    if kind == "heartbeat":
        timestamp = parsed.get("timestamp")
        is_number = isinstance(timestamp, int | float) and not isinstance(timestamp, bool)
        return Heartbeat(timestamp if is_number else None)
    if kind == "events" or isinstance(parsed.get("events"), list):
        return _events(parsed, text)
    if "event_id" in parsed or "event_name" in parsed:
        return Events(None, text.encode())
    return Bad("UNKNOWN_FRAME", "The frame is neither auth, events, heartbeat nor an event.")


def _auth(parsed: dict[str, Any]) -> Frame:
    token, tenant_id = parsed.get("token"), parsed.get("tenant_id", "")
    if not isinstance(token, str) or not token.strip():
        return Bad("BAD_AUTH", "An auth frame needs a token.")
    return Auth(token.strip(), tenant_id if isinstance(tenant_id, str) else "")


def _events(parsed: dict[str, Any], text: str) -> Frame:
    seq = parsed.get("seq")
    if seq is not None and (not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq <= _HIGHEST_SEQ):
        return Bad("BAD_SEQ", "seq must be an integer from 0 to 2^53.")
    return Events(seq, text.encode())
