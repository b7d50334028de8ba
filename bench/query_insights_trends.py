"""Questions about trends, and about people of a cohort."""

from collections.abc import Sequence
from typing import Any

from bench.query_question import Days, Figures, People, Question, Rows, Span, call, in_order
from obc.query.v1 import trends_pb2

_DAY, _PG_DAY = "toDate(event_time) AS d", "date_trunc('day', event_time) AS d"
_PURCHASES = ["purchase", "project_created"]


def trends(days: Days, people: People, cohort_id: str) -> list[Question]:
    """What is measured over time: in total, of people, split, computed, and of a cohort."""
    month, week = days.span(29), days.span(7)
    users, pg_users = f"uniqExact({people.ch})", f"count(DISTINCT {people.pg})"
    ch, pg = f"FROM {people.ch_events} WHERE", f"FROM {people.pg_events} WHERE"
    view = "event_name = 'page_view'"
    amount, plan = "properties.amount.:Float64", "properties.plan.:String AS v"
    bought = "event_name IN ('purchase', 'project_created')"
    pg_person = f"CASE WHEN {{}} THEN {people.pg} END"
    cohort = (
        f"{people.ch} IN (SELECT {people.ch} {ch} {days.span(28).ch} AND {bought} GROUP BY {people.ch} "
        "HAVING count() >= 2)"
    )
    pg_cohort = (
        f"{people.pg} IN (SELECT {people.pg} {pg} {days.span(28).pg} AND {bought} GROUP BY 1 HAVING count(*) >= 2)"
    )
    return [
        Question(
            "trends: page views, 29 days",
            _ask(month, {"event": {"names": ["page_view"]}}),
            [f"SELECT {_DAY}, count() FROM events WHERE {month.ch} AND {view} GROUP BY d WITH ROLLUP"],
            [f"SELECT {_PG_DAY}, count(*) FROM analytics_events WHERE {month.pg} AND {view} GROUP BY ROLLUP (1)"],
            said=_lines, told=_numbers,
        ),
        Question(
            "trends: unique users",
            _ask(week, {"measure": "unique_users"}),
            [f"SELECT {_DAY}, {users} {ch} {week.ch} GROUP BY d WITH ROLLUP"],
            [f"SELECT {_PG_DAY}, {pg_users} {pg} {week.pg} GROUP BY ROLLUP (1)"],
            said=_lines, told=_numbers,
        ),
        Question(
            "trends: unique users by browser",
            _ask(week, {"measure": "unique_users"}, breakdowns=["device_info.browser"]),
            [f"SELECT browser, {_DAY}, {users} {ch} {week.ch} GROUP BY browser, d WITH ROLLUP"],
            [f"SELECT device_info->>'browser', {_PG_DAY}, {pg_users} {pg} {week.pg} GROUP BY ROLLUP (1, 2)"],
            said=_lines, told=_without_the_whole,
        ),
        Question(
            "trends: views of the top 10 pages",
            _ask(week, {"event": {"names": ["page_view"]}}, breakdowns=["page_path"], breakdownLimit=10),
            [_TOP.format(value="page_path", day="toDate(event_time)", count="count()", rows=f"events WHERE {week.ch}",
                         rollup="value, d WITH ROLLUP")],
            [_TOP.format(value="split_part(regexp_replace(page_url, '^https?://[^/]+', ''), '?', 1)",
                         day="date_trunc('day', event_time)", count="count(*)",
                         rows=f"analytics_events WHERE {week.pg}", rollup="ROLLUP (1, 2)")],
            said=_lines, told=_without_the_whole,
        ),
        Question(
            "trends: formula, buyers in 100 visitors",
            _ask(week, {"event": {"names": _PURCHASES}, "measure": "unique_users"},
                 {"event": {"names": ["page_view"]}, "measure": "unique_users"}, formulas=["A / B * 100"]),
            [f"SELECT {_DAY}, uniqExactIf({people.ch}, {bought}) / uniqExactIf({people.ch}, {view}) * 100 "
             f"{ch} {week.ch} AND ({bought} OR {view}) GROUP BY d WITH ROLLUP"],
            [f"SELECT {_PG_DAY}, 100.0 * count(DISTINCT {pg_person.format(bought)}) / "
             f"count(DISTINCT {pg_person.format(view)}) {pg} {week.pg} AND ({bought} OR {view}) GROUP BY ROLLUP (1)"],
            said=lambda answer: _lines(answer, "A / B * 100"), told=_numbers,
        ),
        Question(
            "trends: average amount by plan",
            _ask(week, {"event": {"names": _PURCHASES}, "measure": "avg", "property": "properties.amount"},
                 breakdowns=["properties.plan"]),
            [f"SELECT {plan}, {_DAY}, avg({amount}) FROM events WHERE {week.ch} AND {bought} "
             "GROUP BY v, d WITH ROLLUP"],
            [f"SELECT properties->>'plan', {_PG_DAY}, avg((properties->>'amount')::float8) FROM analytics_events "
             f"WHERE {week.pg} AND {bought} GROUP BY ROLLUP (1, 2)"],
            said=_lines, told=_without_the_whole,
        ),
        Question(
            "trends: unique users of a cohort",
            _ask(week, {"measure": "unique_users"}, filter={"cohort": cohort_id}),
            [f"SELECT {_DAY}, {users} {ch} {week.ch} AND {cohort} GROUP BY d WITH ROLLUP"],
            [f"SELECT {_PG_DAY}, {pg_users} {pg} {week.pg} AND {pg_cohort} GROUP BY ROLLUP (1)"],
            said=_lines, told=_numbers,
        ),
    ]  # fmt: skip


def cohort_definition(days: Days) -> dict[str, Any]:
    """Who bought at least twice in four weeks."""
    bought = {"event": {"names": _PURCHASES}, "count": 2, "window": days.span(28).request}
    return {"performed": bought}


_TOP = """
SELECT CASE WHEN place <= 10 THEN v ELSE '$other' END AS value, d, sum(n) FROM (
  SELECT v, d, n, dense_rank() OVER (ORDER BY whole DESC, v) AS place FROM (
    SELECT v, d, n, sum(n) OVER (PARTITION BY v) AS whole FROM (
      SELECT {value} AS v, {day} AS d, {count} AS n FROM {rows} AND event_name = 'page_view' GROUP BY v, d
    ) AS a) AS b) AS c
GROUP BY {rollup}
"""


def _ask(span: Span, *series: dict[str, Any], **further: Any) -> Any:
    return call("QueryTrends", trends_pb2.QueryTrendsRequest(), {**span.request, "series": list(series), **further})


def _lines(answer: trends_pb2.QueryTrendsResponse, series: str = "A") -> Figures:
    """Every total and every point of a series."""
    lines = [line for line in answer.results if line.series == series]
    return in_order([line.total for line in lines] + [point.value for line in lines for point in line.points])


def _numbers(rows_of: Sequence[Rows]) -> Figures:
    return in_order([row[-1] for row in rows_of[0]])


def _without_the_whole(rows_of: Sequence[Rows]) -> Figures:
    """Totals and points of each value, without those of all values together: the row of the rollup without a value."""
    rows = list(rows_of[0])
    return in_order([row[-1] for row in rows if row[0] not in ("", None)])
