"""Everything a dashboard reads.

Both periods are read in one pass of each statement; `p` is 1 in the period and 0 in the one before.
"""

from obc_query.buckets import Buckets
from obc_query.questions import expressions as term
from obc_query.questions.dashboard.journey import journey
from obc_query.questions.dashboard.view import TOP, View, both_periods, period
from obc_query.statement import Binder, Select, Statement

_MAX_MEASUREMENTS = 20


def statements(view: View, buckets: Buckets) -> list[Statement]:
    """Everything a dashboard reads, the longest first."""
    return [
        journey(view),
        _groups(view),
        _totals(view, buckets),
        _actions(view),
        _performance(view),
        _top_list(view, "top_pages", "page_path", f"{term.IS_PAGE_VIEW} AND page_path != ''"),
        _top_list(view, "top_errors", term.ERROR_MESSAGE, term.IS_ERROR),
    ]


def _totals(view: View, buckets: Buckets) -> Statement:
    """Rows: is it both periods, is it a whole period, period, day, then `_TOTALS`, and people."""
    binder = Binder()
    source = Select(
        columns=[
            period(view.span, binder),
            f"if(p, {buckets.expression(term.EVENT_MS, binder)}, 0) AS day",
            "event_name",
            "event_category",
            "person",
            "sample_rate",
        ],
        source=both_periods(view.span, binder),
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


def _groups(view: View) -> Statement:
    """Rows: list, name, '', count, count before, users.

    A person has few combinations of these, so events are counted by person and combination once, and every list is
    made from that.
    """
    binder = Binder()
    columns = list(_GROUPS.values())
    facts = Select(
        columns=[period(view.span, binder), *columns, "person", "sample_rate"], source=both_periods(view.span, binder)
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


def _actions(view: View) -> Statement:
    """Rows: is it all together, element, '', count, count before, users, interactions, before, forms, before."""
    binder = Binder()
    facts = Select(
        columns=[
            period(view.span, binder),
            f"if({term.IS_USER_ACTION}, {term.ACTION_ELEMENT}, '') AS name",
            f"{term.IS_INTERACTION} AS interaction",
            f"{term.IS_FORM_SUBMISSION} AS form",
            "person",
            "sample_rate",
        ],
        source=both_periods(view.span, binder, term.MAY_BE_ACTION),
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


def _top_list(view: View, kind: str, expression: str, condition: str) -> Statement:
    """Rows: list, name, '', count, count before, users."""
    binder = Binder()
    facts = Select(
        columns=[period(view.span, binder), f"{expression} AS name", "person", "sample_rate"],
        source=both_periods(view.span, binder, condition),
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


def _performance(view: View) -> Statement:
    binder = Binder()
    measurements = Select(
        columns=[
            period(view.span, binder),
            f"ifNull({term.MEASUREMENT_NAME}, '') AS name",
            f"assumeNotNull({term.MEASUREMENT_VALUE}) AS number",
            "sample_rate",
        ],
        source=both_periods(view.span, binder, term.IS_MEASUREMENT, f"isNotNull({term.MEASUREMENT_VALUE})"),
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
