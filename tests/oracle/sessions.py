"""The report on sessions, session by session."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from tests.oracle.calendar import buckets, with_range
from tests.oracle.matching import label_of, meets, weight
from tests.support.stored_events import Stored

GAP = 30 * 60 * 1000
MOST_PAGES = 20
Session = list[Stored]


def split(events: Sequence[Stored]) -> list[Session]:
    """All sessions of some events."""
    by_id: dict[str, Session] = defaultdict(list)
    for event in sorted(events, key=lambda event: (event.at, event.event_id.int)):
        if event.session:
            by_id[event.session].append(event)
    sessions: list[Session] = []
    for listed in by_id.values():
        sessions.append([listed[0]])
        for before, event in pairwise(listed):
            if event.at - before.at >= GAP:
                sessions.append([])
            sessions[-1].append(event)
    return sessions


def weight_of(session: Session) -> float:
    return min(weight(event) for event in session)


def duration(session: Session) -> int:
    return session[-1].at - session[0].at


def views(session: Session) -> int:
    return sum(event.name == "page_view" for event in session)


def bounced(session: Session) -> bool:
    acted = any(event.category == "interaction" for event in session)
    return views(session) <= 1 and not acted and duration(session) < 10_000


def quantile(level: float, values: Sequence[float]) -> float:
    """Between the two nearest values, by how near (R's type 7)."""
    ordered = sorted(values)
    place = level * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def numbers(sessions: Sequence[Session]) -> dict[str, float]:
    total = sum(weight_of(one) for one in sessions)
    if not total:
        return {"sessions": 0}
    return {
        "sessions": total,
        "average_duration_ms": sum(weight_of(one) * duration(one) for one in sessions) / total,
        "median_duration_ms": quantile(0.5, [duration(one) for one in sessions]),
        "p90_duration_ms": quantile(0.9, [duration(one) for one in sessions]),
        "bounce_rate": sum(weight_of(one) for one in sessions if bounced(one)) / total,
        "pages_per_session": sum(weight_of(one) * views(one) for one in sessions) / total,
        "events_per_session": sum(weight_of(one) * len(one) for one in sessions) / total,
    }


def pages(sessions: Sequence[Session], place: int) -> list[dict[str, Any]]:
    """Where sessions begin (place 0) or end (place -1)."""
    by_path: dict[str, list[Session]] = defaultdict(list)
    for session in sessions:
        paths = [urlsplit(event.page_url).path or "/" for event in session if event.page_url]
        if paths:
            by_path[paths[place]].append(session)
    counted = [(path, sum(weight_of(one) for one in found), found) for path, found in by_path.items()]
    counted.sort(key=lambda item: (-item[1], item[0]))
    return [
        {"path": path, "sessions": count, "bounce_rate": sum(weight_of(one) for one in found if bounced(one)) / count}
        for path, count, found in counted[:MOST_PAGES]
    ]


def sessions(events: Sequence[Stored], body: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """The whole answer."""
    body = with_range(body, now_ms)
    found = [
        session
        for session in split(events)
        if int(body["from"]) <= session[0].at < int(body["to"])
        and ("filter" not in body or any(meets(event, body["filter"]) for event in session))
    ]
    groups: list[tuple[str | None, list[Session]]] = [(None, found)]
    if "breakdown" in body:
        by_value: dict[str, list[Session]] = defaultdict(list)
        for session in found:
            by_value[label_of(session[0], body["breakdown"])].append(session)
        ranked = sorted(by_value, key=lambda value: (-sum(weight_of(one) for one in by_value[value]), value))
        told = ranked[: body.get("breakdown_limit") or 25]
        groups = [(value, by_value[value]) for value in told]
        rest = [session for value in ranked if value not in told for session in by_value[value]]
        if rest:
            groups.append(("$other", rest))
    answer: dict[str, Any] = {"groups": [], "from": int(body["from"]), "to": int(body["to"])}
    for label, members in groups:
        group: dict[str, Any] = {} if label is None else {"breakdown_value": label}
        group["total"] = numbers(members)
        group["points"] = []
        for start, end in buckets(body):
            point: dict[str, Any] = {"start": start, "incomplete": end > now_ms}
            inside = [session for session in members if start <= session[0].at < end]
            point["numbers"] = numbers(inside) if inside or end <= now_ms else {}
            group["points"].append(point)
        answer["groups"].append(group)
    answer["entry_pages"], answer["exit_pages"] = pages(found, 0), pages(found, -1)
    return answer
