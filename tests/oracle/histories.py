"""Small hostile histories: ties, repetitions, mixed types, events on borders, days of 23 and 25 hours.

Users are signed out at times, and use each other's devices.
"""

import uuid
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.oracle.identity import linked
from tests.support.stored_events import Stored

NAMES = ("a", "b", "c", "page_view")
HOUR = 3_600_000
_ZONES = ("UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu")
# Days on which clocks change in Berlin, and one on which they do not.
_DAYS = ("2025-03-29", "2025-10-25", "2025-06-01")
_VALUES: st.SearchStrategy[Any] = st.sampled_from(
    ["pro", "free", "", "5", "true", 5, 5.5, -1, 0, True, False, None, [1], {"x": 1}]
)
_STEPS = st.sampled_from([0, 0, 1, 999, 2_000, 2_001, 60_000, HOUR // 2, HOUR, 23 * HOUR, 24 * HOUR, 7 * 24 * HOUR])


def at(text: str, zone: str) -> int:
    """Unix milliseconds of a time on the wall."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@st.composite
def windows(draw: st.DrawFn, intervals: tuple[str, ...] = ("hour", "day", "week", "month")) -> dict[str, Any]:
    """Range, interval and zone of a request; some ranges begin and end inside of a bucket."""
    zone, interval = draw(st.sampled_from(_ZONES)), draw(st.sampled_from(intervals))
    start = at(draw(st.sampled_from(_DAYS)), zone)
    days = 2 if interval == "hour" else draw(st.sampled_from([1, 4, 30]))
    window: dict[str, Any] = {
        "from": str(start + draw(st.sampled_from([0, 0, 1, HOUR // 2, 5 * HOUR]))),
        "to": str(start + days * 24 * HOUR + draw(st.sampled_from([0, 0, HOUR, 25 * HOUR]))),
        "interval": interval,
        "timezone": zone,
    }
    if interval == "week" and draw(st.booleans()):
        window["week_start"] = "sunday"
    return window


@st.composite
def histories(draw: st.DrawFn, window: dict[str, Any], *, most: int = 40) -> list[Stored]:
    """Events around a request's range."""
    start, end = int(window["from"]), int(window["to"])
    anchors = [start, end, start - 1, end - 1, start + 24 * HOUR, start - 24 * HOUR]
    sampled = draw(st.booleans()) and draw(st.booleans())
    events: list[Stored] = []
    moment = draw(st.sampled_from(anchors))
    for number in range(draw(st.integers(0, most))):
        moment = draw(st.sampled_from(anchors)) if draw(st.integers(0, 9)) == 0 else moment + draw(_STEPS)
        who = draw(st.integers(0, 4))
        # One user is known on two devices, one device is nobody's, some events have no person at all.
        user = None if who == 3 else f"u{who}"
        nobody = draw(st.integers(0, 19)) == 0
        signed_out = draw(st.integers(0, 4)) == 0
        device = None if who == 4 else who if draw(st.integers(0, 9)) else draw(st.integers(0, 3))
        keys = draw(st.lists(st.sampled_from(["plan", "n"]), unique=True, max_size=2))
        events.append(
            Stored(
                at=moment,
                name=draw(st.sampled_from(NAMES)),
                category=draw(st.sampled_from(["navigation", "interaction"])),
                user=None if nobody or signed_out else user,
                anonymous=None if nobody or device is None else f"d{device}",
                session=None if nobody else draw(st.sampled_from([None, f"s{who}", f"t{who}"])),
                properties={key: draw(_VALUES) for key in keys},
                page_url=draw(st.sampled_from([None, "https://x.example/", "https://x.example/cart?x=1"])),
                device={"browser": draw(st.sampled_from(["Chrome", "Edge"]))},
                # Sampling is by person: one person, one rate.
                sample_rate=(1.0, 0.5, 0.1, 1.0, 0.25)[who] if sampled and not nobody else 1.0,
                event_id=uuid.UUID(int=draw(st.integers(1, 2**64)) * 1000 + number),
            )
        )
    return linked(draw(st.permutations(events)))


def filters(*, depth: int = 2) -> st.SearchStrategy[dict[str, Any]]:
    """Filters of a request."""
    fields = st.sampled_from(["properties.plan", "properties.n", "user_id", "device_info.browser", "event_category"])
    texts, numbers = st.sampled_from(["pro", "", "5", "u1", "Chrome", "navigation"]), st.sampled_from([5, 5.5, 0, -1])
    scalars = st.one_of(texts, numbers, st.booleans())
    comparisons = st.one_of(
        st.fixed_dictionaries({"field": fields, "op": st.sampled_from(["exists", "not_exists"])}),
        st.fixed_dictionaries(
            {"field": fields, "op": st.sampled_from(["eq", "neq"]), "values": st.lists(scalars, min_size=1, max_size=3)}
        ),
        st.fixed_dictionaries(
            {
                "field": fields,
                "op": st.sampled_from(["gt", "gte", "lt", "lte"]),
                "values": st.lists(st.one_of(texts, numbers), min_size=1, max_size=1),
            }
        ),
        st.fixed_dictionaries(
            {
                "field": fields,
                "op": st.sampled_from(["contains", "starts_with"]),
                "values": st.lists(texts, min_size=1, max_size=1),
            }
        ),
    )
    if depth == 0:
        return comparisons
    members = st.lists(filters(depth=depth - 1), min_size=1, max_size=2)
    return st.one_of(
        comparisons,
        *(st.fixed_dictionaries({kind: members}) for kind in ("all", "any", "none")),
    )


@st.composite
def _cohort_windows(draw: st.DrawFn, window: dict[str, Any], now_ms: int) -> dict[str, Any]:
    start, end = int(window["from"]), int(window["to"])
    if draw(st.booleans()):
        # Up to now, which may lie anywhere, so the edge is put on the history.
        days = (now_ms - draw(st.sampled_from([start, end]))) // (24 * HOUR)
        return {"last_days": min(3660, max(1, days + draw(st.integers(-1, 1))))}
    found: dict[str, Any] = {}
    if draw(st.booleans()):
        found["from"] = str(start + draw(st.sampled_from([-24 * HOUR, 0, 1])))
    if draw(st.booleans()):
        found["to"] = str(end + draw(st.sampled_from([0, 1, 24 * HOUR])))
    return found


@st.composite
def definitions(draw: st.DrawFn, window: dict[str, Any], now_ms: int, *, depth: int = 2) -> dict[str, Any]:
    """Definitions of cohorts."""
    forms = ["performed", "performed", "property", "sequence", "static"]
    kind = draw(st.sampled_from([*forms, "all", "any", "none"] if depth else forms))
    if kind in ("all", "any", "none"):
        return {kind: draw(st.lists(definitions(window, now_ms, depth=depth - 1), min_size=1, max_size=3))}
    if kind == "static":
        people = st.sampled_from(["u0", "u1", "u2", "d0", "d3", "d4", "s4", "t4", "nobody", "it's"])
        return {kind: {"person_ids": draw(st.lists(people, min_size=1, max_size=4))}}
    if kind == "property":
        comparison = draw(filters(depth=0))
        return {kind: comparison}
    body: dict[str, Any] = {}
    if draw(st.booleans()):
        body["window"] = draw(_cohort_windows(window, now_ms))
    if kind == "sequence":
        body["events"] = draw(st.lists(selectors(), min_size=2, max_size=4))
        if draw(st.booleans()):
            body["within_ms"] = draw(st.sampled_from([1, 2_000, 60_000, HOUR, 24 * HOUR]))
        return {kind: body}
    body["event"] = draw(selectors())
    if draw(st.booleans()):
        body |= {"op": draw(st.sampled_from(["at_least", "exactly", "at_most"])), "count": draw(st.integers(0, 3))}
    return {kind: body}


@st.composite
def selectors(draw: st.DrawFn) -> dict[str, Any]:
    """Selectors of a request."""
    selector: dict[str, Any] = {}
    if names := draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=2)):
        selector["names"] = names
    if draw(st.integers(0, 3)) == 0:
        selector["filter"] = draw(filters())
    return selector
