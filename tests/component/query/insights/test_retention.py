"""Retention against the plain computation."""

import importlib
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import note
from hypothesis import strategies as st

from obc.query.v1 import retention_pb2
from obc_common.errors import InvalidArgument
from obc_query.insights.retention import RETENTION
from tests.oracle.comparing import same
from tests.oracle.histories import HOUR, filters, histories, selectors, windows
from tests.oracle.retention import retention
from tests.oracle.running import over_histories
from tests.support.insights import InsightDesk
from tests.support.stored_events import Stored

LATER = 4_000_000_000_000
START = 1_750_000_000_000
DAY = 24 * HOUR
# The package gives the name to the function in it.
ASKING = importlib.import_module("obc_query.insights.retention.answer")

Case = tuple[list[Stored], dict[str, Any], int]


@st.composite
def cases(draw: st.DrawFn, *, breakdown: bool | None = None) -> Case:
    body = draw(windows())
    body["start_event"] = draw(selectors())
    if draw(st.booleans()):
        body["return_event"] = draw(selectors())
    if draw(st.integers(0, 3)) == 0:
        body["filter"] = draw(filters())
    for option, values in {
        "preset": ["mixpanel", "posthog", "amplitude"],
        "mode": ["first_time", "recurring"],
        "buckets": ["calendar", "rolling", "rolling_hour"],
        "criteria": ["on", "on_or_after"],
    }.items():
        if draw(st.booleans()):
            body[option] = draw(st.sampled_from(values))
    if draw(st.booleans()):
        body["periods"] = draw(st.integers(1, 12))
    if draw(st.booleans()) if breakdown is None else breakdown:
        body["breakdown"] = draw(st.sampled_from(["properties.plan", "event_name", "device_info.browser"]))
        body["breakdown_limit"] = draw(st.integers(0, 3))
    now_ms = LATER
    if draw(st.booleans()):
        steps = st.sampled_from([0, 1, -1, HOUR, 24 * HOUR, 25 * HOUR, 7 * 24 * HOUR, 40 * 24 * HOUR])
        now_ms = int(draw(st.sampled_from([body["from"], body["to"]]))) + draw(steps)
    return draw(histories(body)), body, now_ms


@over_histories(cases())
async def test_it_is_what_the_contract_says(desk: InsightDesk, case: Case) -> None:
    events, body, now_ms = case
    note(f"{body}\n{now_ms}\n{events}")
    answer = await desk.ask(RETENTION, desk.store(events), body, now_ms=now_ms)
    same(answer, retention(events, body, now_ms))


@over_histories(cases(breakdown=True))
async def test_it_is_the_same_when_the_top_values_are_looked_for_first(
    desk: InsightDesk, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    monkeypatch.setattr(ASKING, "MAX_ROWS", 0)
    events, body, now_ms = case
    note(f"{body}\n{now_ms}\n{events}")
    answer = await desk.ask(RETENTION, desk.store(events), body, now_ms=now_ms)
    same(answer, retention(events, body, now_ms))


@over_histories(cases())
async def test_a_return_on_a_period_is_one_on_or_after_it(desk: InsightDesk, case: Case) -> None:
    events, body, now_ms = case
    tenant = desk.store(events)

    strict = await desk.ask(RETENTION, tenant, {**body, "criteria": "on"}, now_ms=now_ms)
    loose = await desk.ask(RETENTION, tenant, {**body, "criteria": "on_or_after"}, now_ms=now_ms)

    for one, other in zip(strict["groups"], loose["groups"], strict=True):
        for left, right in zip(one["cohorts"], other["cohorts"], strict=True):
            counts = [cell.get("count") for cell in right["cells"]]
            assert left["size"] == right["size"]
            more = all(a.get("count", 0) <= (b or 0) for a, b in zip(left["cells"], counts, strict=True))
            assert more or answered_sampled(loose)
            assert all(count <= right["size"] for count in counts if count is not None)
            told = [count for count in counts if count is not None]
            assert told == sorted(told, reverse=True) or answered_sampled(loose)


def answered_sampled(answer: dict[str, Any]) -> bool:
    """Whether people stand for others: who is found by more events weighs as the least of them then."""
    return bool(answer["info"]["sampled"])


@over_histories(cases(breakdown=False))
async def test_values_of_a_breakdown_are_everybody_together(desk: InsightDesk, case: Case) -> None:
    events, body, _ = case
    tenant = desk.store(events)
    split = {**body, "breakdown": "event_name", "breakdown_limit": 2}

    [whole] = (await desk.ask(RETENTION, tenant, body, now_ms=LATER))["groups"]
    groups = (await desk.ask(RETENTION, tenant, split, now_ms=LATER))["groups"]

    for number, cohort in enumerate(whole["cohorts"]):
        assert sum(group["cohorts"][number]["size"] for group in groups) == pytest.approx(cohort["size"])
        for period, cell in enumerate(cohort["cells"]):
            together = sum(group["cohorts"][number]["cells"][period]["count"] for group in groups)
            assert together == pytest.approx(cell["count"])


async def test_arrival_order_and_batches_change_nothing(desk: InsightDesk) -> None:
    events = [Stored(START + number * 7 * HOUR, user=f"u{number % 5}") for number in range(60)]
    body = {"from": str(START), "to": str(START + 5 * DAY), "mode": "recurring", "buckets": "rolling"}
    forwards, backwards, apart = desk.store(events), desk.store(reversed(events)), desk.store(events[::2])
    desk.store_for(apart, events[1::2])

    first, *others = [await desk.ask(RETENTION, tenant, body, now_ms=LATER) for tenant in (forwards, backwards, apart)]

    assert others == [first, first]


async def test_more_periods_change_none_of_the_first(desk: InsightDesk) -> None:
    events = [Stored(START + number * DAY, user=f"u{number % 3}") for number in range(40)]
    body = {"from": str(START), "to": str(START + 3 * DAY), "criteria": "on_or_after"}
    tenant = desk.store(events)

    few = await desk.ask(RETENTION, tenant, {**body, "periods": 3}, now_ms=LATER)
    many = await desk.ask(RETENTION, tenant, {**body, "periods": 30}, now_ms=LATER)

    for left, right in zip(few["groups"][0]["cohorts"], many["groups"][0]["cohorts"], strict=True):
        assert left["cells"] == right["cells"][:4]


async def test_a_person_with_thousands_of_events_is_one_person(desk: InsightDesk) -> None:
    events = [Stored(START + number * 60_000, user="u1") for number in range(5_000)]
    body = {"from": str(START), "to": str(START + DAY), "mode": "recurring", "buckets": "rolling", "periods": 1}

    answer = await desk.ask(RETENTION, desk.store(events), body, now_ms=LATER)

    assert [cohort["size"] for cohort in answer["groups"][0]["cohorts"]] == [1, 1]
    assert [cell["count"] for cell in answer["groups"][0]["cohorts"][0]["cells"]] == [1, 1]


async def test_the_hour_of_half_an_hour_begins_where_the_clock_changed(desk: InsightDesk) -> None:
    # On Lord Howe Island clocks go back from 02:00 to 01:30 on 6 April 2025, 15:00 UTC. 01:40 of the second time is
    # ten minutes later, and its hour began at the change.
    change = 1_743_865_200_000
    zone = "Australia/Lord_Howe"
    events = [
        Stored(change + 10 * 60_000, user="u1"),
        Stored(change + DAY - 1, user="u1"),
        Stored(change + 10 * 60_000, user="u2"),
        Stored(change + DAY, user="u2"),
    ]
    body = {"from": str(change - DAY), "to": str(change + 3 * DAY), "timezone": zone, "buckets": "rolling_hour"}

    answer = await desk.ask(RETENTION, desk.store(events), {**body, "periods": 1}, now_ms=LATER)

    same(answer, retention(events, {**body, "periods": 1}, LATER))
    assert [cell["count"] for cell in answer["groups"][0]["average"]] == [1, 1]


async def test_its_answer_is_settled_when_the_last_period_of_the_last_who_may_start_is_over(desk: InsightDesk) -> None:
    body = {"from": str(START), "to": str(START + 2 * DAY), "periods": 3}
    for rule in ("calendar", "rolling", "rolling_hour"):
        # Given somebody who starts in the last millisecond
        tenant = desk.store([Stored(START + 2 * DAY - 1, user="u1")])
        request = json_format.ParseDict({**body, "buckets": rule}, retention_pb2.QueryRetentionRequest())
        question = RETENTION.read(request, LATER)
        # When it is asked then, a minute before and much later
        at_last = await desk.ask(RETENTION, tenant, {**body, "buckets": rule}, now_ms=question.settled_ms)
        before = await desk.ask(RETENTION, tenant, {**body, "buckets": rule}, now_ms=question.settled_ms - HOUR - 1)
        # Then time has changed it for the last time
        assert at_last == await desk.ask(RETENTION, tenant, {**body, "buckets": rule}, now_ms=LATER)
        assert at_last != before


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        ({"mode": "last_time"}, "UNKNOWN_CHOICE", "mode"),
        ({"buckets": "fixed"}, "UNKNOWN_CHOICE", "buckets"),
        ({"criteria": "before"}, "UNKNOWN_CHOICE", "criteria"),
        ({"preset": "heap"}, "UNKNOWN_CHOICE", "preset"),
        ({"periods": -1}, "OUT_OF_RANGE", "periods"),
        ({"periods": 367}, "OUT_OF_RANGE", "periods"),
        ({"breakdown": "plan"}, "UNKNOWN_FIELD", "breakdown"),
        ({"breakdown": "event_name", "breakdown_limit": 201}, "OUT_OF_RANGE", "breakdown_limit"),
        ({"from": "0", "to": str(600 * DAY), "periods": 366}, "TOO_MANY_CELLS", "periods"),
        ({"from": "0", "to": str(90 * DAY), "periods": 90, "breakdown": "event_name"}, "TOO_MANY_CELLS", "periods"),
        ({"start_event": {"names": [""]}}, "BAD_EVENT_NAME", "start_event.names[0]"),
        ({"return_event": {"filter": {"any": []}}}, "BAD_FILTER", "return_event.filter"),
        ({"filter": {"field": "user_id", "op": "like", "values": ["x"]}}, "UNKNOWN_OPERATOR", "filter.op"),
        ({"interval": "minute"}, "UNKNOWN_INTERVAL", "interval"),
        # Line 41 of the list of bad inputs.
        ({"from": "2", "to": "1"}, "BAD_RANGE", "to"),
        ({"from": "0", "to": "3155760000000", "interval": "hour"}, "TOO_MANY_BUCKETS", "interval"),
        ({"timezone": "Foo/Bar"}, "BAD_TIMEZONE", "timezone"),
        ({"week_start": "friday"}, "UNKNOWN_WEEK_START", "week_start"),
    ],
)
async def test_bad_requests_name_the_field(desk: InsightDesk, body: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await desk.ask(RETENTION, desk.store([]), body, now_ms=LATER)
    assert (refused.value.reason, refused.value.field) == (reason, field)
