"""The full hour of a moment on the clock of a time zone. Some zones are off by 30 or 45 minutes, some at times."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from obc_query.ranges import TimeRange
from obc_query.statement import Binder

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def full_hour(milliseconds: str, span: TimeRange, zone: ZoneInfo, binder: Binder) -> str:
    """The beginning of the hour of an Int64 expression that lies in a range, as Int64."""
    changes = _changes(span, zone)
    begin = _begin(milliseconds, changes[0][1], binder)
    for since, minutes in changes[1:]:
        moment = binder.bind(since, "Int64")
        begin = f"if({milliseconds} >= {moment}, greatest({moment}, {_begin(milliseconds, minutes, binder)}), {begin})"
    return begin


def _begin(milliseconds: str, past: int, binder: Binder) -> str:
    """Where hours begin so many milliseconds before those of UTC."""
    return f"{milliseconds} - positiveModulo({milliseconds} + {binder.bind(past, 'Int64')}, {_HOUR_MS})"


def _changes(span: TimeRange, zone: ZoneInfo) -> list[tuple[int, int]]:
    """Since when hours begin where: (unix ms, milliseconds by which they begin before those of UTC)."""
    changes = [(span.start_ms, _past(span.start_ms, zone))]
    day = span.start_ms
    while day < span.end_ms:
        following = min(day + _DAY_MS, span.end_ms)
        past = _past(following, zone)
        if past != changes[-1][1]:
            before, after = day, following
            while after - before > 1:
                middle = (before + after) // 2
                before, after = (before, middle) if _past(middle, zone) == past else (middle, after)
            changes.append((after, past))
        day = following
    return changes


def _past(moment_ms: int, zone: ZoneInfo) -> int:
    offset = (_EPOCH + timedelta(milliseconds=moment_ms)).astimezone(zone).utcoffset()
    assert offset is not None  # every IANA zone has one
    return round(offset.total_seconds() * 1000) % _HOUR_MS
