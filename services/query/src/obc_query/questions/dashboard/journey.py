"""The statement that reads sessions and the ways through them."""

from obc_query.questions import expressions as term
from obc_query.questions.dashboard.view import TOP, View, period
from obc_query.questions.sessions import Extra, sessions_select
from obc_query.ranges import TimeRange
from obc_query.statement import Binder, Select, Statement


def journey(view: View) -> Statement:
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
            period(view.span, binder, "start_ms"),
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
        source=sessions_select(both, None, binder, sampled=view.sampled, extras=extras),
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
