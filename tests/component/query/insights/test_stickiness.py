"""Stickiness against the plain computation."""

from typing import Any

import pytest
from hypothesis import note
from hypothesis import strategies as st

from obc_common.errors import InvalidArgument
from obc_query.insights.stickiness import STICKINESS
from tests.oracle.comparing import same
from tests.oracle.histories import HOUR, filters, histories, selectors, windows
from tests.oracle.running import over_histories
from tests.oracle.stickiness import stickiness
from tests.support.insights import InsightDesk
from tests.support.stored_events import Stored

LATER = 4_000_000_000_000


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Stored], dict[str, Any]]:
    body = draw(windows())
    body["event"] = draw(selectors())
    if draw(st.integers(0, 3)) == 0:
        body["filter"] = draw(filters())
    if draw(st.booleans()):
        body["at_least"] = draw(st.integers(1, 3))
    return draw(histories(body)), body


@over_histories(cases())
async def test_it_is_what_the_contract_says(desk: InsightDesk, case: tuple[list[Stored], dict[str, Any]]) -> None:
    events, body = case
    note(f"{body}\n{events}")
    answer = await desk.ask(STICKINESS, desk.store(events), body, now_ms=LATER)
    same(answer, stickiness(events, body, LATER))


async def test_a_user_with_thousands_of_events_is_one_user(desk: InsightDesk) -> None:
    start = 1_750_000_000_000
    events = [Stored(start + number * 1000, user="u1") for number in range(5_000)]
    body = {"from": str(start), "to": str(start + 2 * HOUR), "interval": "hour"}

    answer = await desk.ask(STICKINESS, desk.store(events), body, now_ms=LATER)

    assert answer["users"] == 1
    assert [bar["users"] for bar in answer["bars"]] == [0, 1, 0]


async def test_arrival_order_changes_nothing(desk: InsightDesk) -> None:
    start = 1_750_000_000_000
    events = [Stored(start + number * HOUR, user=f"u{number % 3}") for number in range(60)]
    body = {"from": str(start), "to": str(start + 60 * HOUR)}

    forwards, backwards = desk.store(events), desk.store(reversed(events))

    assert await desk.ask(STICKINESS, forwards, body, now_ms=LATER) == await desk.ask(
        STICKINESS, backwards, body, now_ms=LATER
    )


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        ({"at_least": -1}, "OUT_OF_RANGE", "at_least"),
        ({"interval": "year"}, "UNKNOWN_INTERVAL", "interval"),
        ({"timezone": "Mars/Base"}, "BAD_TIMEZONE", "timezone"),
        ({"from": "2", "to": "1"}, "BAD_RANGE", "to"),
        ({"event": {"names": [""]}}, "BAD_EVENT_NAME", "event.names[0]"),
        ({"event": {"filter": {"field": "x", "op": "eq", "values": [1]}}}, "UNKNOWN_FIELD", "event.filter.field"),
    ],
)
async def test_bad_requests_name_the_field(desk: InsightDesk, body: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await desk.ask(STICKINESS, desk.store([]), body, now_ms=LATER)
    assert (refused.value.reason, refused.value.field) == (reason, field)
