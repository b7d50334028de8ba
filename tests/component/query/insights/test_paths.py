"""Paths against the plain computation."""

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import note
from hypothesis import strategies as st

from obc_common.errors import InvalidArgument
from obc_query.insights.paths import PATHS, statements
from tests.oracle.comparing import same
from tests.oracle.histories import HOUR, histories, selectors, windows
from tests.oracle.paths import paths
from tests.oracle.running import over_histories
from tests.support.insights import InsightDesk
from tests.support.stored_events import Stored

LATER = 4_000_000_000_000
START = 1_750_000_000_000
DAY = 24 * HOUR
RANGE = {"from": str(START), "to": str(START + DAY)}
FIELDS = ("event_name", "event_category", "properties.plan", "properties.n", "page_path", "device_info.browser")


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    window = draw(windows())
    body: dict[str, Any] = {"from": window["from"], "to": window["to"]}
    if draw(st.booleans()):
        body["counting"] = draw(st.sampled_from(["user", "session"]))
    if draw(st.integers(0, 2)) == 0:
        body["steps"] = draw(selectors())
    if draw(st.booleans()):
        body["step_field"] = draw(st.sampled_from(FIELDS))
    if place := draw(st.sampled_from(["", "start", "end", "around"])):
        body[place] = draw(selectors())
    if draw(st.booleans()):
        body["max_steps"] = draw(st.integers(2, 10))
    if draw(st.booleans()):
        body["edges_per_step"] = draw(st.sampled_from([1, 2, 3, 100]))
    body["collapse_repeats"] = draw(st.booleans())
    return body


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Stored], dict[str, Any]]:
    body = draw(questions())
    return draw(histories(body)), body


def taken(answer: dict[str, Any], step: int) -> float:
    """How many paths take a step."""
    return sum(float(node["count"]) for node in answer["nodes"] if node["step"] == step)


@over_histories(cases())
async def test_it_is_what_the_contract_says(desk: InsightDesk, case: tuple[list[Stored], dict[str, Any]]) -> None:
    events, body = case
    note(f"{body}\n{events}")
    answer = await desk.ask(PATHS, desk.store(events), body, now_ms=LATER)
    same(answer, paths(events, body, LATER))


@over_histories(st.tuples(cases(), st.sampled_from([(1, 5_000), (1, 0), (1_000, 0)])))
async def test_many_names_and_many_edges_change_nothing(
    desk: InsightDesk,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[tuple[list[Stored], dict[str, Any]], tuple[int, int]],
) -> None:
    (events, body), (most_names, most_rows) = case
    note(f"{body}\n{events}\n{most_names} names, {most_rows} rows")
    with monkeypatch.context() as patch:
        patch.setattr(statements, "MOST_NAMES", most_names)
        patch.setattr(statements, "MOST_ROWS", most_rows or body.get("edges_per_step", 20))
        answer = await desk.ask(PATHS, desk.store(events), body, now_ms=LATER)
    same(answer, paths(events, body, LATER))


@over_histories(cases())
async def test_what_leaves_a_node_is_what_goes_through_it(
    desk: InsightDesk, case: tuple[list[Stored], dict[str, Any]]
) -> None:
    events, body = case
    answer = await desk.ask(PATHS, desk.store(events), body, now_ms=LATER)
    most = (body.get("max_steps") or 5) - 1
    forwards = [node for node in answer["nodes"] if "end" not in body and node["step"] >= 0]
    leaving: dict[tuple[int, str], float] = defaultdict(float)
    reaching: dict[tuple[int, str], float] = defaultdict(float)
    for edge in answer["edges"]:
        leaving[edge["step"], edge["source"]] += edge["count"]
        reaching[edge["step"] + 1, edge["target"]] += edge["count"]
    for node in answer["nodes"]:
        place = (node["step"], node["name"])
        if node in forwards:
            told = leaving[place] + node["drop_offs"]
            assert told == pytest.approx(node["count"]) if node["step"] < most else not leaving[place]
            # Who takes a step from 1 on has come from somewhere.
            assert node["step"] == 0 or reaching[place] == pytest.approx(node["count"])
        else:
            told = reaching[place] + node["drop_offs"]
            assert told == pytest.approx(node["count"]) if node["step"] > -most else not reaching[place]
            assert node["step"] == 0 or leaving[place] == pytest.approx(node["count"])
    assert taken(answer, 0) == pytest.approx(answer["paths"])
    # Fewer and fewer take a step that is further away.
    for step in range(most):
        assert taken(answer, step) >= taken(answer, step + 1) - 1e-9
        assert taken(answer, -step) >= taken(answer, -step - 1) - 1e-9


@over_histories(cases())
async def test_order_of_arrival_and_double_delivery_change_nothing(
    desk: InsightDesk, case: tuple[list[Stored], dict[str, Any]]
) -> None:
    events, body = case
    once = await desk.ask(PATHS, desk.store(sorted(events, key=lambda event: event.at)), body, now_ms=LATER)
    again = await desk.ask(PATHS, desk.store_twice(reversed(events)), body, now_ms=LATER)
    same(again, {key: value for key, value in once.items() if key != "info"})


@over_histories(cases())
async def test_collapsing_makes_no_path_longer_and_leaves_no_repetition(
    desk: InsightDesk, case: tuple[list[Stored], dict[str, Any]]
) -> None:
    events, body = case
    tenant_id = desk.store(events)
    plain = await desk.ask(PATHS, tenant_id, {**body, "collapse_repeats": False}, now_ms=LATER)
    collapsed = await desk.ask(PATHS, tenant_id, {**body, "collapse_repeats": True}, now_ms=LATER)
    assert plain["paths"] == pytest.approx(collapsed["paths"])
    for step in range(-9, 10):
        assert taken(collapsed, step) <= taken(plain, step) + 1e-9
    assert not [edge for edge in collapsed["edges"] if edge["source"] == edge["target"] != "$other"]


@over_histories(cases())
async def test_more_steps_and_more_edges_change_no_count(
    desk: InsightDesk, case: tuple[list[Stored], dict[str, Any]]
) -> None:
    events, body = case
    tenant_id = desk.store(events)
    few = await desk.ask(PATHS, tenant_id, {**body, "max_steps": 2, "edges_per_step": 1}, now_ms=LATER)
    all_of_them = await desk.ask(PATHS, tenant_id, {**body, "max_steps": 10, "edges_per_step": 100}, now_ms=LATER)
    counts = {(node["step"], node["name"]): node["count"] for node in all_of_them["nodes"]}
    edges = {(edge["step"], edge["source"], edge["target"]): edge for edge in all_of_them["edges"]}
    assert few["paths"] == pytest.approx(all_of_them["paths"])
    for node in few["nodes"]:
        if node["name"] != "$other":
            assert node["count"] == pytest.approx(counts[node["step"], node["name"]])
    for edge in few["edges"]:
        if "$other" not in (edge["source"], edge["target"]):
            assert edge == edges[edge["step"], edge["source"], edge["target"]]


@pytest.mark.parametrize("most_names", [1, 1_000])
async def test_a_step_is_called_as_it_is(desk: InsightDesk, monkeypatch: pytest.MonkeyPatch, most_names: int) -> None:
    names = [
        "it's",
        'a "b"',
        "back\\slash",
        "\\N",
        "tab\t",
        "line\n",
        "$other",
        "",
        "é",
        "😀",
        "\x01",
        "{p0:String}",
        "NULL",
    ]
    events = [
        Stored(START + number * 1_000, session="s", properties={"tab": name}) for number, name in enumerate(names * 2)
    ]
    body = {**RANGE, "step_field": "properties.tab", "max_steps": 10}
    monkeypatch.setattr(statements, "MOST_NAMES", most_names)

    for skipped in range(0, len(names), 5):
        asked = {**body, "start": {"filter": {"field": "properties.tab", "op": "eq", "values": [names[skipped]]}}}
        answer = await desk.ask(PATHS, desk.store(events), asked, now_ms=LATER)
        same(answer, paths(events, asked, LATER))


async def test_more_names_than_are_carried_as_numbers(desk: InsightDesk) -> None:
    events = [
        Stored(START + number, user=f"u{number % 7}", name=f"n{number % 2_500:04}", session=f"s{number % 7}")
        for number in range(6_000)
    ]
    body = {**RANGE, "edges_per_step": 3, "counting": "user", "max_steps": 10}

    answer = await desk.ask(PATHS, desk.store(events), body, now_ms=LATER)

    same(answer, paths(events, body, LATER))


async def test_a_session_is_cut_by_its_silence_and_not_by_what_is_no_step(desk: InsightDesk) -> None:
    events = [
        Stored(START, name="a", session="s"),
        Stored(START + 20 * 60_000, name="scroll", session="s"),
        Stored(START + 40 * 60_000, name="b", session="s"),
        Stored(START + 70 * 60_000, name="a", session="s"),
    ]
    body = {**RANGE, "steps": {"names": ["a", "b"]}}

    answer = await desk.ask(PATHS, desk.store(events), body, now_ms=LATER)

    assert answer["paths"] == 2
    assert [(edge["source"], edge["target"], edge["median_ms"]) for edge in answer["edges"]] == [("a", "b", 2_400_000)]


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        ({"from": "2", "to": "1"}, "BAD_RANGE", "to"),
        ({"from": "yesterday"}, "BAD_TIME", "from"),
        ({"counting": "totals"}, "UNKNOWN_CHOICE", "counting"),
        ({"max_steps": 1}, "OUT_OF_RANGE", "max_steps"),
        ({"max_steps": 11}, "OUT_OF_RANGE", "max_steps"),
        ({"max_steps": -5}, "OUT_OF_RANGE", "max_steps"),
        ({"edges_per_step": 101}, "OUT_OF_RANGE", "edges_per_step"),
        ({"edges_per_step": -1}, "OUT_OF_RANGE", "edges_per_step"),
        ({"step_field": "nothing"}, "UNKNOWN_FIELD", "step_field"),
        ({"step_field": "properties."}, "UNKNOWN_FIELD", "step_field"),
        ({"steps": {"names": [""]}}, "BAD_EVENT_NAME", "steps.names[0]"),
        ({"start": {"names": ["a"]}, "end": {}}, "TOO_MANY_ANCHORS", "end"),
        ({"end": {}, "around": {}}, "TOO_MANY_ANCHORS", "around"),
        ({"start": {"filter": {"field": "x", "op": "exists"}}}, "UNKNOWN_FIELD", "start.filter.field"),
        ({"end": {"filter": {"field": "user_id", "op": "like"}}}, "UNKNOWN_OPERATOR", "end.filter.op"),
        ({"around": {"names": ["a"] * 2 + [""]}}, "BAD_EVENT_NAME", "around.names[2]"),
    ],
)
async def test_bad_requests_name_the_field(desk: InsightDesk, body: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await desk.ask(PATHS, desk.store([]), body, now_ms=LATER)
    assert (refused.value.reason, refused.value.field) == (reason, field)
