"""The metrics of the contract computed the slow, plain way, from a list of events."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.support.stored_events import Stored

GAP_MS = 30 * 60 * 1000


@dataclass(frozen=True, slots=True)
class PlainSession:
    """One session."""

    events: Sequence[Stored]

    @property
    def start(self) -> int:
        return self.events[0].at

    @property
    def duration(self) -> int:
        return self.events[-1].at - self.events[0].at

    @property
    def page_views(self) -> int:
        return sum(event.name == "page_view" for event in self.events)

    @property
    def bounced(self) -> bool:
        interactions = any(event.category == "interaction" for event in self.events)
        return self.page_views <= 1 and not interactions and self.duration < 10_000

    @property
    def weight(self) -> float:
        return min(1 / event.sample_rate for event in self.events)


def person(event: Stored) -> str:
    return event.user or event.anonymous or event.session or ""


def is_error(event: Stored) -> bool:
    return event.name == "error" or event.category == "error"


def sessions_of(events: Iterable[Stored]) -> list[PlainSession]:
    by_id: defaultdict[str, list[Stored]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.at):
        if event.session:
            by_id[event.session].append(event)
    sessions: list[PlainSession] = []
    for listed in by_id.values():
        current = [listed[0]]
        for event in listed[1:]:
            if event.at - current[-1].at >= GAP_MS:
                sessions.append(PlainSession(current))
                current = []
            current.append(event)
        sessions.append(PlainSession(current))
    return sessions


def users(events: Iterable[Stored]) -> float:
    weights: dict[str, float] = {}
    for event in events:
        if name := person(event):
            weights[name] = min(weights.get(name, float("inf")), 1 / event.sample_rate)
    return sum(weights.values())


def percentile(values: Iterable[float], level: float) -> float | None:
    ordered = sorted(values)
    if not ordered:
        return None
    position = level * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def measurements(events: Iterable[Stored], name: str) -> list[float]:
    return [
        value
        for event in events
        if event.name == "performance_metric" and event.properties.get("metric_name") == name
        for value in [event.properties.get("metric_value")]
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


def metric(name: str, events: Sequence[Stored], start: int, end: int) -> float | None:
    """A metric of [start, end). `events` are all of the tenant: sessions reach over the edges."""
    inside = [event for event in events if start <= event.at < end]

    def weigh(test: Callable[[Stored], bool]) -> float:
        return sum(1 / event.sample_rate for event in inside if test(event))

    if name == "events":
        return weigh(lambda event: True)
    if name == "page_views":
        return weigh(lambda event: event.name == "page_view")
    if name == "errors":
        return weigh(is_error)
    if name == "error_rate":
        return weigh(is_error) / weigh(lambda event: True) if inside else None
    if name == "users":
        return users(inside)
    if name.startswith("count:"):
        return weigh(lambda event: event.name == name[6:])
    if name[0] == "p" and name[1:3].isdigit():
        return percentile(measurements(inside, name[4:]), int(name[1:3]) / 100)
    sessions = [session for session in sessions_of(events) if start <= session.start < end]
    total = sum(session.weight for session in sessions)
    if name == "sessions":
        return total
    if not sessions:
        return None
    if name == "avg_session_duration":
        return sum(session.weight * session.duration for session in sessions) / total
    if name == "bounce_rate":
        return sum(session.weight for session in sessions if session.bounced) / total
    assert name == "pages_per_session"
    return sum(session.weight * session.page_views for session in sessions) / total
