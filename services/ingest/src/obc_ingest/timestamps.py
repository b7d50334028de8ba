"""Client times: unix milliseconds or RFC 3339, and nothing that only looks like them."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_RFC_3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:([Zz])|([+-])([0-9]{2}):([0-9]{2}))"
)

_SECONDS_LIKE_BELOW = 100_000_000_000
"""Smaller numbers are milliseconds of before 1973-03: in practice somebody sent seconds."""

_MAX_MS = 253_402_300_799_999
"""The last millisecond of the year 9999, where Python's datetime ends; PostgreSQL's reach is wider."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadTimestamp(ValueError):
    """Not a time; the text says why."""


def parse_ms(value: object) -> int:
    """Unix milliseconds of a client's time. Raises BadTimestamp."""
    if type(value) is int or type(value) is float:
        if value < _SECONDS_LIKE_BELOW:
            raise BadTimestamp(
                "must be unix milliseconds; this looks like seconds" if value > 0 else "must be positive"
            )
        if value > _MAX_MS:
            raise BadTimestamp("is after the year 9999")
        return int(value)
    if type(value) is str:
        return _parse_text(value)
    raise BadTimestamp("must be unix milliseconds or an RFC 3339 time")


def plausible_ms(value: object) -> int:
    """Like `parse_ms`, for a mere hint: 0 when it is not a time."""
    try:
        return parse_ms(value)
    except BadTimestamp:
        return 0


def skew_ms(received_at_ms: int, sent_at_ms: int, min_skew_ms: int, max_skew_ms: int) -> int:
    """What to add to a client's times; zero when the difference may be latency, or sent_at is unknown (0).

    Zero also beyond `max_skew_ms`, the age of the oldest event that is taken: that is no clock but a batch that was
    kept and sent again as it was. Corrected, it would look new at a time when its ids may be forgotten.
    """
    if sent_at_ms == 0:
        return 0
    skew = received_at_ms - sent_at_ms
    return skew if min_skew_ms <= abs(skew) <= max_skew_ms else 0


@lru_cache(maxsize=4096)  # an event has up to four times, and most are those of its batch
def utc(ms: int) -> datetime:
    """The moment, for PostgreSQL. Exact, unlike datetime.fromtimestamp(ms / 1000)."""
    return _EPOCH + timedelta(milliseconds=ms)


def _parse_text(text: str) -> int:
    match = _RFC_3339.fullmatch(text)
    if match is None:
        raise BadTimestamp("must be unix milliseconds or an RFC 3339 time with a zone")
    year, month, day, hour, minute, second, fraction, _, sign, offset_hours, offset_minutes = match.groups()
    leap = second == "60"
    try:
        moment = datetime(  # the zone is applied below: it may lead out of datetime's range
            int(year), int(month), int(day), int(hour), int(minute), 59 if leap else int(second), tzinfo=UTC
        )
    except ValueError as error:
        raise BadTimestamp(f"is no moment: {error}") from None
    ms = (
        (moment - _EPOCH) // timedelta(milliseconds=1)
        + (1000 if leap else 0)
        + int((fraction or "0").ljust(3, "0")[:3])
    )
    if sign:
        if int(offset_hours) > 23 or int(offset_minutes) > 59:
            raise BadTimestamp("has an impossible zone")
        offset = (int(offset_hours) * 60 + int(offset_minutes)) * 60_000
        ms += -offset if sign == "+" else offset
    if not 0 < ms <= _MAX_MS:
        raise BadTimestamp("must be after 1970 and before the year 10000")
    return ms
