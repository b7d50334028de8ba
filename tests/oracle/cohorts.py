"""Who is in a cohort, person by person."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.oracle.matching import meets, person, selects, value_of, weight
from tests.support.stored_events import Stored

_MINUTE = 60_000
_DAY = 24 * 3_600_000


def members(events: Sequence[Stored], definition: dict[str, Any], now_ms: int) -> set[str]:
    """The ids of the people in a cohort, of all people who have events."""
    histories: dict[str, list[Stored]] = defaultdict(list)
    for event in sorted(events, key=lambda event: (event.at, event.event_id.int)):
        if person(event):
            histories[person(event)].append(event)
    return {who for who, history in histories.items() if belongs(who, history, definition, now_ms)}


def in_cohorts(events: Sequence[Stored], definitions: Mapping[str, dict[str, Any]], now_ms: int) -> list[Stored]:
    """The events, each with the cohorts that its person is in."""
    found = {cohort_id: members(events, definition, now_ms) for cohort_id, definition in definitions.items()}
    return [
        replace(event, cohorts=frozenset(one for one, people in found.items() if person(event) in people))
        for event in events
    ]


def preview(events: Sequence[Stored], body: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """The whole answer."""
    found = members(events, body["definition"], now_ms)
    people = 0.0
    for who in found:
        people += min(weight(event) for event in events if person(event) == who)
    return {"people": people, "person_ids": sorted(found, key=lambda who: who.encode())[:10]}


def belongs(who: str, history: Sequence[Stored], definition: dict[str, Any], now_ms: int) -> bool:
    """Whether somebody belongs to a definition. `history` is all their events in their order."""
    if "all" in definition:
        return all(belongs(who, history, one, now_ms) for one in definition["all"])
    if "any" in definition:
        return any(belongs(who, history, one, now_ms) for one in definition["any"])
    if "none" in definition:
        return not any(belongs(who, history, one, now_ms) for one in definition["none"])
    if "performed" in definition:
        return _performed(history, definition["performed"], now_ms)
    if "property" in definition:
        return _has_property(history, definition["property"])
    if "sequence" in definition:
        return _did_in_order(history, definition["sequence"], now_ms)
    return who in definition["static"]["person_ids"]


def _performed(history: Sequence[Stored], wanted: dict[str, Any], now_ms: int) -> bool:
    done = 0
    for event in history:
        if _inside(event, wanted.get("window", {}), now_ms) and selects(event, wanted.get("event", {})):
            done += 1
    count = wanted.get("count", 1)
    op = wanted.get("op") or "at_least"
    if op == "at_least":
        return bool(done >= count)
    return bool(done == count if op == "exactly" else done <= count)


def _has_property(history: Sequence[Stored], wanted: dict[str, Any]) -> bool:
    absent = value_of(Stored(0), "properties.nobody has this")
    having = [event for event in history if value_of(event, wanted["field"]) is not absent]
    if not having:
        return wanted["op"] in ("neq", "not_exists")
    return meets(having[-1], wanted)


def _did_in_order(history: Sequence[Stored], wanted: dict[str, Any], now_ms: int) -> bool:
    inside = [event for event in history if _inside(event, wanted.get("window", {}), now_ms)]
    within = wanted.get("within_ms") or 7 * _DAY
    for place, first in enumerate(inside):
        if not selects(first, wanted["events"][0]):
            continue
        # From a first event on, the earliest next one is never worse than a later one.
        rest = list(wanted["events"][1:])
        for event in inside[place + 1 :]:
            if rest and event.at - first.at <= within and selects(event, rest[0]):
                rest.pop(0)
        if not rest:
            return True
    return False


def _inside(event: Stored, window: dict[str, Any], now_ms: int) -> bool:
    if window.get("last_days"):
        end = (now_ms // _MINUTE + 1) * _MINUTE
        return bool(end - window["last_days"] * _DAY <= event.at < end)
    return (not window.get("from") or event.at >= int(window["from"])) and (
        not window.get("to") or event.at < int(window["to"])
    )
