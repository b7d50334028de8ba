"""Decisions about links against the plain computation: in the order in which they are made, and back."""

from typing import Any, cast

from hypothesis import note
from hypothesis import strategies as st

from obc_query.cohorts.preview import PREVIEW
from obc_query.identity.store import Verdict
from obc_query.insights.funnels import FUNNELS
from obc_query.insights.stickiness import STICKINESS
from tests.oracle.cohorts import preview
from tests.oracle.comparing import same
from tests.oracle.funnels import funnels
from tests.oracle.histories import histories, windows
from tests.oracle.identity import linked, unlinked_by
from tests.oracle.running import over_histories
from tests.oracle.stickiness import stickiness
from tests.support.insights import InsightDesk
from tests.support.stored_events import Stored

LATER = 4_000_000_000_000
_DEVICES = st.sampled_from(["d0", "d1", "d2", "d3", "no such device"])
_DECISIONS = st.lists(st.tuples(_DEVICES, st.sampled_from(["unlink", "unlink", "link"])), max_size=6)
_COHORT = {"definition": {"performed": {"event": {"names": ["a", "page_view"]}, "count": 2}}}


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Stored], dict[str, Any], list[tuple[str, str]]]:
    body = draw(windows())
    return draw(histories(body)), body, draw(_DECISIONS)


@over_histories(cases())
async def test_after_every_decision_people_are_who_they_are_then(
    desk: InsightDesk, case: tuple[list[Stored], dict[str, Any], list[tuple[str, str]]]
) -> None:
    events, body, decisions = case
    note(f"{body}\n{decisions}\n{events}")
    tenant_id = desk.store(events)
    for number in range(len(decisions) + 1):
        if number:
            device, decision = decisions[number - 1]
            await desk.decide(tenant_id, device, cast(Verdict, decision))
        told = linked(events, unlinked_by(decisions[:number]))
        same(await desk.ask(STICKINESS, tenant_id, body, now_ms=LATER), stickiness(told, body, LATER))
    same(await desk.ask(PREVIEW, tenant_id, _COHORT, now_ms=LATER), preview(told, _COHORT, LATER))
    steps = {"from": body["from"], "to": body["to"], "steps": [{"names": ["a"]}, {"names": ["b", "page_view"]}]}
    same(await desk.ask(FUNNELS, tenant_id, steps, now_ms=LATER), funnels(told, steps, LATER))


@over_histories(st.tuples(histories({"from": "1748736000000", "to": "1749340800000"}), _DECISIONS))
async def test_taking_everything_back_gives_the_first_answer(
    desk: InsightDesk, case: tuple[list[Stored], list[tuple[str, str]]]
) -> None:
    events, decisions = case
    tenant_id, body = desk.store(events), {"from": "1748736000000", "to": "1749340800000"}
    before = await desk.ask(STICKINESS, tenant_id, body, now_ms=LATER)

    for device, decision in [*decisions, *((device, "link") for device, _ in decisions)]:
        await desk.decide(tenant_id, device, cast(Verdict, decision))

    assert await desk.ask(STICKINESS, tenant_id, body, now_ms=LATER) == before
