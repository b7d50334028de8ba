"""Paths, one session or person at a time."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.oracle.calendar import with_range
from tests.oracle.matching import has_value, label_of, person, selects, weight
from tests.oracle.sessions import quantile, split
from tests.support.stored_events import Stored

DAY = 24 * 3_600_000
OTHER = "$other"


@dataclass(frozen=True, slots=True)
class Step:
    """A step: its name and its time."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Path:
    """A path.

    Attributes:
        steps: all of them, by number; those that are not told too.
        weight: how often it counts.
    """

    steps: dict[int, Step]
    weight: float


def owners(events: Sequence[Stored], body: dict[str, Any]) -> Iterable[list[Stored]]:
    """The events of each session or person."""
    start, end = int(body["from"]), int(body["to"])
    if body.get("counting") != "user":
        near = [event for event in events if event.at < end + DAY]
        return [session for session in split(near) if start <= session[0].at < end]
    by_person: dict[str, list[Stored]] = defaultdict(list)
    for event in sorted(events, key=lambda event: (event.at, event.event_id.int)):
        if person(event) and start <= event.at < end:
            by_person[person(event)].append(event)
    return by_person.values()


def path_of(events: Sequence[Stored], body: dict[str, Any]) -> Path | None:
    """The path of a session or a person; None = there is none."""
    field = body.get("step_field") or "event_name"
    chosen = [event for event in events if selects(event, body.get("steps", {})) and has_value(event, field)]
    zero = 0
    for kind in ("start", "end", "around"):
        if kind in body:
            found = [index for index, event in enumerate(chosen) if selects(event, body[kind])]
            if not found:
                return None
            zero = found[-1] if kind == "end" else found[0]
    if not chosen:
        return None
    least = min(weight(event) for event in chosen)
    steps = [Step(label_of(event, field), event.at) for event in chosen]
    if "start" in body:
        steps, zero = steps[zero:], 0
    if "end" in body:
        steps = steps[: zero + 1]
    if body.get("collapse_repeats"):
        left: list[Step] = []
        standing: list[int] = []
        for step in steps:
            if not left or left[-1].name != step.name:
                left.append(step)
            standing.append(len(left) - 1)
        steps, zero = left, standing[zero]
    return Path({index - zero: step for index, step in enumerate(steps)}, least)


def paths(events: Sequence[Stored], body: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """The whole answer."""
    body = with_range(body, now_ms)
    found = [path for own in owners(events, body) if (path := path_of(own, body)) is not None]
    most = (body.get("max_steps") or 5) - 1
    told = range(-most if "end" in body or "around" in body else 0, 1 if "end" in body else most + 1)
    named = names_that_are_told(found, told, body)

    def label(path: Path, number: int) -> str:
        name = path.steps[number].name
        return name if (number, name) in named else OTHER

    nodes: dict[tuple[int, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    edges: dict[tuple[int, str, str], float] = defaultdict(float)
    times: dict[tuple[int, str, str], list[int]] = defaultdict(list)
    for path in found:
        for number in told:
            if number in path.steps:
                nodes[number, label(path, number)][0] += path.weight
                if drops_off(path, number, body):
                    nodes[number, label(path, number)][1] += path.weight
        for number, following in pairwise(told):
            if number in path.steps and following in path.steps:
                edge = (number, label(path, number), label(path, following))
                edges[edge] += path.weight
                times[edge].append(path.steps[following].at - path.steps[number].at)
    return {
        "nodes": [
            {"step": step, "name": name, "count": count, "drop_offs": drop_offs}
            for (step, name), (count, drop_offs) in sorted(
                nodes.items(), key=lambda item: (item[0][0], item[0][1] == OTHER, -item[1][0], item[0][1])
            )
        ],
        "edges": [
            {"step": step, "source": source, "target": target, "count": count}
            | ({} if OTHER in (source, target) else {"median_ms": quantile(0.5, times[step, source, target])})
            for (step, source, target), count in sorted(
                edges.items(), key=lambda item: (item[0][0], OTHER in item[0][1:], -item[1], item[0][1:])
            )
        ],
        "paths": sum(path.weight for path in found),
        "from": int(body["from"]),
        "to": int(body["to"]),
    }


def drops_off(path: Path, number: int, body: dict[str, Any]) -> bool:
    """Whether a path ends at a step, or begins there where steps are counted backwards."""
    backwards = number < 0 or (number == 0 and "end" in body)
    return (number - 1 if backwards else number + 1) not in path.steps


def names_that_are_told(found: Sequence[Path], told: range, body: dict[str, Any]) -> set[tuple[int, str]]:
    """The steps and names that the most frequent edges and drop-offs touch."""
    edges: dict[int, dict[tuple[str, str], float]] = defaultdict(lambda: defaultdict(float))
    drop_offs: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for path in found:
        for number in told:
            if number in path.steps and drops_off(path, number, body):
                drop_offs[number][path.steps[number].name] += path.weight
        for number, following in pairwise(told):
            if number in path.steps and following in path.steps:
                edges[number][path.steps[number].name, path.steps[following].name] += path.weight
    most = body.get("edges_per_step") or 20
    named: set[tuple[int, str]] = set()
    for number, dropped in drop_offs.items():
        named |= {(number, name) for name in sorted(dropped, key=lambda name: (-dropped[name], name))[:most]}
    for number, taken in edges.items():
        for source, target in sorted(taken, key=lambda edge: (-taken[edge], edge))[:most]:
            named |= {(number, source), (number + 1, target)}
    return named
