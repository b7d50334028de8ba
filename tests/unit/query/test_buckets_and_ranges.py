"""Time: what callers may write, and how a range is cut."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obc_common.errors import InvalidArgument
from obc_query.buckets import INTERVALS, make_buckets
from obc_query.ranges import TimeRange, next_full_minute, parse_moment, parse_range, parse_timezone

HOUR = 3_600_000


def local(text: str, zone: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def days(start: str, end: str, zone: str) -> list[float]:
    buckets = make_buckets(TimeRange(local(start, zone), local(end, zone)), "day", ZoneInfo(zone))
    return [(buckets.end_of(i) - s) / HOUR for i, s in enumerate(buckets.starts)]


@pytest.mark.parametrize(
    ("start", "end", "zone", "hours"),
    [
        ("2025-03-29", "2025-04-01", "Europe/Berlin", [24, 23, 24]),
        ("2025-10-25", "2025-10-28", "Europe/Berlin", [24, 25, 24]),
        ("2018-11-03", "2018-11-06", "America/Sao_Paulo", [24, 23, 24]),  # midnight does not exist
        ("2025-11-01", "2025-11-04", "America/Havana", [24, 25, 24]),  # midnight comes twice
        ("2011-12-29", "2012-01-01", "Pacific/Apia", [24, 24]),  # the 30th does not exist
        ("2025-04-05", "2025-04-07", "Australia/Lord_Howe", [24, 24.5]),
    ],
)
def test_days_have_the_hours_their_zone_gives_them(start: str, end: str, zone: str, hours: list[float]) -> None:
    assert days(start, end, zone) == hours


def test_weeks_start_on_monday_unless_asked_for_sunday() -> None:
    span = TimeRange(local("2025-06-04", "UTC"), local("2025-06-05", "UTC"))  # a Wednesday
    assert make_buckets(span, "week", ZoneInfo("UTC")).starts == (local("2025-06-02", "UTC"),)
    assert make_buckets(span, "week", ZoneInfo("UTC"), sunday_first=True).starts == (local("2025-06-01", "UTC"),)


@given(
    start=st.integers(0, 2_000_000_000_000),
    length=st.integers(1, 40 * 24 * HOUR),
    interval=st.sampled_from(INTERVALS[1:]),
    zone=st.sampled_from(
        ["UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "America/Havana"]
    ),
)
def test_buckets_cover_the_range_without_gap_or_overlap(start: int, length: int, interval: str, zone: str) -> None:
    span = TimeRange(start, start + length)
    buckets = make_buckets(span, interval, ZoneInfo(zone))
    assert list(buckets.starts) == sorted(set(buckets.starts))
    assert buckets.starts[0] <= span.start_ms < buckets.end_of(0)
    assert buckets.starts[-1] < span.end_ms <= buckets.end


@pytest.mark.parametrize(("interval", "length"), [("minute", 10_001 * 60_000), ("hour", 100 * 365 * 24 * HOUR)])
def test_more_than_ten_thousand_buckets_are_refused(interval: str, length: int) -> None:
    with pytest.raises(InvalidArgument) as refused:
        make_buckets(TimeRange(0, length), interval, ZoneInfo("UTC"))
    assert (refused.value.reason, refused.value.field) == ("TOO_MANY_BUCKETS", "interval")


def test_ten_thousand_buckets_are_answered() -> None:
    assert len(make_buckets(TimeRange(0, 10_000 * 60_000), "minute", ZoneInfo("UTC")).starts) == 10_000


@pytest.mark.parametrize("interval", ["", "Day", "quarter", "1"])
def test_an_unknown_interval_is_refused(interval: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        make_buckets(TimeRange(0, HOUR), interval, ZoneInfo("UTC"))
    assert (refused.value.reason, refused.value.field) == ("UNKNOWN_INTERVAL", "interval")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1760000000123", 1_760_000_000_123),
        ("2025-01-01T00:00:00Z", 1_735_689_600_000),
        ("2025-01-01T01:00:00.250+01:00", 1_735_689_600_250),
    ],
)
def test_times_are_milliseconds_or_rfc3339(text: str, moment: int) -> None:
    assert parse_moment(text, "from") == moment


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2025-01-01", "2025-01-01T00:00:00", "-1", "1e18", "NaN", "9" * 18, "9" * 5000, "٣", "infinity"],
)
def test_other_times_are_refused_with_their_field(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_moment(text, "from")
    assert (refused.value.reason, refused.value.field) == ("BAD_TIME", "from")


def test_an_absent_end_is_the_next_full_minute_and_an_absent_start_seven_days_before() -> None:
    span = parse_range("", "", 1_760_000_000_123)
    assert span.end_ms == next_full_minute(1_760_000_000_123) == 1_760_000_040_000
    assert span.end_ms - span.start_ms == 7 * 24 * HOUR


@pytest.mark.parametrize(("start", "end"), [("2000", "1000"), ("1000", "1000")])
def test_an_end_that_is_not_after_the_start_is_refused(start: str, end: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_range(start, end, 0)
    assert (refused.value.reason, refused.value.field) == ("BAD_RANGE", "to")


@pytest.mark.parametrize("name", ["Foo/Bar", "../etc/passwd", "/etc/passwd", "Europe", "a" * 5000, "\x00", "é"])
def test_unknown_time_zones_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_timezone(name)
    assert (refused.value.reason, refused.value.field) == ("BAD_TIMEZONE", "timezone")
