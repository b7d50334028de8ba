"""GetDashboard: the five groups of the standing dashboard, each number beside that of the period before.

Both periods are read in one pass of each statement; `p` is 1 in the period and 0 in the one before.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from obc_query.asker import Asker
from obc_query.buckets import make_buckets
from obc_query.engine import Row
from obc_query.metric_names import parse_metrics
from obc_query.questions import expressions as term
from obc_query.questions.metrics import MetricsQuestion, Point, get_metrics
from obc_query.questions.sessions import extra_position, sessions_select
from obc_query.ranges import TimeRange
from obc_query.statement import Binder, Events, Select, Statement

TOP = 10
_MAX_MEASUREMENTS = 20

_LIVE_MS = 5 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Compared:
    """A number and the same number of the period before; None where there is none."""

    value: float | None
    previous: float | None

    @property
    def change(self) -> float | None:
        """Relative change; None where it would be a division by nothing."""
        if self.value is None or not self.previous:
            return None
        return (self.value - self.previous) / self.previous


@dataclass(frozen=True, slots=True)
class Ranked:
    """One row of a top list."""

    name: str
    count: Compared
    users: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """One performance metric: how often it was measured, and its percentiles."""

    name: str
    count: Compared
    percentiles: Sequence[Compared]


@dataclass(frozen=True, slots=True)
class Step:
    """From one page to another within a session."""

    source: str
    target: str
    count: float


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The numbers by their names in the contract, and the lists by theirs."""

    numbers: Mapping[str, Compared]
    lists: Mapping[str, Sequence[Ranked]]
    measurements: Sequence[Measurement]
    transitions: Sequence[Step]
    users_by_day: Sequence[Point]
    sampled: bool


async def get_dashboard(asker: Asker, tenant_id: str, span: TimeRange, zone: ZoneInfo, now_ms: int) -> Dashboard:
    """Answers the dashboard. Raises InvalidArgument(TOO_MANY_BUCKETS), and what the engine raises."""
    buckets = make_buckets(span, "day", zone)
    daily = await get_metrics(
        asker, tenant_id, MetricsQuestion(parse_metrics(["users"]), span, buckets, None, ()), now_ms
    )
    totals, users, sessions, journey, dimensions, names, performance = await asker.fetch_all(
        [
            _totals(tenant_id, span),
            _users(tenant_id, span),
            _sessions(tenant_id, span),
            _journey(tenant_id, span),
            _lists(tenant_id, span, "dashboard_dimensions", _DIMENSIONS),
            _lists(tenant_id, span, "dashboard_names", _NAMES),
            _performance(tenant_id, span),
        ]
    )
    return Dashboard(
        numbers=_numbers(totals, users, sessions),
        lists=_ranked([*dimensions, *names, *(row for row in journey if row[0] != "transitions")]),
        measurements=_measurements(performance),
        transitions=[Step(row[1], row[2], row[3]) for row in journey if row[0] == "transitions"],
        users_by_day=daily.series[0].points,
        sampled=daily.sampled or any(row[-1] for row in totals),
    )


def live_users_statement(tenant_id: str, now_ms: int) -> Statement:
    """Distinct people of the last five minutes. Never cached: it changes with time alone."""
    binder = Binder()
    events = Events(binder.moment(now_ms - _LIVE_MS), binder.moment(now_ms), ["person != ''"])
    people = Select(["person", f"min({term.WEIGHT}) AS weight"], events, group_by=["person"])
    return Statement(tenant_id, "live_users", Select(["sum(weight)"], people), binder)


def _both(span: TimeRange, binder: Binder, *where: str) -> Events:
    return Events(binder.moment(span.previous.start_ms), binder.moment(span.end_ms), where)


def _period(span: TimeRange, binder: Binder, milliseconds: str = term.EVENT_MS) -> str:
    return f"toUInt8({milliseconds} >= {binder.bind(span.start_ms, 'Int64')}) AS p"


_TOTALS = {
    "events": f"sum({term.WEIGHT})",
    "event_names": "uniqExact(event_name)",
    "page_views": f"sumIf({term.WEIGHT}, {term.IS_PAGE_VIEW})",
    "errors": f"sumIf({term.WEIGHT}, {term.IS_ERROR})",
    "interactions": f"sumIf({term.WEIGHT}, {term.IS_INTERACTION})",
    "form_submissions": f"sumIf({term.WEIGHT}, {term.IS_FORM_SUBMISSION})",
}


def _totals(tenant_id: str, span: TimeRange) -> Statement:
    binder = Binder()
    select = Select(
        columns=[_period(span, binder), *_TOTALS.values(), "min(sample_rate) < 1"],
        source=_both(span, binder),
        group_by=["p"],
    )
    return Statement(tenant_id, "dashboard_totals", select, binder)


def _users(tenant_id: str, span: TimeRange) -> Statement:
    binder = Binder()
    people = Select(
        columns=[_period(span, binder), "person", f"min({term.WEIGHT}) AS weight"],
        source=_both(span, binder, "person != ''"),
        group_by=["p", "person"],
    )
    return Statement(tenant_id, "dashboard_users", Select(["p", "sum(weight)"], people, group_by=["p"]), binder)


def _sessions(tenant_id: str, span: TimeRange) -> Statement:
    binder = Binder()
    both = TimeRange(max(0, span.previous.start_ms), span.end_ms)
    select = Select(
        columns=[
            _period(span, binder, "start_ms"),
            "sum(weight)",
            "sum(weight * duration_ms)",
            "sum(weight * bounced)",
            "sum(weight * page_views)",
        ],
        source=sessions_select(both, (), binder),
        group_by=["p"],
    )
    return Statement(tenant_id, "dashboard_sessions", select, binder)


def _journey(tenant_id: str, span: TimeRange) -> Statement:
    """Rows: list, name, second name (of a transition), count, count before, users."""
    binder = Binder()
    both = TimeRange(max(0, span.previous.start_ms), span.end_ms)
    page, host, person = (extra_position(index) for index in range(3))
    extras = [
        f"if({term.IS_PAGE_VIEW}, page_path, '')",
        # A referrer on the product's own host is a session taken up again, not a place people come from.
        "if(referrer_host = '' OR referrer_host = page_host, 'direct', referrer_host)",
        "person",
    ]
    pages = Select(
        columns=[
            _period(span, binder, "start_ms"),
            "weight",
            f"s[1].{person} AS person",
            f"arrayFilter(page -> page != '', arrayMap(event -> event.{page}, s)) AS pages",
            "arrayZip(arrayPopBack(pages), arrayPopFront(pages)) AS steps",
            "arrayConcat("
            "if(empty(pages), [], [('entry_pages', pages[1], ''), ('exit_pages', pages[-1], '')]), "
            f"[('referrers', s[1].{host}, '')], "
            "arrayMap(step -> ('transitions', step.1, step.2), arrayFilter(step -> step.1 != step.2, steps))) AS items",
        ],
        source=sessions_select(both, (), binder, extras=extras),
    )
    items = Select(["p", "weight", "person", "arrayJoin(items) AS item"], pages)
    by_person = Select(
        columns=["p", "item", "person", "sum(weight) AS count", "min(weight) AS person_weight"],
        source=items,
        group_by=["p", "item", "person"],
    )
    return Statement(tenant_id, "dashboard_journey", _top(by_person, "item.1", "item.2", "item.3"), binder)


_DIMENSIONS = {
    "categories": ("event_category", "true"),
    "device_types": ("device_type", "device_type != ''"),
    "browsers": ("browser", "browser != ''"),
    "operating_systems": ("os", "os != ''"),
}
_NAMES = {
    "top_pages": ("page_path", f"{term.IS_PAGE_VIEW} AND page_path != ''"),
    "top_events": ("event_name", f"NOT ({term.IS_PAGE_VIEW})"),
    "top_actions": (term.ACTION_ELEMENT, term.IS_USER_ACTION),
    "top_errors": (term.ERROR_MESSAGE, term.IS_ERROR),
}


def _lists(tenant_id: str, span: TimeRange, purpose: str, lists: Mapping[str, tuple[str, str]]) -> Statement:
    """Rows as of `_journey`. Each event counts in every list whose condition it meets."""
    binder = Binder()
    items = ", ".join(
        f"if({test}, [('{name}', toString({expression}), '')], [])" for name, (expression, test) in lists.items()
    )
    by_person = Select(
        columns=[
            _period(span, binder),
            f"arrayJoin(arrayConcat({items})) AS item",
            "person",
            f"sum({term.WEIGHT}) AS count",
            f"min({term.WEIGHT}) AS person_weight",
        ],
        source=_both(span, binder),
        group_by=["p", "item", "person"],
    )
    return Statement(tenant_id, purpose, _top(by_person, "item.1", "item.2", "item.3"), binder)


def _top(by_person: Select, kind: str, name: str, second: str) -> Select:
    counted = Select(
        columns=[
            f"{kind} AS kind",
            f"{name} AS name",
            f"{second} AS second",
            "sumIf(count, p = 1) AS now",
            "sumIf(count, p = 0) AS before",
            "sumIf(person_weight, p = 1 AND person != '') AS users",
        ],
        source=by_person,
        group_by=["kind", "name", "second"],
    )
    return Select(
        columns=["kind", "name", "second", "now", "before", "users"],
        source=counted,
        where=["now > 0"],
        order_by=["kind", "now DESC", "name", "second"],
        limit=TOP,
        limit_by="kind",
    )


def _performance(tenant_id: str, span: TimeRange) -> Statement:
    binder = Binder()
    measurements = Select(
        columns=[
            _period(span, binder),
            f"ifNull({term.MEASUREMENT_NAME}, '') AS name",
            f"assumeNotNull({term.MEASUREMENT_VALUE}) AS number",
            f"{term.WEIGHT} AS weight",
        ],
        source=_both(span, binder, term.IS_MEASUREMENT, f"isNotNull({term.MEASUREMENT_VALUE})"),
    )
    levels = "0.5, 0.75, 0.95, 0.99"
    select = Select(
        columns=[
            "name",
            "sumIf(weight, p = 1) AS now",
            "sumIf(weight, p = 0) AS before",
            f"quantilesExactInclusiveIf({levels})(number, p = 1)",
            f"quantilesExactInclusiveIf({levels})(number, p = 0)",
        ],
        source=measurements,
        where=["name != ''"],
        group_by=["name"],
        order_by=["now DESC", "name"],
        limit=_MAX_MEASUREMENTS,
    )
    return Statement(tenant_id, "dashboard_performance", select, binder)


def _numbers(totals: Sequence[Row], users: Sequence[Row], sessions: Sequence[Row]) -> dict[str, Compared]:
    total, person, session = _by_period(totals), _by_period(users), _by_period(sessions)
    numbers = {name: _compare(total, index) for index, name in enumerate(_TOTALS)}
    numbers["users"] = _compare(person, 0)
    numbers["sessions"] = _compare(session, 0)
    errors, events = list(_TOTALS).index("errors"), list(_TOTALS).index("events")
    numbers["error_rate"] = Compared(*(_ratio(total.get(p), errors, events) for p in (1, 0)))
    for position, name in enumerate(("avg_session_duration", "bounce_rate", "pages_per_session"), start=1):
        numbers[name] = Compared(*(_ratio(session.get(p), position, 0) for p in (1, 0)))
    return numbers


def _by_period(rows: Sequence[Row]) -> dict[int, Row]:
    return {int(row[0]): row[1:] for row in rows}


def _compare(by_period: Mapping[int, Row], index: int) -> Compared:
    now, before = (float(by_period[p][index]) if p in by_period else 0.0 for p in (1, 0))
    return Compared(now, before)


def _ratio(row: Row | None, numerator: int, denominator: int) -> float | None:
    return float(row[numerator]) / float(row[denominator]) if row and row[denominator] else None


def _ranked(rows: Iterable[Row]) -> dict[str, list[Ranked]]:
    lists: dict[str, list[Ranked]] = {}
    for kind, name, _, now, before, users in rows:
        lists.setdefault(kind, []).append(Ranked(name, Compared(now, before), users))
    return lists


def _measurements(rows: Sequence[Row]) -> list[Measurement]:
    return [
        Measurement(
            name,
            Compared(now, before),
            [Compared(_finite(a), _finite(b)) for a, b in zip(levels_now, levels_before, strict=True)],
        )
        for name, now, before, levels_now, levels_before in rows
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
