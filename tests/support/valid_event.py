"""A valid event, as ingest holds it between validation and the commit."""

import uuid
from typing import Any

from obc_ingest.model import Event

_NOW_MS = 1_700_000_000_000


def valid_event(**changes: Any) -> Event:
    """One of an anonymous device on a page of a shop."""
    fields: dict[str, Any] = {
        "tenant_id": str(uuid.uuid4()),
        "event_id": str(uuid.uuid4()),
        "event_name": "add_to_cart",
        "event_category": "user_action",
        "user_id": "",
        "anonymous_id": "device-1",
        "session_id": "",
        "properties": {},
        "timestamp_ms": _NOW_MS,
        "sent_at_ms": _NOW_MS,
        "received_at_ms": _NOW_MS,
        "skew_ms": 0,
        "event_time_ms": _NOW_MS,
        "page_url": "https://shop.example/cart",
        "referrer": "",
        "user_agent": "",
        "device_info": {},
        "correlation_id": "",
        "consent": None,
        "size": 100,
        "fingerprint": 0,
    }
    return Event(**{**fields, **changes})
