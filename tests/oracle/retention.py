"""Retention, person by person and period by period."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.oracle.calendar import buckets, end_of, start_of
from tests.oracle.matching import label_of, meets, person, selects, weight
from tests.support.stored_events import Stored

_HOUR = 3_600_000
_LENGTHS = {"hour": _HOUR, "day": 24 * _HOUR, "week": 7 * 24 * _HOUR, "month": 30 * 24 * _HOUR}
_PRESETS: dict[str, dict[str, str]] = {
    "mixpanel": {"buckets": "rolling", "criteria": "on_or_after"},
    "posthog": {"mode": "recurring", "buckets": "calendar", "criteria": "on"},
    "amplitude": {"buckets": "rolling_hour"},
}


@dataclass
class _Member:
    """One person in one cohort."""

    start: Stored
    weight: float
    label: str
    returns: list[Stored]


def retention(events: Sequence[Stored], body: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """The whole answer."""
    body = {**_PRESETS.get(body.get("preset", ""), {}), **{key: value for key, value in body.items() if value}}
    cohorts = [_members(events, body, cohort) for cohort in buckets(body)]
    groups: list[dict[str, Any]] = []
    if body.get("breakdown"):
        sizes: dict[str, float] = defaultdict(float)
        for members in cohorts:
            for member in members:
                sizes[member.label] += member.weight
        named = sorted(
            (label for label in sizes if label != "$other"), key=lambda label: (-sizes[label], label.encode())
        )
        top = named[: body.get("breakdown_limit") or 25]
        for label in top:
            chosen = [[member for member in members if member.label == label] for members in cohorts]
            groups.append({"breakdown_value": label, **_group(chosen, body, now_ms)})
        if len(sizes) > len(top):
            chosen = [[member for member in members if member.label not in top] for members in cohorts]
            groups.append({"breakdown_value": "$other", **_group(chosen, body, now_ms)})
    else:
        groups.append(_group(cohorts, body, now_ms))
    return {
        "groups": groups,
        "from": int(body["from"]),
        "to": int(body["to"]),
        "interval": body.get("interval") or "day",
        "timezone": body.get("timezone") or "UTC",
    }


def _order(event: Stored) -> tuple[int, int]:
    return event.at, event.event_id.int


def _members(events: Sequence[Stored], body: dict[str, Any], cohort: tuple[int, int]) -> list[_Member]:
    """The people of one cohort."""
    first = max(cohort[0], int(body["from"]))
    last = min(cohort[1], int(body["to"]))
    start_selector = body.get("start_event", {})
    return_selector = body.get("return_event", {})
    if not return_selector.get("names") and not return_selector.get("filter"):
        return_selector = start_selector
    histories: dict[str, list[Stored]] = defaultdict(list)
    for event in events:
        if person(event) and ("filter" not in body or meets(event, body["filter"])):
            histories[person(event)].append(event)
    members: list[_Member] = []
    for history in histories.values():
        history.sort(key=_order)
        starts = [event for event in history if selects(event, start_selector)]
        if body.get("mode") == "recurring":
            starts = [event for event in starts if first <= event.at < last]
        else:
            starts = [event for event in starts[:1] if first <= event.at < last]
        if starts:
            start = starts[0]
            members.append(
                _Member(
                    start,
                    min(weight(event) for event in starts),
                    label_of(start, body["breakdown"]) if body.get("breakdown") else "",
                    [event for event in history if _order(event) > _order(start) and selects(event, return_selector)],
                )
            )
    return members


def _period(start: Stored, period: int, body: dict[str, Any]) -> tuple[int, int]:
    """When somebody's period begins and ends."""
    interval, zone, week = body.get("interval") or "day", body.get("timezone") or "UTC", body.get("week_start") or ""
    rule = body.get("buckets") or "calendar"
    if rule == "calendar":
        begin, end = start_of(start.at, interval, zone, week), end_of(start.at, interval, zone, week)
        for _ in range(period):
            begin, end = end, end_of(end, interval, zone, week)
        return begin, end
    base = start_of(start.at, "hour", zone) if rule == "rolling_hour" else start.at
    return base + period * _LENGTHS[interval], base + (period + 1) * _LENGTHS[interval]


def _group(cohorts: list[list[_Member]], body: dict[str, Any], now_ms: int) -> dict[str, Any]:
    periods = range((body.get("periods") or 10) + 1)
    answered: list[dict[str, Any]] = []
    for (begin, end), members in zip(buckets(body), cohorts, strict=True):
        end_of_starts = min(end, int(body["to"]))
        size = sum(member.weight for member in members)
        cells = [_cell(members, size, period, end_of_starts, body, now_ms) for period in periods]
        answered.append({"start": begin, "size": size, "cells": cells})
    average: list[dict[str, Any]] = []
    for period in periods:
        complete = [cohort for cohort in answered if not cohort["cells"][period]["incomplete"]]
        cell: dict[str, Any] = {"period": period, "incomplete": len(complete) < len(answered)}
        if complete:
            cell["count"] = sum(cohort["cells"][period]["count"] for cohort in complete)
            if size := sum(cohort["size"] for cohort in complete):
                cell["rate"] = cell["count"] / size
        average.append(cell)
    return {"cohorts": answered, "average": average}


def _cell(
    members: list[_Member], size: float, period: int, end_of_starts: int, body: dict[str, Any], now_ms: int
) -> dict[str, Any]:
    # Of nobody: as if somebody had started at the end. A calendar period is the same for all who start in the bucket.
    rolling = (body.get("buckets") or "calendar") != "calendar"
    if members:
        ends = [_period(member.start, period, body)[1] for member in members]
    elif rolling:
        ends = [end_of_starts + (period + 1) * _LENGTHS[body.get("interval") or "day"]]
    else:
        ends = [_period(Stored(end_of_starts - 1), period, body)[1]]
    over = [end <= now_ms for end in ends]
    cell: dict[str, Any] = {"period": period, "incomplete": not all(over) or end_of_starts > now_ms}
    if any(over):
        cell["count"] = sum(_came_back(member, period, body) for member in members)
        if size:
            cell["rate"] = cell["count"] / size
    return cell


def _came_back(member: _Member, period: int, body: dict[str, Any]) -> float:
    """How many people the member stands for, 0 when they did not come back in the period."""
    begin, end = _period(member.start, period, body)
    later = body.get("criteria") == "on_or_after"
    found = [event for event in member.returns if begin <= event.at and (later or event.at < end)]
    return min([member.weight, *(weight(event) for event in found)]) if found else 0.0
