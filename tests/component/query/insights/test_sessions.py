"""The report on sessions against the plain computation."""

from typing import Any

import pytest
from hypothesis import note
from hypothesis import strategies as st

from obc_common.errors import InvalidArgument
from obc_query.insights.sessions import SESSIONS
from tests.oracle.comparing import same
from tests.oracle.histories import filters, histories, windows
from tests.oracle.running import over_histories
from tests.oracle.sessions import GAP, sessions
from tests.support.insights import InsightDesk
from tests.support.stored_events import Stored

START = 1_750_000_000_000
LATER = 4_000_000_000_000


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Stored], dict[str, Any], int]:
    body = draw(windows())
    if draw(st.integers(0, 2)) == 0:
        body["filter"] = draw(filters())
    if draw(st.booleans()):
        body["breakdown"] = draw(st.sampled_from(["device_info.browser", "properties.plan", "user_id"]))
        if draw(st.booleans()):
            body["breakdown_limit"] = draw(st.integers(1, 2))
    start, end = int(body["from"]), int(body["to"])
    return draw(histories(body)), body, draw(st.sampled_from([LATER, end, start + (end - start) // 2]))


@over_histories(cases())
async def test_it_is_what_the_contract_says(desk: InsightDesk, case: tuple[list[Stored], dict[str, Any], int]) -> None:
    events, body, now_ms = case
    note(f"{body} {now_ms}\n{events}")
    answer = await desk.ask(SESSIONS, desk.store(events), body, now_ms=now_ms)
    same(answer, sessions(events, body, now_ms))


async def test_thirty_minutes_cut_and_a_millisecond_less_does_not(desk: InsightDesk) -> None:
    body = {"from": str(START), "to": str(START + 24 * 3_600_000)}
    gaps = {gap: desk.store([Stored(START, session="s"), Stored(START + gap, session="s")]) for gap in (GAP - 1, GAP)}

    counted = {gap: await desk.ask(SESSIONS, tenant, body, now_ms=LATER) for gap, tenant in gaps.items()}

    assert [counted[gap]["groups"][0]["total"]["sessions"] for gap in (GAP - 1, GAP)] == [1, 2]
    assert counted[GAP - 1]["groups"][0]["total"]["median_duration_ms"] == GAP - 1


async def test_values_beyond_the_limit_are_other_and_all_values_together_are_the_whole(desk: InsightDesk) -> None:
    events = [
        Stored(START + number, session=f"s{number}", device={"browser": f"b{number % 5}"}) for number in range(50)
    ]
    body = {"from": str(START), "to": str(START + 1000)}
    tenant = desk.store(events)

    whole = await desk.ask(SESSIONS, tenant, body, now_ms=LATER)
    split = await desk.ask(
        SESSIONS, tenant, {**body, "breakdown": "device_info.browser", "breakdown_limit": 3}, now_ms=LATER
    )

    assert [group["breakdown_value"] for group in split["groups"]] == ["b0", "b1", "b2", "$other"]
    together = sum(group["total"]["sessions"] for group in split["groups"])
    assert together == whole["groups"][0]["total"]["sessions"] == 50


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        ({"breakdown": "nope"}, "UNKNOWN_FIELD", "breakdown"),
        ({"breakdown_limit": 201}, "OUT_OF_RANGE", "breakdown_limit"),
        ({"interval": "fortnight"}, "UNKNOWN_INTERVAL", "interval"),
        ({"from": "0", "to": "4000000000000", "interval": "hour"}, "TOO_MANY_BUCKETS", "interval"),
        ({"week_start": "friday"}, "UNKNOWN_WEEK_START", "week_start"),
        ({"filter": {"any": []}}, "BAD_FILTER", "filter"),
    ],
)
async def test_bad_requests_name_the_field(desk: InsightDesk, body: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await desk.ask(SESSIONS, desk.store([]), body, now_ms=LATER)
    assert (refused.value.reason, refused.value.field) == (reason, field)
