"""GetDashboard: the five groups of the standing dashboard, each number beside that of the period before.

Both periods are read in one pass of each statement; `p` is 1 in the period and 0 in the one before.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from obc_query.asker import Asker
from obc_query.buckets import Buckets, make_buckets
from obc_query.engine import Row
from obc_query.questions import expressions as term
from obc_query.questions.metrics import Point, points_of
from obc_query.questions.sampling import answer_sampled_or_not
from obc_query.questions.sessions import Extra, sessions_select
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
    binder = Binder()

    async def answer(sampled: bool) -> list[Sequence[Row]]:
        return await asker.fetch_all(statements(_View(tenant_id, span, sampled), buckets))

    rows, sampled = await answer_sampled_or_not(asker, tenant_id, _both(span, binder), binder, answer)
    journey, groups, totals, actions, performance, pages, errors = rows
    elements = [("top_actions", *row[1:6]) for row in actions if not row[0]]
    visits = [row[:6] for row in journey if row[0] not in ("sessions", "transitions")]
    by_day = {int(row[3]): float(row[-1]) for row in totals if not row[0] and not row[1] and row[2]}
    return Dashboard(
        numbers=_numbers(totals, actions, journey),
        lists=_ranked([*groups, *elements, *pages, *errors, *visits]),
        measurements=_measurements(performance),
        transitions=[Step(row[1], row[2], row[3]) for row in journey if row[0] == "transitions"],
        users_by_day=points_of(buckets, by_day, now_ms, nothing=0.0),
        sampled=sampled,
    )


def statements(view: "_View", buckets: Buckets) -> list[Statement]:
    """Everything a dashboard reads, the longest first."""
    return [
        _journey(view),
        _groups(view),
        _totals(view, buckets),
        _actions(view),
        _performance(view),
        _top_list(view, "top_pages", "page_path", f"{term.IS_PAGE_VIEW} AND page_path != ''"),
        _top_list(view, "top_errors", term.ERROR_MESSAGE, term.IS_ERROR),
    ]


def live_users_statement(tenant_id: str, now_ms: int) -> Statement:
    """Distinct people of the last five minutes. Never cached: it changes with time alone."""
    binder = Binder()
    events = Events(binder.moment(now_ms - _LIVE_MS), binder.moment(now_ms), ["person != ''"])
    people = Select(["person", f"min({term.WEIGHT}) AS weight"], events, group_by=["person"])
    return Statement(tenant_id, "live_users", Select(["sum(weight)"], people), binder)


@dataclass(frozen=True, slots=True)
class _View:
    """What every statement of a dashboard shares."""

    tenant_id: str
    span: TimeRange
    sampled: bool

    @property
    def weight(self) -> str:
        return term.weight(sampled=self.sampled)

    def people(self, condition: str, *, each: str = term.WEIGHT) -> str:
        return term.people(condition, sampled=self.sampled, each=each)

    def compared(self, condition: str = "true") -> list[str]:
        """How much the events of a condition count, in the period and in the one before."""
        return [f"sumIf({self.weight}, p AND ({condition}))", f"sumIf({self.weight}, NOT p AND ({condition}))"]

    def statement(self, purpose: str, select: Select, binder: Binder) -> Statement:
        return Statement(self.tenant_id, purpose, select, binder)


def _both(span: TimeRange, binder: Binder, *where: str) -> Events:
    return Events(binder.moment(span.previous.start_ms), binder.moment(span.end_ms), where)


def _period(span: TimeRange, binder: Binder, milliseconds: str = term.EVENT_MS) -> str:
    return f"{milliseconds} >= {binder.bind(span.start_ms, 'Int64')} AS p"


def _totals(view: _View, buckets: Buckets) -> Statement:
    """Rows: is it both periods, is it a whole period, period, day, then `_TOTALS`, and people."""
    binder = Binder()
    source = Select(
        columns=[
            _period(view.span, binder),
            f"if(p, {buckets.expression(term.EVENT_MS, binder)}, 0) AS day",
            "event_name",
            "event_category",
            "person",
            "sample_rate",
        ],
        source=_both(view.span, binder),
    )
    select = Select(
        columns=[
            "grouping(p)",
            "grouping(day)",
            "p",
            "day",
            f"sum({view.weight})",
            "uniqExact(event_name)",
            f"sumIf({view.weight}, {term.IS_PAGE_VIEW})",
            f"sumIf({view.weight}, {term.IS_ERROR})",
            view.people("true"),
        ],
        source=source,
        group_by=["p", "day"],
        rollup=True,
    )
    return view.statement("dashboard_totals", select, binder)


_GROUPS = {
    "top_events": "event_name",
    "categories": "event_category",
    "device_types": "device_type",
    "browsers": "browser",
    "operating_systems": "os",
}


def _groups(view: _View) -> Statement:
    """Rows: list, name, '', count, count before, users.

    A person has few combinations of these, so events are counted by person and combination once, and every list is
    made from that.
    """
    binder = Binder()
    columns = list(_GROUPS.values())
    facts = Select(
        columns=[_period(view.span, binder), *columns, "person", "sample_rate"], source=_both(view.span, binder)
    )
    now, before = view.compared()
    combined = Select(
        columns=[*columns, "person", f"{now} AS now", f"{before} AS before", f"minIf({term.WEIGHT}, p) AS each"],
        source=facts,
        group_by=["person", *columns],
    )
    kinds = ", ".join(f"grouping({column}) = 0, '{kind}'" for kind, column in _GROUPS.items())
    names = ", ".join(f"grouping({column}) = 0, toString({column})" for column in columns)
    lists = Select(
        columns=[
            f"multiIf({kinds}, '') AS kind",
            f"multiIf({names}, '') AS name",
            "'' AS second",
            "sum(now) AS counted",
            "sum(before) AS counted_before",
            f"{view.people('now > 0', each='each')} AS users",
        ],
        source=combined,
        group_by=[f"GROUPING SETS ({', '.join(f'({column})' for column in columns)})"],
    )
    select = Select(
        columns=["kind", "name", "second", "counted", "counted_before", "users"],
        source=lists,
        where=["counted > 0", "name != '' OR kind = 'categories'", "kind != 'top_events' OR name != 'page_view'"],
        order_by=["kind", "counted DESC", "name"],
        limit=TOP,
        limit_by="kind",
    )
    return view.statement("dashboard_groups", select, binder)


def _actions(view: _View) -> Statement:
    """Rows: is it all together, element, '', count, count before, users, interactions, before, forms, before."""
    binder = Binder()
    facts = Select(
        columns=[
            _period(view.span, binder),
            f"if({term.IS_USER_ACTION}, {term.ACTION_ELEMENT}, '') AS name",
            f"{term.IS_INTERACTION} AS interaction",
            f"{term.IS_FORM_SUBMISSION} AS form",
            "person",
            "sample_rate",
        ],
        source=_both(view.span, binder, term.MAY_BE_ACTION),
    )
    now, before = view.compared()
    grouped = Select(
        columns=[
            "grouping(name) AS everything",
            "name",
            f"{now} AS now",
            f"{before} AS before",
            f"{view.people('p')} AS users",
            *(f"{number} AS f{i}" for i, number in enumerate([*view.compared("interaction"), *view.compared("form")])),
        ],
        source=facts,
        group_by=["name"],
        rollup=True,
    )
    select = Select(
        columns=["everything", "name", "'' AS second", "now", "before", "users", "f0", "f1", "f2", "f3"],
        source=grouped,
        where=["everything OR (name != '' AND now > 0)"],
        order_by=["everything DESC", "now DESC", "name"],
        limit=TOP + 1,
    )
    return view.statement("dashboard_actions", select, binder)


def _top_list(view: _View, kind: str, expression: str, condition: str) -> Statement:
    """Rows: list, name, '', count, count before, users."""
    binder = Binder()
    facts = Select(
        columns=[_period(view.span, binder), f"{expression} AS name", "person", "sample_rate"],
        source=_both(view.span, binder, condition),
    )
    now, before = view.compared()
    grouped = Select(
        columns=["name", f"{now} AS now", f"{before} AS before", f"{view.people('p')} AS users"],
        source=facts,
        group_by=["name"],
    )
    select = Select(
        columns=[f"'{kind}' AS kind", "name", "'' AS second", "now", "before", "users"],
        source=grouped,
        where=["now > 0"],
        order_by=["now DESC", "name"],
        limit=TOP,
    )
    return view.statement(f"dashboard_{kind}", select, binder)


def _journey(view: _View) -> Statement:
    """Sessions and the ways through them, from one computation of sessions.

    Rows: list, name, second name (of a transition), count, count before, users, and for the one row of the list
    `sessions` the sums of duration, bounces and page views, each now and before.
    """
    binder = Binder()
    both = TimeRange(max(0, view.span.previous.start_ms), view.span.end_ms)
    extras = [
        Extra("page_path", f"{term.IS_PAGE_VIEW} AND page_path != ''"),
        # A referrer on the product's own host is a session taken up again, not a place people come from.
        Extra("if(referrer_host = '' OR referrer_host = page_host, 'direct', referrer_host)"),
        Extra("person"),
    ]
    sessions = Select(
        columns=[
            _period(view.span, binder, "start_ms"),
            "weight",
            "weight * duration_ms AS duration",
            "weight * bounced AS bounces",
            "weight * page_views AS views",
            "extra2[1].2 AS person",
            "arrayMap(pair -> pair.2, extra0) AS pages",
            "arrayZip(arrayPopBack(pages), arrayPopFront(pages)) AS steps",
            "arrayConcat([('sessions', '', '')], "
            "if(empty(pages), [], [('entry_pages', pages[1], ''), ('exit_pages', pages[-1], '')]), "
            "[('referrers', toString(extra1[1].2), '')], "
            "arrayMap(step -> ('transitions', step.1, step.2), arrayFilter(step -> step.1 != step.2, steps))) AS items",
        ],
        source=sessions_select(both, (), binder, sampled=view.sampled, extras=extras),
    )
    sums = {
        f"{name}{index}": f"sumIf({name}, {period})"
        for name in ("duration", "bounces", "views")
        for index, period in enumerate(("p", "NOT p"))
    }
    counted = Select(
        columns=[
            "item.1 AS kind",
            "item.2 AS name",
            "item.3 AS second",
            "sumIf(weight, p) AS now",
            "sumIf(weight, NOT p) AS before",
            f"{view.people('p', each='weight')} AS users",
            *(f"{expression} AS {name}" for name, expression in sums.items()),
        ],
        source=Select(["p", "weight", "duration", "bounces", "views", "person", "arrayJoin(items) AS item"], sessions),
        group_by=["item"],
    )
    select = Select(
        columns=["kind", "name", "second", "now", "before", "users", *sums],
        source=counted,
        where=["now > 0 OR kind = 'sessions'"],
        order_by=["kind", "now DESC", "name", "second"],
        limit=TOP,
        limit_by="kind",
    )
    return view.statement("dashboard_journey", select, binder)


def _performance(view: _View) -> Statement:
    binder = Binder()
    measurements = Select(
        columns=[
            _period(view.span, binder),
            f"ifNull({term.MEASUREMENT_NAME}, '') AS name",
            f"assumeNotNull({term.MEASUREMENT_VALUE}) AS number",
            "sample_rate",
        ],
        source=_both(view.span, binder, term.IS_MEASUREMENT, f"isNotNull({term.MEASUREMENT_VALUE})"),
    )
    levels = "0.5, 0.75, 0.95, 0.99"
    now, before = view.compared()
    select = Select(
        columns=[
            "name",
            f"{now} AS now",
            f"{before} AS before",
            f"quantilesExactInclusiveIf({levels})(number, p)",
            f"quantilesExactInclusiveIf({levels})(number, NOT p)",
        ],
        source=measurements,
        where=["name != ''"],
        group_by=["name"],
        order_by=["now DESC", "name"],
        limit=_MAX_MEASUREMENTS,
    )
    return view.statement("dashboard_performance", select, binder)


_TOTALS = ("events", "event_names", "page_views", "errors", "users")
_ACTIONS = ("interactions", "form_submissions")
_SESSIONS = ("avg_session_duration", "bounce_rate", "pages_per_session")


def _numbers(totals: Sequence[Row], actions: Sequence[Row], journey: Sequence[Row]) -> dict[str, Compared]:
    periods: dict[int, Row] = {int(row[2]): row[4:] for row in totals if row[1] and not row[0]}
    numbers = {
        name: Compared(*(float(periods[p][index]) if p in periods else 0.0 for p in (1, 0)))
        for index, name in enumerate(_TOTALS)
    }
    numbers["error_rate"] = _ratio(numbers["errors"], numbers["events"])
    together = next((row[6:] for row in actions if row[0]), (0.0,) * 4)
    for index, name in enumerate(_ACTIONS):
        numbers[name] = Compared(float(together[2 * index]), float(together[2 * index + 1]))
    _, _, _, now, before, _, *sums = next((row for row in journey if row[0] == "sessions"), ("",) * 3 + (0.0,) * 9)
    numbers["sessions"] = Compared(float(now), float(before))
    for index, name in enumerate(_SESSIONS):
        numbers[name] = _ratio(Compared(float(sums[2 * index]), float(sums[2 * index + 1])), numbers["sessions"])
    return numbers


def _ratio(numerator: Compared, denominator: Compared) -> Compared:
    pairs = ((numerator.value, denominator.value), (numerator.previous, denominator.previous))
    return Compared(*(a / b if a is not None and b else None for a, b in pairs))


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
