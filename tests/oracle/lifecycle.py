"""Lifecycle, user by user and bucket by bucket."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from tests.oracle.calendar import buckets, start_of
from tests.oracle.matching import meets, person, selects, weight
from tests.support.stored_events import Stored


def lifecycle(events: Sequence[Stored], body: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """The whole answer."""
    histories: dict[str, list[Stored]] = defaultdict(list)
    for event in events:
        meant = selects(event, body.get("event", {})) and ("filter" not in body or meets(event, body["filter"]))
        if person(event) and meant:
            histories[person(event)].append(event)
    arguments = (body.get("interval") or "day", body.get("timezone") or "UTC", body.get("week_start") or "")
    points = []
    for start, end in buckets(body):
        before = start_of(start - 1, *arguments)
        counts = {"new": 0.0, "returning": 0.0, "resurrecting": 0.0, "dormant": 0.0}
        for history in histories.values():
            now = [weight(event) for event in history if start <= event.at < end]
            just_before = [weight(event) for event in history if before <= event.at < start]
            earlier = [event for event in history if event.at < before]
            if now and just_before:
                counts["returning"] += min(now)
            elif now and earlier:
                counts["resurrecting"] += min(now)
            elif now:
                counts["new"] += min(now)
            elif just_before:
                counts["dormant"] += min(just_before)
        incomplete = end > now_ms
        if incomplete:
            counts = {name: count for name, count in counts.items() if count and name != "dormant"}
        points.append({"start": start, **counts, "incomplete": incomplete})
    return {"points": points, "from": int(body["from"]), "to": int(body["to"])}
