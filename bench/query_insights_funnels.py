"""Questions about funnels of three steps: entries in a week, followed for another."""

from collections.abc import Sequence
from typing import Any

from bench.query_funnels_by_hand import Funnel, any_order, exclusion, first_entry, ordered, strict
from bench.query_funnels_postgres import pg_any_order, pg_exclusion, pg_first_entry, pg_ordered, pg_strict
from bench.query_question import Days, Figures, People, Question, Rows, call
from obc.query.v1 import funnels_pb2

_SEARCH = ("page_view", "search_performed", "purchase")
_TIGHT = ("page_view", "performance_metric", "user_action")
_FEATURES = ("signup", "invite_sent", "purchase")


def funnels(days: Days, people: People) -> list[Question]:
    """Every order, by an exclusion, by a breakdown."""
    search, tight, features = (
        Funnel(people, days.span(14, 7), days.span(14), steps) for steps in (_SEARCH, _TIGHT, _FEATURES)
    )
    error = {"event": {"names": ["error"]}}

    def question(name: str, funnel: Funnel, minimal: str, postgres: str, **further: Any) -> Question:
        request = {**funnel.entries.request, "steps": [{"names": [step]} for step in funnel.steps], **further}
        ask = call("QueryFunnels", funnels_pb2.QueryFunnelsRequest(), request)
        return Question(f"funnel: {name}", ask, [minimal], [postgres], said=_groups, told=_rows)

    return [
        question("ordered", search, ordered(search), pg_ordered(search)),
        question("strict", tight, strict(tight), pg_strict(tight), order="strict"),
        question("any order", features, any_order(features), pg_any_order(features), order="any"),
        question("the first entry only", search, first_entry(search), pg_first_entry(search), entry="first"),
        question("with an exclusion", search, exclusion(search), pg_exclusion(search), exclusions=[error]),
        question(
            "by browser", search, ordered(search, by_browser=True), pg_ordered(search, by_browser=True),
            breakdown="device_info.browser",
        ),
    ]  # fmt: skip


def _groups(answer: funnels_pb2.QueryFunnelsResponse) -> Figures:
    """Of each value, most entries first: how many came to each step, and the times from the one before."""
    figures: list[float] = []
    for group in answer.groups:
        figures += [step.count for step in group.steps]
        for step in group.steps[1:]:
            figures += [step.average_ms, step.median_ms, step.p90_ms]
    return figures


def _rows(rows_of: Sequence[Rows]) -> Figures:
    """Rows: three counts, then mean, median and 90th percentile of the times to the second and to the third step."""
    rows = sorted(rows_of[0], key=lambda row: -row[0])
    return [float(number) for row in rows for number in (*row[:3], row[3], *row[4], row[5], *row[6])]
