"""Trends against the plain computation."""

from typing import Any

import pytest
from hypothesis import note
from hypothesis import strategies as st

from obc_common.errors import InvalidArgument
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
    if draw(st.integers(0, 9)) == 0:
        body |= {"interval": "minute", "to": str(int(body["from"]) + draw(st.integers(1, 90 * 60_000)))}
    start, end = int(body["from"]), int(body["to"])
    now_ms = draw(st.sampled_from([LATER, LATER, (start + end) // 2, start - 1, end - 1]))
    return draw(histories(body)), body, now_ms


@over_histories(cases())
async def test_it_is_what_the_contract_says(desk: InsightDesk, case: Case) -> None:
    events, body, now_ms = case
    note(f"{body}\n{now_ms}\n{events}")
    answer = await desk.ask(TRENDS, desk.store(events), body, now_ms=now_ms)
    same(answer, trends(events, body, now_ms))


def body_of(*series: dict[str, Any], days: int = 3, **options: Any) -> dict[str, Any]:
    return {"series": list(series), "from": str(START), "to": str(START + days * DAY), **options}


def without_info(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "info"}


def values_of(answer: dict[str, Any], number: int = 0) -> list[Any]:
    return [point.get("value") for point in answer["results"][number]["points"]]


@over_histories(cases())
async def test_splitting_changes_no_total(desk: InsightDesk, case: Case) -> None:
    events, body, _ = case
    body |= {"series": [{"event": series["event"]} for series in body["series"]], "formulas": []}
    body.setdefault("breakdowns", ["properties.plan"])
    tenant_id = desk.store(events)
    split = await desk.ask(TRENDS, tenant_id, body, now_ms=LATER)
    whole = await desk.ask(TRENDS, tenant_id, {**body, "breakdowns": []}, now_ms=LATER)
    for result in whole["results"]:
        parts = [part for part in split["results"] if part["series"] == result["series"]]
        assert sum(part["total"] for part in parts) == pytest.approx(result["total"])
        for index, point in enumerate(result["points"]):
            assert sum(part["points"][index]["value"] for part in parts) == pytest.approx(point["value"])


@over_histories(cases())
async def test_arrival_order_and_double_delivery_change_nothing(desk: InsightDesk, case: Case) -> None:
    events, body, now_ms = case
    answer = await desk.ask(TRENDS, desk.store(events), body, now_ms=now_ms)
    for other in (desk.store(reversed(events)), desk.store_twice(events)):
        again = await desk.ask(TRENDS, other, body, now_ms=now_ms)
        assert again["info"] == answer["info"]
        same(again, without_info(answer))


@over_histories(cases())
async def test_the_period_before_is_that_period_asked_for(desk: InsightDesk, case: Case) -> None:
    events, body, now_ms = case
    start, end = int(body["from"]), int(body["to"])
    body = {**body, "breakdowns": [], "compare_previous": True}
    before = {**body, "from": str(2 * start - end), "to": str(start), "compare_previous": False}
    tenant_id = desk.store(events)
    compared = await desk.ask(TRENDS, tenant_id, body, now_ms=now_ms)
    alone = await desk.ask(TRENDS, tenant_id, before, now_ms=now_ms)
    for one, other in zip(compared["results"], alone["results"], strict=True):
        previous = {key: one.get(f"previous_{key}") for key in ("total", "points")}
        same(previous, {key: other.get(key) for key in ("total", "points")})


@over_histories(cases())
async def test_what_says_the_same_answers_the_same(desk: InsightDesk, case: Case) -> None:
    """A formula of a series alone is that series; a condition is the same on each series and on all of them."""
    events, body, now_ms = case
    condition = {"field": "properties.plan", "op": "neq", "values": ["pro", 5]}
    series = [{"event": {"filter": condition}, "measure": measure} for measure in ("unique_users", "sessions")]
    body = {**body, "series": series, "formulas": ["A", "0 + B * 1"]}
    body.pop("filter", None)
    tenant_id = desk.store(events)
    answer = await desk.ask(TRENDS, tenant_id, body, now_ms=now_ms)
    half = len(answer["results"]) // 2
    for one, formula in zip(answer["results"][:half], answer["results"][half:], strict=True):
        same({**formula, "series": one["series"], "label": one["label"]}, one)
    bare = [{"measure": one["measure"]} for one in series]
    filtered = await desk.ask(TRENDS, tenant_id, {**body, "series": bare, "filter": condition}, now_ms=now_ms)
    same(filtered, without_info(answer))


@pytest.mark.parametrize(
    ("rates", "sampled"), [([1.0, 1.0, 0.5], False), ([1.0, 0.5, 1.0], True)], ids=["only outside", "inside"]
)
async def test_an_answer_says_whether_events_were_sampled(desk: InsightDesk, rates: list[float], sampled: bool) -> None:
    events = [Stored(START + n * DAY, user="u", sample_rate=rate) for n, rate in enumerate(rates)]

    answer = await desk.ask(TRENDS, desk.store(events), body_of({}, days=2), now_ms=LATER)

    assert answer["info"] == {"sampled": sampled}
    assert answer["results"][0]["total"] == (3 if sampled else 2)


async def test_a_cumulative_count_never_falls_and_ends_at_the_total(desk: InsightDesk) -> None:
    events = [
        Stored(START + n * HOUR, user=f"u{n % 7}", session=f"s{n // 3}", properties={"n": n % 5}) for n in range(60)
    ]
    measures = [{"measure": "total"}, {"measure": "unique_users"}, {"measure": "sessions"}]
    measures.append({"measure": "distinct", "property": "properties.n"})

    answer = await desk.ask(
        TRENDS, desk.store(events), body_of(*measures, interval="hour", cumulative=True), now_ms=LATER
    )

    for number in range(len(measures)):
        values = values_of(answer, number)
        assert values == sorted(values)
        assert values[-1] == answer["results"][number]["total"]


async def test_ten_series_of_ten_thousand_events_with_formulas(desk: InsightDesk) -> None:
    events = [Stored(START + n * 1000, user=f"u{n % 100}", name=f"e{n % 10}") for n in range(10_000)]
    series = [{"event": {"names": [f"e{n}"]}} for n in range(10)]

    answer = await desk.ask(
        TRENDS, desk.store(events), body_of(*series, formulas=["A+B+C+D+E+F+G+H+I+J"]), now_ms=LATER
    )

    assert [result["total"] for result in answer["results"]] == [1000] * 10 + [10_000]


async def test_a_value_called_other_is_part_of_other(desk: InsightDesk) -> None:
    plans = ["pro", "pro", "$other", "$other", "$other", "free"]
    events = [Stored(START, properties={"plan": plan}) for plan in plans]
    body = body_of({}, breakdowns=["properties.plan"], breakdown_limit=1)

    answer = await desk.ask(TRENDS, desk.store(events), body, now_ms=LATER)

    assert [(result["breakdown_values"], result["total"]) for result in answer["results"]] == [
        (["pro"], 2),
        (["$other"], 4),
    ]


async def test_values_that_would_run_together_are_told_apart(desk: InsightDesk) -> None:
    pairs = [("a", "bc"), ("ab", "c"), ("a:", "b"), ("a", ":b"), ("1:a", "b"), ("ä", "'\\"), ("", "x"), ("x", "")]
    events = [Stored(START, properties={"plan": one, "n": other}) for one, other in pairs]
    body = body_of({}, breakdowns=["properties.plan", "properties.n"])

    answer = await desk.ask(TRENDS, desk.store(events), body, now_ms=LATER)

    found = [tuple(result["breakdown_values"]) for result in answer["results"]]
    assert found == sorted(pairs)
    assert {result["total"] for result in answer["results"]} == {1}


async def test_what_is_too_large_for_a_number_has_no_value(desk: InsightDesk) -> None:
    events = [Stored(START + n, properties={"n": value}) for n, value in enumerate([1.7e308, 1.7e308])]
    series = [{"measure": measure, "property": "properties.n"} for measure in ("sum", "avg", "max")]

    answer = await desk.ask(TRENDS, desk.store(events), body_of(*series, formulas=["C * 2"]), now_ms=LATER)

    assert [result.get("total") for result in answer["results"]] == [None, None, 1.7e308, None]


async def test_a_mean_of_what_is_too_large_together_has_no_value(desk: InsightDesk) -> None:
    events = [Stored(START + n * DAY, properties={"n": value}) for n, value in enumerate([1.7e308, 1.7e308, -1.7e308])]
    series = {"measure": "max", "property": "properties.n"}

    answer = await desk.ask(TRENDS, desk.store(events), body_of(series, rolling_average=2), now_ms=LATER)

    assert values_of(answer) == [1.7e308, None, 0]


async def test_too_many_points_are_refused(desk: InsightDesk) -> None:
    body = body_of(*[{}] * 10, interval="minute", days=6, compare_previous=True)

    with pytest.raises(InvalidArgument) as refused:
        await desk.ask(TRENDS, desk.store([]), body, now_ms=LATER)

    assert (refused.value.reason, refused.value.field) == ("TOO_MANY_POINTS", "interval")


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        # Lines 38, 39 and 41 of the list of bad inputs are the filters, choices, ranges and zones.
        ({"series": []}, "BAD_SERIES", "series"),
        ({"series": [{}] * 11}, "BAD_SERIES", "series"),
        ({"series": [{"measure": "mode"}]}, "UNKNOWN_CHOICE", "series[0].measure"),
        ({"series": [{}, {"measure": "sum"}]}, "BAD_PROPERTY", "series[1].property"),
        ({"series": [{"property": "properties.n"}]}, "BAD_PROPERTY", "series[0].property"),
        ({"series": [{"measure": "sum", "property": "n"}]}, "UNKNOWN_FIELD", "series[0].property"),
        ({"series": [{"event": {"names": ["x" * 201]}}]}, "BAD_EVENT_NAME", "series[0].event.names[0]"),
        ({"filter": {"field": "event_name", "op": "like", "values": ["x"]}}, "UNKNOWN_OPERATOR", "filter.op"),
        ({"interval": "year"}, "UNKNOWN_INTERVAL", "interval"),
        ({"interval": "hour", "from": "0", "to": "3155760000000"}, "TOO_MANY_BUCKETS", "interval"),
        ({"timezone": "Foo/Bar"}, "BAD_TIMEZONE", "timezone"),
        ({"week_start": "friday"}, "UNKNOWN_WEEK_START", "week_start"),
        ({"from": "2", "to": "1"}, "BAD_RANGE", "to"),
        ({"breakdowns": ["a", "b", "c", "d"]}, "TOO_MANY_FIELDS", "breakdowns"),
        ({"breakdowns": ["user_id", "plan"]}, "UNKNOWN_FIELD", "breakdowns[1]"),
        ({"breakdowns": ["user_id", "user_id"]}, "DUPLICATE_FIELD", "breakdowns[1]"),
        ({"breakdown_limit": 201}, "OUT_OF_RANGE", "breakdown_limit"),
        ({"breakdown_limit": -1}, "OUT_OF_RANGE", "breakdown_limit"),
        ({"rolling_average": 367}, "OUT_OF_RANGE", "rolling_average"),
        ({"rolling_average": -1}, "OUT_OF_RANGE", "rolling_average"),
        ({"rolling_average": 2, "cumulative": True}, "BAD_COMBINATION", "rolling_average"),
        ({"formulas": ["A"] * 11}, "TOO_MANY_FORMULAS", "formulas"),
        ({"formulas": ["A", "A +"]}, "BAD_FORMULA", "formulas[1]"),
        ({"formulas": ["A", "A / B"]}, "UNKNOWN_SERIES", "formulas[1]"),
    ],
)
async def test_bad_requests_name_the_field(desk: InsightDesk, body: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await desk.ask(TRENDS, desk.store([]), {"series": [{}], **body}, now_ms=LATER)
    assert (refused.value.reason, refused.value.field) == (reason, field)
