"""Buckets by looking at a clock on the wall: a bucket begins where its label does."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

_QUARTER = 15 * 60_000
_MINUTE = 60_000


def moment(unix_ms: int, zone: str) -> datetime:
    """What the clock shows."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=unix_ms)).astimezone(ZoneInfo(zone or "UTC"))


def label(unix_ms: int, interval: str, zone: str, week_start: str) -> object:
    """Two moments of one bucket have the same."""
    clock = moment(unix_ms, zone)
    day: date = clock.date()
    if interval == "minute":
        return day, clock.hour, clock.minute, clock.utcoffset()
    if interval == "hour":
        return day, clock.hour, clock.utcoffset()
    if interval == "week":
        passed = day.weekday() if week_start != "sunday" else (day.weekday() + 1) % 7
        return day - timedelta(days=passed)
    return (day.year, day.month) if interval == "month" else day


@cache
def start_of(unix_ms: int, interval: str, zone: str, week_start: str = "") -> int:
    """The first millisecond of the bucket of a moment."""
    step = _MINUTE if interval == "minute" else _QUARTER
    wanted = label(unix_ms, interval, zone, week_start)
    start = unix_ms // step * step
    while label(start - step, interval, zone, week_start) == wanted:
        start -= step
    return start


@cache
def end_of(unix_ms: int, interval: str, zone: str, week_start: str = "") -> int:
    """The first millisecond after the bucket of a moment."""
    step = _MINUTE if interval == "minute" else _QUARTER
    wanted = label(unix_ms, interval, zone, week_start)
    end = unix_ms // step * step + step
    while label(end, interval, zone, week_start) == wanted:
        end += step
    return end


def with_range(body: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """A request with both ends of its range in unix milliseconds."""
    end = _unix_ms(body["to"]) if body.get("to") else (now_ms // _MINUTE + 1) * _MINUTE
    start = _unix_ms(body["from"]) if body.get("from") else end - 7 * 24 * 60 * _MINUTE
    return {**body, "from": str(start), "to": str(end)}


def _unix_ms(text: str) -> int:
    if text.isdigit():
        return int(text)
    return round((datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))


def buckets(body: dict[str, Any]) -> list[tuple[int, int]]:
    """The buckets that cover a request's range, as (start, end), oldest first."""
    arguments = (body.get("interval") or "day", body.get("timezone") or "UTC", body.get("week_start") or "")
    found: list[tuple[int, int]] = []
    at = int(body["from"])
    while at < int(body["to"]):
        found.append((start_of(at, *arguments), end_of(at, *arguments)))
        at = found[-1][1]
    return found
