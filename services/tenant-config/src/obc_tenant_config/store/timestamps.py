"""Unix milliseconds and PostgreSQL's timestamps, exactly: no float in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_timestamp(at_ms: int) -> datetime:
    """The timestamp of a moment."""
    return _EPOCH + at_ms * _MILLISECOND


def to_timestamp_or_none(at_ms: int) -> datetime | None:
    """The same, with 0 for "never"."""
    return to_timestamp(at_ms) if at_ms else None


def to_ms(moment: datetime | None) -> int:
    """The moment of a timestamp; 0 for none."""
    return 0 if moment is None else (moment - _EPOCH) // _MILLISECOND
