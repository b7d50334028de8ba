"""Funnels, attempt by attempt.

What an attempt is, for every combination of options:

1. Whose. With `users` and `totals` the events of one person, with `sessions` those of one session; of nobody, none.
2. In which order. By time; events of one moment by the first step that they match, those that match none last, and then
   by their id. `by_step` and `strict_time` differ in 5 only.
3. Matching. An event matches a step that its selector means if it meets the request's filter too. It is at most one
   step of an attempt, whatever it matches.
4. The entry: an event in the range that matches the first step (order `any`: some step). One entry is one attempt.
5. The next step is taken by the first event behind the step before that matches it. With `strict` that must be the
   very next event. With `strict_time` it must have a later time than the step before. With `grace` it is the first
   event that is not a step yet and at most 2 s before the latest step so far. With `any` it is the first event behind
   with which one more of the steps has an event of its own: `ties` changes nothing there.
6. It must lie within the window of the entry and have the values of the entry in the fields held constant: no value is
   the same as no value, the number 5 is not the text "5".
7. An exclusion between the event of a step and the event of the next ends the attempt at the earlier one, if it is
   about these steps. With `any` the steps are counted in the order in which they are taken.
8. Which attempts count. `users` and `sessions`: one of each person or session; of all attempts (entry `any`) the one
   with most steps, of these the one that enters earliest. From there it is the shortest, for it takes each step as
   early as it can. With entry `first` that of the first entry in the range. `totals`: of every entry, the earliest
   first, and an event that one attempt has taken is there for no other, neither as a step nor as an entry (entry
   `first`: the first entry only).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.oracle.calendar import buckets, with_range
from tests.oracle.matching import kind, label_of, meets, person, selects, value_of, weight
from tests.oracle.sessions import quantile, split
from tests.support.stored_events import Stored

GRACE = 2_000
WEEK = 7 * 24 * 3_600_000
PRESETS = {"mixpanel": {"entry": "first", "ties": "grace"}, "posthog": {}, "": {}}
DEFAULTS = {"order": "ordered", "entry": "any", "counting": "users", "ties": "by_step", "attribution": "first"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """The events of the steps that were taken."""

    taken: tuple[Stored, ...]

    @property
    def weight(self) -> float:
        return min(weight(event) for event in self.taken)

    def time_to(self, step: int) -> int:
        """From the step before; 1 is the second step."""
        return max(0, self.taken[step].at - self.taken[step - 1].at)

    @property
    def whole_time(self) -> int:
        return max(0, self.taken[-1].at - self.taken[0].at)


class Unit:
    """The events of one person or session, in order."""

    def __init__(self, events: Sequence[Stored], body: dict[str, Any]) -> None:
        self.body = body
        self.options = {name: body.get(name) or of_preset(body, name) for name in DEFAULTS}
        self.steps: list[dict[str, Any]] = body["steps"]
        unmatched = len(self.steps)
        self.events = sorted(
            events,
            key=lambda event: (event.at, min(self.matched(event), default=unmatched), event.event_id.int),
        )
        self.used: set[int] = set()

    def matched(self, event: Stored) -> list[int]:
        if "filter" in self.body and not meets(event, self.body["filter"]):
            return []
        return [number for number, selector in enumerate(self.steps) if selects(event, selector)]

    def attempts(self) -> list[Attempt]:
        """The attempts that count."""
        all_of_them: list[list[int]] = []
        for number, event in enumerate(self.events):
            matched = self.matched(event)
            enters = bool(matched) if self.options["order"] == "any" else 0 in matched
            if enters and number not in self.used and int(self.body["from"]) <= event.at < int(self.body["to"]):
                taken = self.attempt(number)
                all_of_them.append(taken)
                if self.options["counting"] == "totals":
                    self.used.update(taken)
                if self.options["entry"] == "first":
                    break
        if self.options["counting"] != "totals" and all_of_them:
            most = max(len(taken) for taken in all_of_them)
            all_of_them = [next(taken for taken in all_of_them if len(taken) == most)]
        return [Attempt(tuple(self.events[number] for number in taken)) for taken in all_of_them]

    def attempt(self, entry: int) -> list[int]:
        taken = [entry]
        while len(taken) < len(self.steps):
            following = self.following(taken)
            if following is None or self.excluded(taken, following):
                break
            taken.append(following)
        return taken

    def following(self, taken: list[int]) -> int | None:
        """The event that takes the next step."""
        before, entry = self.events[taken[-1]], self.events[taken[0]]
        order, ties = self.options["order"], self.options["ties"]
        latest = max(self.events[number].at for number in taken)
        for number, event in enumerate(self.events):
            if order != "any" and ties == "grace":
                late_enough = number not in taken and event.at >= latest - GRACE
            elif order != "any" and ties == "strict_time":
                late_enough = number > taken[-1] and event.at > before.at
            else:
                late_enough = number > taken[-1]
            if order == "strict":
                late_enough = late_enough and number == taken[-1] + 1
            if (
                late_enough
                and number not in self.used
                and event.at - entry.at <= (self.body.get("window_ms") or WEEK)
                and self.held(event) == self.held(entry)
                and self.is_one_more_step(event, taken)
            ):
                return number
        return None

    def is_one_more_step(self, event: Stored, taken: list[int]) -> bool:
        if self.options["order"] != "any":
            return len(taken) in self.matched(event)
        candidates = [*(self.events[number] for number in taken), event]
        return self.each_has_a_step(candidates, set())

    def each_has_a_step(self, events: list[Stored], given: set[int]) -> bool:
        if not events:
            return True
        return any(
            self.each_has_a_step(events[1:], given | {step}) for step in self.matched(events[0]) if step not in given
        )

    def excluded(self, taken: list[int], following: int) -> bool:
        """Whether something happens between the last step and the next that must not."""
        last_step = len(taken)
        between = self.events[taken[-1] + 1 : following]
        for exclusion in self.body.get("exclusions", []):
            first, last = exclusion.get("from_step") or 1, exclusion.get("to_step") or len(self.steps)
            if first <= last_step < last and any(selects(event, exclusion.get("event", {})) for event in between):
                return True
        return False

    def held(self, event: Stored) -> list[tuple[str, str]]:
        fields = self.body.get("held_constant", [])
        return [(kind(value_of(event, field)), label_of(event, field)) for field in fields]


def of_preset(body: dict[str, Any], name: str) -> str:
    return PRESETS[body.get("preset", "")].get(name, DEFAULTS[name])


def units(events: Sequence[Stored], body: dict[str, Any]) -> list[Unit]:
    if body.get("counting") == "sessions":
        return [Unit(session, body) for session in split(events)]
    by_person: dict[str, list[Stored]] = defaultdict(list)
    for event in events:
        by_person[person(event)].append(event)
    return [Unit(theirs, body) for whose, theirs in by_person.items() if whose]


def funnels(events: Sequence[Stored], body: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """The whole answer."""
    body = with_range(body, now_ms)
    attempts = [attempt for unit in units(events, body) for attempt in unit.attempts()]
    if "breakdown" not in body:
        groups = [group(attempts, body, now_ms)]
    else:
        groups = [
            {"breakdown_value": value, **group(theirs, body, now_ms)} for value, theirs in split_by(attempts, body)
        ]
    start, end = int(body["from"]), int(body["to"])
    over = end + (body.get("window_ms") or WEEK)
    return {"groups": groups, "from": start, "to": end, "incomplete": over > now_ms}


def split_by(attempts: Sequence[Attempt], body: dict[str, Any]) -> list[tuple[str, list[Attempt]]]:
    by_value: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        by_value[value_of_breakdown(attempt, body)].append(attempt)
    other = by_value.pop("$other", [])
    ranked = sorted(by_value, key=lambda value: (-sum(attempt.weight for attempt in by_value[value]), value.encode()))
    limit = body.get("breakdown_limit") or 25
    for value in ranked[limit:]:
        other += by_value[value]
    shown = [(value, by_value[value]) for value in ranked[:limit]]
    return [*shown, ("$other", other)] if other else shown


def value_of_breakdown(attempt: Attempt, body: dict[str, Any]) -> str:
    attribution = body.get("attribution") or "first"
    step = {"first": 1, "last": len(attempt.taken), "step": body.get("attribution_step", 0)}[attribution]
    return label_of(attempt.taken[step - 1], body["breakdown"]) if step <= len(attempt.taken) else "$none"


def group(attempts: Sequence[Attempt], body: dict[str, Any], now_ms: int) -> dict[str, Any]:
    steps: list[dict[str, Any]] = []
    for number, selector in enumerate(body["steps"]):
        reached = [attempt for attempt in attempts if len(attempt.taken) > number]
        step: dict[str, Any] = {"label": label(selector), "count": sum(attempt.weight for attempt in reached)}
        if body.get("order") == "any":
            step["label"] = f"{number + 1} of {len(body['steps'])}"
        first, previous = (steps[0], steps[-1]) if steps else (step, None)
        if first["count"]:
            step["conversion_from_first"] = step["count"] / first["count"]
        if previous is not None and previous["count"]:
            step["conversion_from_previous"] = step["count"] / previous["count"]
        if number and reached:
            times = [attempt.time_to(number) for attempt in reached]
            weighed = sum(attempt.weight * time for attempt, time in zip(reached, times, strict=True))
            step |= {
                "median_ms": quantile(0.5, times),
                "average_ms": weighed / step["count"],
                "p90_ms": quantile(0.9, times),
            }
        steps.append(step)
    converted = [attempt for attempt in attempts if len(attempt.taken) == len(body["steps"])]
    return {"steps": steps, "histogram": histogram(converted, body), "trend": trend(attempts, converted, body, now_ms)}


def label(selector: dict[str, Any]) -> str:
    names = list(dict.fromkeys(selector.get("names", [])))
    return str(selector.get("label") or ", ".join(names) or "any event")


def histogram(converted: Sequence[Attempt], body: dict[str, Any]) -> list[dict[str, Any]]:
    bars = body.get("histogram_bars", 0)
    if not bars or not converted:
        return []
    times = [attempt.whole_time for attempt in converted]
    width = max(1, -(-(max(times) - min(times)) // bars))
    edges = [min(times) + width * number for number in range(bars + 1)]
    return [
        {
            "from_ms": low,
            "to_ms": high,
            "count": sum(
                attempt.weight
                for attempt, time in zip(converted, times, strict=True)
                if low <= time < high or (high == edges[-1] and time == high)
            ),
        }
        for low, high in pairwise(edges)
    ]


def trend(
    attempts: Sequence[Attempt], converted: Sequence[Attempt], body: dict[str, Any], now_ms: int
) -> list[dict[str, Any]]:
    if not body.get("trend_interval"):
        return []
    points = []
    for start, end in buckets({**body, "interval": body["trend_interval"]}):
        entered = sum(attempt.weight for attempt in attempts if start <= attempt.taken[0].at < end)
        through = sum(attempt.weight for attempt in converted if start <= attempt.taken[0].at < end)
        over = min(end, int(body["to"])) + (body.get("window_ms") or WEEK)
        point = {"start": start, "entered": entered, "converted": through, "incomplete": over > now_ms}
        if entered:
            point["conversion"] = through / entered
        points.append(point)
    return points
