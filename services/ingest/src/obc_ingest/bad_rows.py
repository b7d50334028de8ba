"""What is kept of an event that is bad: scrubbed like a good one, and bounded whatever it is."""

from typing import Any

import orjson

from obc_ingest.model import BadRow, Rejected
from obc_ingest.scrub import REDACTED, is_sensitive_key, scrub_number, scrub_text
from obc_ingest.validate import event_label

_MAX_BODY = 65_536
_MAX_DEPTH = 32
_MAX_NODES = 5_000
_MAX_TEXT = 16_384
_CUT = "[cut]"

# A client's address is never stored. A good event ignores fields it does not know; here they help to find the mistake.
_ADDRESS_FIELDS = frozenset({"ip", "ip_address", "client_ip", "remote_addr", "remote_address"})

# With tracking level `minimal`, what a good event would keep is all that a bad one may.
_MINIMAL_FIELDS = frozenset({"event_id", "event_name", "event_category", "timestamp", "session_id"})


def bad_row(raw: Any, bad: Rejected, tenant_id: str, received_at_ms: int, sdk: str, *, minimal: bool) -> BadRow:
    """The row to keep.

    Args:
        raw: the event as it came.
        bad: why it is bad.
        tenant_id: whose it is.
        received_at_ms: unix milliseconds.
        sdk: what sent it.
        minimal: the tenant's tracking level is `minimal`.
    """
    if minimal and type(raw) is dict:
        raw = {key: value for key, value in raw.items() if key in _MINIMAL_FIELDS}
    copier = _Copier()
    body = orjson.dumps(copier.copy(raw, 0))
    return BadRow(
        tenant_id=tenant_id,
        received_at_ms=received_at_ms,
        code=bad.code,
        # Both may quote a property's key, and a key may be anything.
        field=scrub_text(bad.field.replace("\0", "\ufffd"))[:200],
        message=scrub_text(bad.message.replace("\0", "\ufffd"))[:500],
        sdk=sdk.replace("\0", "\ufffd")[:200],
        event_id=scrub_text(event_label(raw)),
        body=body[:_MAX_BODY],
        truncated=copier.truncated or len(body) > _MAX_BODY,
    )


class _Copier:
    """Copies and scrubs any JSON value, giving up on what is too deep, too long or too much."""

    def __init__(self) -> None:
        self.truncated = False
        self._nodes = 0

    def copy(self, value: Any, depth: int) -> Any:
        self._nodes += 1
        kind = type(value)
        if kind is str:
            return self._text(value)
        if kind is not dict and kind is not list:
            return scrub_number(value) if kind is int else value
        if depth >= _MAX_DEPTH or self._nodes > _MAX_NODES:
            self.truncated = True
            return _CUT
        if kind is list:
            return [self.copy(item, depth + 1) for item in self._first(value)]
        return {self._text(key): self._item(key, value[key], depth + 1) for key in self._first(value)}

    def _text(self, text: str) -> str:
        if len(text) > _MAX_TEXT:
            self.truncated = True
        return scrub_text(text[:_MAX_TEXT])

    def _item(self, key: str, value: Any, depth: int) -> Any:
        # The user agent is kept as a keyed hash only, and a bad row has no use for a hash.
        if key == "user_agent" or (depth == 1 and key in _ADDRESS_FIELDS) or is_sensitive_key(key):
            return value if value is None or type(value) is bool else REDACTED
        return self.copy(value, depth)

    def _first(self, items: Any) -> list[Any]:
        left = max(0, _MAX_NODES - self._nodes)
        if len(items) > left:
            self.truncated = True
        return [item for item, _ in zip(items, range(left), strict=False)]
