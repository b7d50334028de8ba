"""Buckets of a time range in a time zone: days of 23 and 25 hours, weeks from Monday or Sunday, months.

Buckets are made here and given to the engine as numbers, so that one time-zone database decides.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from obc_common.errors import InvalidArgument
from obc_query.ranges import TimeRange
from obc_query.statement import Binder

MAX_BUCKETS = 10_000
INTERVALS = ("minute", "hour", "day", "week", "month")
_SHORTEST_MS = {
    "minute": 60_000,
    "hour": 3_600_000,
    "day": 23 * 3_600_000,
    "week": 167 * 3_600_000,
    "month": 27 * 24 * 3_600_000,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Buckets:
    """The buckets that cover a range, oldest first.

    Attributes:
        starts: first millisecond of each; the first may lie before the range.
        end: where the last one ends; it may lie after the range.
    """

    starts: tuple[int, ...]
    end: int

    def end_of(self, index: int) -> int:
        """Where a bucket ends, exclusive."""
        return self.starts[index + 1] if index + 1 < len(self.starts) else self.end

    def index_of(self, moment_ms: int) -> int:
        """The bucket of a moment inside the range."""
        return bisect_right(self.starts, moment_ms) - 1

    def expression(self, milliseconds: str, binder: Binder) -> str:
        """The start of the bucket of an Int64 expression, as Int64."""
        if width := self._width:
            first, step = binder.bind(self.starts[0], "Int64"), binder.bind(width, "Int64")
            return f"{first} + intDiv({milliseconds} - {first}, {step}) * {step}"
        return f"toInt64(roundDown({milliseconds}, {binder.bind(list(self.starts), 'Array(Int64)')}))"

    def index_expression(self, milliseconds: str, binder: Binder) -> str:
        """The number of the bucket of an Int64 expression, 0 = the first, as Int64; the last or more after the end."""
        if width := self._width:
            first, step = binder.bind(self.starts[0], "Int64"), binder.bind(width, "Int64")
            return f"intDiv({milliseconds} - {first}, {step})"
        starts = binder.bind(list(self.starts), "Array(Int64)")
        numbers = f"range(0, {len(self.starts)})"
        return f"toInt64(transform(toInt64(roundDown({milliseconds}, {starts})), {starts}, {numbers}, 0))"

    @property
    def _width(self) -> int:
        """Length of the buckets, 0 when they differ."""
        width = self.end_of(0) - self.starts[0]
        same = all(self.end_of(index) - start == width for index, start in enumerate(self.starts))
        return width if same else 0


def make_buckets(
    span: TimeRange, interval: str, zone: ZoneInfo, *, sunday_first: bool = False, field: str = "interval"
) -> Buckets:
    """The buckets that cover a range.

    Raises:
        InvalidArgument: UNKNOWN_INTERVAL, or TOO_MANY_BUCKETS (more than 10,000), on `field`.
    """
    if interval not in INTERVALS:
        raise InvalidArgument("UNKNOWN_INTERVAL", f"the interval must be one of {', '.join(INTERVALS)}", field=field)
    if (span.end_ms - span.start_ms) // _SHORTEST_MS[interval] > MAX_BUCKETS + 1:
        raise _too_many(field)
    start = _floor(span.start_ms, interval, zone, sunday_first)
    starts: list[int] = []
    while start < span.end_ms:
        starts.append(start)
        start = _next(start, interval, zone)
        if len(starts) > MAX_BUCKETS:
            raise _too_many(field)
    return Buckets(tuple(starts), start)


def more_buckets(buckets: Buckets, count: int, interval: str, zone: ZoneInfo) -> Buckets:
    """The same buckets and so many that follow them."""
    starts, end = list(buckets.starts), buckets.end
    for _ in range(count):
        starts.append(end)
        end = _next(end, interval, zone)
    return Buckets(tuple(starts), end)


def with_previous(buckets: Buckets, interval: str, zone: ZoneInfo, *, sunday_first: bool) -> Buckets:
    """The same buckets and the one before them."""
    return Buckets((_floor(buckets.starts[0] - 1, interval, zone, sunday_first), *buckets.starts), buckets.end)


def _too_many(field: str) -> InvalidArgument:
    return InvalidArgument(
        "TOO_MANY_BUCKETS",
        f"the range holds more than {MAX_BUCKETS} buckets; take a longer interval or a shorter range",
        field=field,
        metadata={"max_buckets": str(MAX_BUCKETS)},
    )


def _floor(moment_ms: int, interval: str, zone: ZoneInfo, sunday_first: bool) -> int:
    if interval in ("minute", "hour"):
        return _floor_clock(moment_ms, _SHORTEST_MS[interval], zone)
    day = _local_date(moment_ms, zone)
    if interval == "week":
        day -= timedelta(days=(day.weekday() + (1 if sunday_first else 0)) % 7)
    elif interval == "month":
        day = day.replace(day=1)
    return _midnight(day, zone)


def _next(start_ms: int, interval: str, zone: ZoneInfo) -> int:
    if interval in ("minute", "hour"):
        step = _SHORTEST_MS[interval]
        following = start_ms + step
        # Where clocks move by less than an hour (Lord Howe) full hours shift against each other.
        if (_offset_ms(following, zone) - _offset_ms(start_ms, zone)) % step:
            aligned = _floor_clock(following, step, zone)
            return aligned if aligned > start_ms else aligned + step
        return following
    # Twelve hours into the bucket is inside its first day, whatever the clocks do at midnight.
    day = _local_date(start_ms + 12 * 3_600_000, zone)
    while True:
        day = _following(day, interval)
        start = _midnight(day, zone)
        if start > start_ms:  # a zone may skip a whole date (Samoa 2011)
            return start


def _following(day: date, interval: str) -> date:
    if interval == "day":
        return day + timedelta(days=1)
    if interval == "week":
        return day + timedelta(days=7)
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _floor_clock(moment_ms: int, step: int, zone: ZoneInfo) -> int:
    offset = _offset_ms(moment_ms, zone)
    return (moment_ms + offset) // step * step - offset


def _offset_ms(moment_ms: int, zone: ZoneInfo) -> int:
    offset = (_EPOCH + timedelta(milliseconds=moment_ms)).astimezone(zone).utcoffset()
    assert offset is not None  # every IANA zone has one
    return round(offset.total_seconds() * 1000)


def _local_date(moment_ms: int, zone: ZoneInfo) -> date:
    return (_EPOCH + timedelta(milliseconds=moment_ms)).astimezone(zone).date()


def _midnight(day: date, zone: ZoneInfo) -> int:
    # fold=0: where midnight comes twice the first, where it is skipped the moment of the jump.
    local = datetime(day.year, day.month, day.day, tzinfo=zone)
    return round((local - _EPOCH).total_seconds() * 1000)
