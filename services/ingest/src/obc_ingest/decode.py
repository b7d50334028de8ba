"""JSON bodies and frames into the one internal form. What fails here fails the whole batch: nothing was evaluated.

orjson is the parser on purpose: it refuses NaN, Infinity, numbers beyond a double, lone surrogates and nesting deeper
than 1024. Of duplicate keys the last one wins.
"""

from typing import Any

import orjson

from obc_common.errors import InvalidArgument, OutOfRange, PermissionDenied
from obc_ingest.limits import Limits
from obc_ingest.model import DecodedBatch
from obc_ingest.timestamps import plausible_ms

_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def decode_body(body: bytes, tenant_id: str, limits: Limits) -> DecodedBatch:
    """A REST body `{events, batch_id?, timestamp?|sent_at?, tenant_id?, key?}`.

    Raises:
        InvalidArgument: BAD_ENCODING, BAD_JSON, NOT_OBJECT, EMPTY_BATCH.
        OutOfRange: BODY_TOO_LARGE, TOO_MANY_EVENTS.
        PermissionDenied: TENANT_MISMATCH, when it names another tenant than the credential's.
    """
    return _envelope(_parse(body, limits), len(body), tenant_id, limits)


def decode_frame(frame: bytes, tenant_id: str, limits: Limits) -> DecodedBatch:
    """A stream's frame: `{events, sent_at?}`, or one bare event object. Raises what `decode_body` raises."""
    message = _parse(frame, limits)
    if "events" not in message and ("event_name" in message or "event_id" in message):
        return DecodedBatch([message], 0, "", len(frame))
    return _envelope(message, len(frame), tenant_id, limits)


def check_size(size: int, count: int, limits: Limits) -> None:
    """Raises InvalidArgument(EMPTY_BATCH), OutOfRange(TOO_MANY_EVENTS) or OutOfRange(BODY_TOO_LARGE)."""
    if size > limits.batch_bytes:
        raise OutOfRange(
            "BODY_TOO_LARGE",
            f"a batch may have at most {limits.batch_bytes} bytes",
            metadata={"limit": str(limits.batch_bytes)},
        )
    if count == 0:
        raise InvalidArgument("EMPTY_BATCH", "the batch has no events", field="events")
    if count > limits.events:
        raise OutOfRange(
            "TOO_MANY_EVENTS",
            f"a batch may have at most {limits.events} events, this one has {count}",
            field="events",
            metadata={"limit": str(limits.events), "events": str(count)},
        )


def check_tenant(named: object, tenant_id: str) -> None:
    """Raises PermissionDenied(TENANT_MISMATCH) when a batch names another tenant than its credential's."""
    if named is None or named == "":
        return
    if not isinstance(named, str) or named.lower() != tenant_id:
        raise PermissionDenied("TENANT_MISMATCH", "the batch names another tenant than its credential's")


def is_bad_encoding(body: bytes) -> bool:
    """True when that is why a text is no JSON: UTF-16, a byte order mark, or no UTF-8."""
    # JSON in UTF-16 without a mark has a NUL next to its first character.
    if body.startswith(_BOMS) or b"\x00" in body[:2]:
        return True
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _parse(body: bytes, limits: Limits) -> dict[str, Any]:
    if len(body) > limits.batch_bytes:
        check_size(len(body), 1, limits)
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if is_bad_encoding(body):
            raise InvalidArgument("BAD_ENCODING", "the body must be UTF-8 without a byte order mark") from None
        raise InvalidArgument("BAD_JSON", f"the body is not JSON: {error.msg}"[:200]) from None
    if not isinstance(message, dict):
        raise InvalidArgument("NOT_OBJECT", "the body must be a JSON object")
    return message


def _envelope(message: dict[str, Any], size: int, tenant_id: str, limits: Limits) -> DecodedBatch:
    check_tenant(message.get("tenant_id"), tenant_id)
    events = message.get("events")
    if not isinstance(events, list):
        raise InvalidArgument("BAD_JSON", "'events' must be a list", field="events")
    check_size(size, len(events), limits)
    sent_at = message.get("sent_at")
    if sent_at is None:
        sent_at = message.get("timestamp")
    batch_id = message.get("batch_id")
    # Both are hints: a wrong one must not cost the events.
    return DecodedBatch(events, plausible_ms(sent_at), batch_id[:200] if isinstance(batch_id, str) else "", size)
