"""Trends against the plain computation."""

from typing import Any

from hypothesis import note
from hypothesis import strategies as st

from obc_query.insights.trends import TRENDS
from obc_query.insights.trends.question import MEASURES, PROPERTY_MEASURES
from tests.oracle.comparing import same
from tests.oracle.histories import HOUR, filters, histories, selectors, windows
from tests.oracle.running import over_histories
from tests.oracle.trends import trends
from tests.support.insights import InsightDesk
from tests.support.stored_events import Stored

LATER = 4_000_000_000_000
START = 1_748_736_000_000  # 2025-06-01, a Sunday
DAY = 24 * HOUR

FIELDS = ("properties.plan", "properties.n", "device_info.browser", "user_id", "event_name")
Case = tuple[list[Stored], dict[str, Any], int]


@st.composite
def formulas(draw: st.DrawFn, series: int, depth: int = 3) -> str:
    letters = [chr(ord("A") + number) for number in range(series)]
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from([*letters, *letters, "0", "1", "2.5", ".5", "1e3", "100"]))
    inner = formulas(series, depth - 1)
    match draw(st.integers(0, 4)):
        case 0:
            return f"({draw(inner)})"
        case 1:
            return f"-{draw(inner)}"
        case 2:
            function = draw(st.sampled_from(["round", "floor", "ceil", "sqrt", "abs", "min", "max"]))
            return f"{function}({draw(inner)})"
        case 3:
            return f"{draw(st.sampled_from(['min', 'max', 'round']))}({draw(inner)}, {draw(inner)})"
    return f"{draw(inner)} {draw(st.sampled_from('+-*/%^'))} {draw(inner)}"


@st.composite
def cases(draw: st.DrawFn) -> Case:
    body = draw(windows())
    body["series"] = []
    for _ in range(draw(st.integers(1, 3))):
        series: dict[str, Any] = {"event": draw(selectors())}
        if measure := draw(st.sampled_from(["", *MEASURES])):
            series["measure"] = measure
        if measure in PROPERTY_MEASURES:
            series["property"] = draw(st.sampled_from(["properties.n", "properties.plan", "user_id", "sample_rate"]))
        body["series"].append(series)
    if draw(st.integers(0, 3)) == 0:
        body["filter"] = draw(filters())
    if breakdowns := draw(st.lists(st.sampled_from(FIELDS), unique=True, max_size=3)):
        body["breakdowns"] = breakdowns
        if draw(st.booleans()):
            body["breakdown_limit"] = draw(st.integers(1, 3))
    if draw(st.booleans()):
        body["compare_previous"] = True
    match draw(st.integers(0, 3)):
        case 0:
            body["cumulative"] = True
        case 1:
            body["rolling_average"] = draw(st.integers(1, 5))
    if texts := draw(st.lists(formulas(len(body["series"])), max_size=2)):
        body["formulas"] = texts
    start, end = int(body["from"]), int(body["to"])
    now_ms = draw(st.sampled_from([LATER, LATER, (start + end) // 2, start - 1, end - 1]))
    return draw(histories(body)), body, now_ms


@over_histories(cases())
async def test_it_is_what_the_contract_says(desk: InsightDesk, case: Case) -> None:
    events, body, now_ms = case
    note(f"{body}\n{now_ms}\n{events}")
    answer = await desk.ask(TRENDS, desk.store(events), body, now_ms=now_ms)
    same(answer, trends(events, body, now_ms))
