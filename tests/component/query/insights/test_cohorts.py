"""Who is in a cohort, against the plain computation: alone, as a filter and as a breakdown."""

import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import note
from hypothesis import strategies as st

from obc_common.errors import InvalidArgument
from obc_query.cohorts.preview import PREVIEW
from obc_query.insights.funnels import FUNNELS
from obc_query.insights.insight import AnyInsight
from obc_query.insights.lifecycle import LIFECYCLE
from obc_query.insights.paths import PATHS
from obc_query.insights.retention import RETENTION
from obc_query.insights.sessions import SESSIONS
from obc_query.insights.stickiness import STICKINESS
from obc_query.insights.trends import TRENDS
from obc_query.statement import Events, Select, Statement, in_cohort
from tests.oracle.cohorts import in_cohorts, members, preview
from tests.oracle.comparing import same
from tests.oracle.funnels import funnels
from tests.oracle.histories import HOUR, definitions, filters, histories, selectors, windows
from tests.oracle.lifecycle import lifecycle
from tests.oracle.paths import paths
from tests.oracle.retention import retention
from tests.oracle.running import over_histories
from tests.oracle.sessions import sessions
from tests.oracle.stickiness import stickiness
from tests.oracle.trends import trends
from tests.support.insights import InsightDesk, known_cohorts
from tests.support.stored_events import Stored

# Within ten years of the histories, so that "the last days" can end on them; not on a full minute.
NOW = 1_780_000_000_123
ONE, OTHER = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
Plain = Callable[[Sequence[Stored], dict[str, Any], int], dict[str, Any]]
Case = tuple[list[Stored], dict[str, Any], dict[str, dict[str, Any]]]


async def people(desk: InsightDesk, tenant_id: str, definition: dict[str, Any], now_ms: int = NOW) -> set[str]:
    """Everybody in a cohort."""
    select = Select(["person"], Events(where=[in_cohort(uuid.UUID(ONE))]), group_by=["person"])
    async with desk.model.asking(tenant_id) as asker:
        asker.cohorts = known_cohorts({ONE: definition}, now_ms)
        return {str(row[0]) for row in await asker.fetch(Statement(tenant_id, "test", select))}


@st.composite
def alone(draw: st.DrawFn) -> tuple[list[Stored], dict[str, Any]]:
    window = draw(windows())
    return draw(histories(window)), draw(definitions(window, NOW))


@st.composite
def cohort_filters(draw: st.DrawFn) -> dict[str, Any]:
    one: dict[str, Any] = {"cohort": draw(st.sampled_from([ONE, OTHER]))}
    kind = draw(st.sampled_from(["", "all", "any", "none"]))
    return {kind: [one, *draw(st.lists(filters(depth=1), max_size=1))]} if kind else one


@st.composite
def as_filter(draw: st.DrawFn, intervals: tuple[str, ...] = ("hour", "day", "week", "month")) -> Case:
    body = draw(windows(intervals))
    cohorts = {key: draw(definitions(body, NOW, depth=1)) for key in (ONE, OTHER)}
    body["filter"] = draw(cohort_filters())
    return draw(histories(body)), body, cohorts


@over_histories(alone())
async def test_the_people_are_those_of_the_contract(
    desk: InsightDesk, case: tuple[list[Stored], dict[str, Any]]
) -> None:
    events, definition = case
    note(f"{definition}\n{events}")
    tenant_id = desk.store(events)
    assert await people(desk, tenant_id, definition) == members(events, definition, NOW)
    answer = await desk.ask(PREVIEW, tenant_id, {"definition": definition}, now_ms=NOW)
    same(answer, preview(events, {"definition": definition}, NOW))


@over_histories(as_filter())
async def test_stickiness_of_a_cohort(desk: InsightDesk, case: Case) -> None:
    events, body, cohorts = case
    body["event"] = {"filter": {"cohort": ONE}}
    note(f"{body}\n{cohorts}\n{events}")
    answer = await desk.ask(STICKINESS, desk.store(events), body, now_ms=NOW, cohorts=cohorts)
    same(answer, stickiness(in_cohorts(events, cohorts, NOW), body, NOW))


@st.composite
def of_trends(draw: st.DrawFn) -> Case:
    events, body, cohorts = draw(as_filter())
    if draw(st.booleans()):
        del body["filter"]
    body["series"] = [
        {
            "event": draw(selectors()),
            "measure": draw(st.sampled_from(["total", "unique_users", "sessions", "per_user"])),
        }
        for _ in range(draw(st.integers(1, 2)))
    ]
    if draw(st.booleans()):
        body["series"][0]["event"]["filter"] = {"none": [{"cohort": OTHER}]}
    body["breakdowns"] = draw(
        st.lists(st.sampled_from([f"cohort:{ONE}", f"cohort:{OTHER}", "properties.plan"]), unique=True, max_size=3)
    )
    body["cumulative"] = draw(st.booleans())
    return events, body, cohorts


@over_histories(of_trends())
async def test_trends_by_cohort(desk: InsightDesk, case: Case) -> None:
    events, body, cohorts = case
    note(f"{body}\n{cohorts}\n{events}")
    answer = await desk.ask(TRENDS, desk.store(events), body, now_ms=NOW, cohorts=cohorts)
    same(answer, trends(in_cohorts(events, cohorts, NOW), body, NOW))


@pytest.mark.parametrize(
    ("insight", "plain", "options"),
    [
        pytest.param(SESSIONS, sessions, {"breakdown": f"cohort:{ONE}"}, id="sessions"),
        pytest.param(LIFECYCLE, lifecycle, {}, id="lifecycle"),
        pytest.param(RETENTION, retention, {"breakdown": f"cohort:{ONE}", "periods": 3}, id="retention"),
    ],
)
@over_histories(as_filter())
async def test_other_insights_of_a_cohort(
    desk: InsightDesk, insight: AnyInsight, plain: Plain, options: dict[str, Any], case: Case
) -> None:
    events, body, cohorts = case
    note(f"{body}\n{cohorts}\n{events}")
    asked = {**body, **options}
    answer = await desk.ask(insight, desk.store(events), asked, now_ms=NOW, cohorts=cohorts)
    same(answer, plain(in_cohorts(events, cohorts, NOW), asked, NOW))


@over_histories(alone())
async def test_none_is_the_complement_any_is_the_union_and_all_the_intersection(
    desk: InsightDesk, case: tuple[list[Stored], dict[str, Any]]
) -> None:
    events, definition = case
    tenant_id = desk.store(events)
    second = {"performed": {"event": {"names": ["a"]}}}
    everybody = await people(desk, tenant_id, {"performed": {"op": "at_least", "count": 0}})
    one, other = await people(desk, tenant_id, definition), await people(desk, tenant_id, second)
    assert await people(desk, tenant_id, {"none": [definition]}) == everybody - one
    assert await people(desk, tenant_id, {"any": [definition, second]}) == one | other
    assert await people(desk, tenant_id, {"all": [definition, second]}) == one & other
    assert await people(desk, tenant_id, {"none": [definition, second]}) == everybody - one - other


def history(*events: tuple[str, str, int]) -> Sequence[Stored]:
    return [Stored(at, name=name, user=user) for user, name, at in events]


START = 1_760_000_000_000


async def test_a_preview_counts_those_who_are_active_in_the_same_window(desk: InsightDesk) -> None:
    tenant_id = desk.store(history(*((f"u{n % 7}", "ab"[n % 2], START + n * HOUR) for n in range(60))))
    window = {"from": str(START + 5 * HOUR), "to": str(START + 11 * HOUR)}
    event = {"names": ["a"]}

    sized = await desk.ask(
        PREVIEW, tenant_id, {"definition": {"performed": {"event": event, "window": window}}}, now_ms=NOW
    )
    active = await desk.ask(STICKINESS, tenant_id, {**window, "event": event}, now_ms=NOW)

    assert sized["people"] == active["users"] == 3


@pytest.mark.parametrize(
    ("insight", "plain", "options"),
    [
        pytest.param(
            FUNNELS,
            funnels,
            {"steps": [{"names": ["a"]}, {"names": ["b"]}], "filter": {"cohort": ONE}, "breakdown": f"cohort:{OTHER}"},
            id="funnels",
        ),
        pytest.param(PATHS, paths, {"steps": {"filter": {"cohort": ONE}}}, id="paths"),
    ],
)
async def test_funnels_and_paths_of_a_cohort(
    desk: InsightDesk, insight: AnyInsight, plain: Plain, options: dict[str, Any]
) -> None:
    events = history(*((f"u{n % 7}", "abc"[n % 3], START + n * HOUR) for n in range(60)))
    cohorts: dict[str, dict[str, Any]] = {
        ONE: {"none": [{"static": {"person_ids": ["u1"]}}]},
        OTHER: {"performed": {"count": 3, "event": {"names": ["a"]}}},
    }
    body = {"from": str(START), "to": str(START + 60 * HOUR), **options}

    answer = await desk.ask(insight, desk.store(events), body, now_ms=NOW, cohorts=cohorts)

    same(answer, plain(in_cohorts(events, cohorts, NOW), body, NOW))


async def test_ten_thousand_people_by_name(desk: InsightDesk) -> None:
    ids = [f"{number:036}" for number in range(10_000)]
    tenant_id = desk.store([Stored(START, user=ids[17]), Stored(START, user="somebody else"), Stored(START)])

    assert await people(desk, tenant_id, {"static": {"person_ids": ids}}) == {ids[17]}
    assert await people(desk, tenant_id, {"none": [{"static": {"person_ids": ids}}]}) == {"somebody else"}


async def test_another_tenants_events_decide_nothing(desk: InsightDesk) -> None:
    did = {"performed": {"event": {"names": ["a"]}}}
    own, other = desk.store(history(("u", "b", START))), desk.store(history(("u", "a", START)))

    assert await people(desk, own, did) == set()
    assert await people(desk, own, {"none": [did]}) == {"u"}
    assert await people(desk, other, did) == {"u"}


DID: dict[str, Any] = {"performed": {}}


@pytest.mark.parametrize(
    ("definition", "reason", "field"),
    [
        ({}, "BAD_COHORT", ""),
        ({"all": []}, "BAD_COHORT", ""),
        ({"all": [DID, {}]}, "BAD_COHORT", ".all[1]"),
        ({**DID, "any": [DID]}, "BAD_COHORT", ""),
        ({"all": [{"all": [{"all": [{"all": [{"all": [DID]}]}]}]}]}, "BAD_COHORT", ".all[0]" * 5),
        ({"all": [DID] * 31}, "BAD_COHORT", ""),
        ({"performed": {"op": "often"}}, "UNKNOWN_CHOICE", ".performed.op"),
        ({"performed": {"count": -1}}, "OUT_OF_RANGE", ".performed.count"),
        ({"performed": {"count": 1_000_001}}, "OUT_OF_RANGE", ".performed.count"),
        ({"performed": {"event": {"names": [""]}}}, "BAD_EVENT_NAME", ".performed.event.names[0]"),
        ({"performed": {"event": {"filter": {"cohort": ONE}}}}, "COHORT_IN_COHORT", ".performed.event.filter.cohort"),
        ({"performed": {"window": {"last_days": -1}}}, "OUT_OF_RANGE", ".performed.window.last_days"),
        ({"performed": {"window": {"last_days": 1, "to": "5"}}}, "BAD_RANGE", ".performed.window.last_days"),
        ({"performed": {"window": {"from": "5", "to": "5"}}}, "BAD_RANGE", ".performed.window.to"),
        ({"performed": {"window": {"from": "soon"}}}, "BAD_TIME", ".performed.window.from"),
        ({"property": {"field": "x", "op": "exists"}}, "UNKNOWN_FIELD", ".property.field"),
        ({"property": {"field": f"cohort:{ONE}", "op": "exists"}}, "UNKNOWN_FIELD", ".property.field"),
        ({"property": {"field": "user_id", "op": "is"}}, "UNKNOWN_OPERATOR", ".property.op"),
        ({"property": {"field": "user_id", "op": "eq"}}, "BAD_FILTER", ".property.values"),
        ({"sequence": {"events": [{}]}}, "BAD_SEQUENCE", ".sequence.events"),
        ({"sequence": {"events": [{}] * 6}}, "BAD_SEQUENCE", ".sequence.events"),
        ({"sequence": {"events": [{}, {}], "within_ms": -1}}, "OUT_OF_RANGE", ".sequence.within_ms"),
        ({"sequence": {"events": [{}, {"filter": {"any": [{"cohort": ONE}]}}]}}, "COHORT_IN_COHORT",
         ".sequence.events[1].filter.any[0].cohort"),
        ({"static": {"person_ids": []}}, "OUT_OF_RANGE", ".static.person_ids"),
        ({"static": {"person_ids": ["u"] * 10_001}}, "OUT_OF_RANGE", ".static.person_ids"),
        ({"static": {"person_ids": ["u", ""]}}, "BAD_PERSON_ID", ".static.person_ids[1]"),
        ({"static": {"person_ids": ["u" * 201]}}, "BAD_PERSON_ID", ".static.person_ids[0]"),
    ],
)  # fmt: skip
async def test_bad_definitions_name_the_field(
    desk: InsightDesk, definition: dict[str, Any], reason: str, field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await desk.ask(PREVIEW, desk.store([]), {"definition": definition}, now_ms=NOW)
    assert (refused.value.reason, refused.value.field) == (reason, f"definition{field}")


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        ({"filter": {"cohort": "mine"}}, "UNKNOWN_COHORT", "filter.cohort"),
        ({"filter": {"any": [{"cohort": ONE}, {"cohort": ONE, "op": "eq"}]}}, "BAD_FILTER", "filter.any[1]"),
        ({"breakdown": "cohort:mine"}, "UNKNOWN_COHORT", "breakdown"),
        ({"filter": {"field": f"cohort:{ONE}", "op": "exists"}}, "UNKNOWN_FIELD", "filter.field"),
    ],
)
async def test_what_is_no_cohort_is_refused(desk: InsightDesk, body: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await desk.ask(SESSIONS, desk.store([]), body, now_ms=NOW)
    assert (refused.value.reason, refused.value.field) == (reason, field)
