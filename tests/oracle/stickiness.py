"""Stickiness, user by user."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from tests.oracle.calendar import buckets, with_range
from tests.oracle.matching import in_range, person, selects, weight
from tests.support.stored_events import Stored


def stickiness(events: Sequence[Stored], body: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """The whole answer."""
    body = with_range(body, now_ms)
    active: dict[str, Counter[int]] = defaultdict(Counter)
    weights: dict[tuple[str, int], float] = {}
    covering = buckets(body)
    for event in in_range(events, body):
        who = person(event)
        if who and selects(event, body.get("event", {})):
            [index] = [index for index, (start, end) in enumerate(covering) if start <= event.at < end]
            active[who][index] += 1
            weights[who, index] = min(weight(event), weights.get((who, index), weight(event)))
    users: dict[int, float] = defaultdict(float)
    for who, counts in active.items():
        enough = [index for index, count in counts.items() if count >= (body.get("at_least") or 1)]
        if enough:
            users[len(enough)] += min(weights[who, index] for index in enough)
    total = sum(users.values())
    bars = []
    for intervals in range(1, len(covering) + 1):
        bar = {
            "intervals": intervals,
            "users": users[intervals],
            "users_at_least": sum(count for number, count in users.items() if number >= intervals),
        }
        if total:
            bar["rate"] = users[intervals] / total
        bars.append(bar)
    return {"bars": bars, "users": total, "from": int(body["from"]), "to": int(body["to"])}
