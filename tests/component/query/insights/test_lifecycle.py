"""Lifecycle against the plain computation."""

from itertools import pairwise
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import note
from hypothesis import strategies as st

from obc.query.v1 import activity_pb2
from obc_common.errors import InvalidArgument
from obc_query.insights.lifecycle import LIFECYCLE
from obc_query.insights.stickiness import STICKINESS
from tests.oracle.comparing import same
from tests.oracle.histories import HOUR, filters, histories, selectors, windows
from tests.oracle.lifecycle import lifecycle
from tests.oracle.running import over_histories
from tests.support.insights import InsightDesk
from tests.support.stored_events import Stored

LATER = 4_000_000_000_000
START = 1_750_032_000_000
DAY = 24 * HOUR
ACTIVE = ("new", "returning", "resurrecting")

Case = tuple[list[Stored], dict[str, Any], int]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    body = draw(windows())
    body["event"] = draw(selectors())
    if draw(st.integers(0, 3)) == 0:
        body["filter"] = draw(filters())
    now_ms = LATER
    if draw(st.booleans()):
        steps = st.sampled_from([0, 1, -1, HOUR, -HOUR, DAY, -DAY, 7 * DAY])
        now_ms = int(draw(st.sampled_from([body["from"], body["to"]]))) + draw(steps)
    return draw(histories(body)), body, now_ms


@over_histories(cases())
async def test_it_is_what_the_contract_says(desk: InsightDesk, case: Case) -> None:
    events, body, now_ms = case
    note(f"{body}\n{now_ms}\n{events}")
    answer = await desk.ask(LIFECYCLE, desk.store(events), body, now_ms=now_ms)
    same(answer, lifecycle(events, body, now_ms))


@over_histories(cases())
async def test_who_was_active_stays_or_goes(desk: InsightDesk, case: Case) -> None:
    events, body, _ = case
    # Sampled people weigh what they do in each bucket; only whole people add up.
    tenant = desk.store(Stored(event.at, event.name, user=event.user, properties=event.properties) for event in events)

    points = (await desk.ask(LIFECYCLE, tenant, body, now_ms=LATER))["points"]

    for before, point in pairwise(points):
        assert point["returning"] + point["dormant"] == sum(before[state] for state in ACTIVE)


async def test_its_active_users_are_those_of_stickiness(desk: InsightDesk) -> None:
    events = [Stored(START + number * 7 * HOUR, user=f"u{number % 4}") for number in range(40)]
    tenant = desk.store(events)
    for day in range(3):
        body = {"from": str(START + day * DAY), "to": str(START + (day + 1) * DAY)}

        [point] = (await desk.ask(LIFECYCLE, tenant, body, now_ms=LATER))["points"]
        sticky = await desk.ask(STICKINESS, tenant, body, now_ms=LATER)

        assert sum(point[state] for state in ACTIVE) == sticky["users"]


async def test_arrival_order_and_batches_change_nothing(desk: InsightDesk) -> None:
    events = [Stored(START + number * 7 * HOUR, user=f"u{number % 5}") for number in range(60)]
    body = {"from": str(START), "to": str(START + 9 * DAY)}
    forwards, backwards, apart = desk.store(events), desk.store(reversed(events)), desk.store(events[::2])
    desk.store_for(apart, events[1::2])

    first, *others = [await desk.ask(LIFECYCLE, tenant, body, now_ms=LATER) for tenant in (forwards, backwards, apart)]

    assert others == [first, first]


async def test_a_longer_range_changes_no_point(desk: InsightDesk) -> None:
    events = [Stored(START + number * 31 * HOUR, user=f"u{number % 3}") for number in range(40)]
    tenant = desk.store(events)

    long = await desk.ask(LIFECYCLE, tenant, {"from": str(START), "to": str(START + 30 * DAY)}, now_ms=LATER)
    short = await desk.ask(
        LIFECYCLE, tenant, {"from": str(START + 10 * DAY), "to": str(START + 12 * DAY)}, now_ms=LATER
    )

    assert short["points"] == long["points"][10:12]


async def test_a_user_with_thousands_of_events_is_one_user(desk: InsightDesk) -> None:
    events = [Stored(START + number * 1000, user="u1") for number in range(5_000)]
    body = {"from": str(START), "to": str(START + 3 * HOUR), "interval": "hour"}

    answer = await desk.ask(LIFECYCLE, desk.store(events), body, now_ms=LATER)

    assert [[point[state] for state in (*ACTIVE, "dormant")] for point in answer["points"]] == [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 0, 1],
    ]


async def test_its_answer_is_settled_when_the_last_bucket_is_over(desk: InsightDesk) -> None:
    # Given a range that ends in the middle of a day
    body = {"from": str(START), "to": str(START + DAY + HOUR)}
    tenant = desk.store([Stored(START, user="u1")])
    request = json_format.ParseDict(body, activity_pb2.QueryLifecycleRequest())
    # When it is asked at that moment, just before and much later
    settled = LIFECYCLE.read(request, LATER).settled_ms
    then = await desk.ask(LIFECYCLE, tenant, body, now_ms=settled)
    before = await desk.ask(LIFECYCLE, tenant, body, now_ms=settled - 1)
    # Then time has changed it for the last time
    assert settled == START + 2 * DAY
    assert then == await desk.ask(LIFECYCLE, tenant, body, now_ms=LATER)
    assert then != before


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        ({"interval": "minute"}, "UNKNOWN_INTERVAL", "interval"),
        ({"interval": "year"}, "UNKNOWN_INTERVAL", "interval"),
        ({"timezone": "Mars/Base"}, "BAD_TIMEZONE", "timezone"),
        ({"week_start": "friday"}, "UNKNOWN_WEEK_START", "week_start"),
        ({"from": "2", "to": "1"}, "BAD_RANGE", "to"),
        ({"from": "0", "to": "3155760000000", "interval": "hour"}, "TOO_MANY_BUCKETS", "interval"),
        ({"event": {"names": [""]}}, "BAD_EVENT_NAME", "event.names[0]"),
        ({"event": {"filter": {"field": "x", "op": "eq", "values": [1]}}}, "UNKNOWN_FIELD", "event.filter.field"),
        ({"filter": {"field": "user_id", "op": "like", "values": ["x"]}}, "UNKNOWN_OPERATOR", "filter.op"),
    ],
)
async def test_bad_requests_name_the_field(desk: InsightDesk, body: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await desk.ask(LIFECYCLE, desk.store([]), body, now_ms=LATER)
    assert (refused.value.reason, refused.value.field) == (reason, field)


async def test_the_range_may_begin_with_time_itself(desk: InsightDesk) -> None:
    body = {"from": "0", "to": str(DAY)}
    for zone in ("UTC", "America/Sao_Paulo", "Asia/Kathmandu"):
        events = [Stored(0, user="u1")]
        request = {**body, "timezone": zone}
        answer = await desk.ask(LIFECYCLE, desk.store(events), request, now_ms=LATER)
        same(answer, lifecycle(events, request, LATER))
