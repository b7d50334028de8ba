"""Time ranges: unix milliseconds or RFC 3339, half-open, with defaults that make answers cacheable."""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from obc_common.errors import InvalidArgument

_MINUTE_MS = 60_000
_DEFAULT_LENGTH_MS = 7 * 24 * 3600 * 1000
_LAST_MS = 4_102_444_800_000  # 2100-01-01
_MAX_TEXT = 64


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A half-open range of unix milliseconds."""

    start_ms: int
    end_ms: int

    @property
    def previous(self) -> "TimeRange":
        """The range of the same length that ends where this one starts."""
        return TimeRange(self.start_ms - (self.end_ms - self.start_ms), self.start_ms)


def next_full_minute(now_ms: int) -> int:
    """The first full minute after a moment: `now` as the end of a range. It stays for a minute, so answers are kept."""
    return (now_ms // _MINUTE_MS + 1) * _MINUTE_MS


def parse_range(start: str, end: str, now_ms: int, *, length_ms: int = _DEFAULT_LENGTH_MS) -> TimeRange:
    """A range with defaults: the end is now, the start seven days (or `length_ms`) before the end.

    Raises:
        InvalidArgument: BAD_TIME on `from` or `to`; BAD_RANGE on `to` when it is not after `from`.
    """
    end_ms = parse_moment(end, "to") if end else next_full_minute(now_ms)
    start_ms = parse_moment(start, "from") if start else max(0, end_ms - length_ms)
    check_order(start_ms, end_ms)
    return TimeRange(start_ms, end_ms)


def check_order(start_ms: int, end_ms: int, request_field: str = "to") -> None:
    """Raises InvalidArgument(BAD_RANGE) on the field unless the end is after the start."""
    if end_ms <= start_ms:
        raise InvalidArgument("BAD_RANGE", "the end of the range must be after its start", field=request_field)


def parse_moment(text: str, request_field: str) -> int:
    """Unix milliseconds of a moment written as unix milliseconds or RFC 3339 with an offset.

    Raises:
        InvalidArgument: BAD_TIME on the field, also outside 1970-2100.
    """
    moment: int | None = None
    if len(text) <= _MAX_TEXT and text.isascii():
        moment = int(text) if text.isdigit() else _rfc3339_ms(text)
    if moment is None or not 0 <= moment <= _LAST_MS:
        raise InvalidArgument(
            "BAD_TIME", "a time is unix milliseconds or RFC 3339 with an offset, from 1970 to 2100", field=request_field
        )
    return moment


def parse_timezone(name: str) -> ZoneInfo:
    """The IANA zone of a name; empty = UTC. Raises InvalidArgument(BAD_TIMEZONE) on `timezone`."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):  # ValueError: a path; OSError: a folder or an endless name
        raise InvalidArgument(
            "BAD_TIMEZONE", "the time zone must be an IANA name such as Europe/Berlin", field="timezone"
        ) from None


def _rfc3339_ms(text: str) -> int | None:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    if parsed.tzinfo is None or "T" not in text.upper()[10:11]:
        return None
    delta = parsed - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000
