"""Funnels against the plain computation."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, note
from hypothesis import strategies as st

from obc_common.errors import InvalidArgument
from obc_query.insights.funnels import FUNNELS
from tests.oracle.comparing import same
from tests.oracle.funnels import funnels
from tests.oracle.histories import HOUR, filters, histories, selectors, windows
from tests.oracle.running import over_histories
from tests.support.insights import InsightDesk
from tests.support.stored_events import Stored

START = 1_750_000_000_000
LATER = 4_000_000_000_000
MINUTE = 60_000
FIELDS = ("properties.plan", "properties.n", "device_info.browser", "user_id", "event_name", "device_info.screen_width")
Case = tuple[list[Stored], dict[str, Any], int]


@st.composite
def step_lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Half of them have steps that no event can mix up."""
    if draw(st.booleans()):
        names = draw(st.permutations(["a", "b", "c", "page_view"]))
        steps: list[dict[str, Any]] = [{"names": [name]} for name in names[: draw(st.integers(2, 4))]]
    else:
        steps = draw(st.lists(selectors(), min_size=2, max_size=4))
    if draw(st.booleans()):
        steps[0]["label"] = "begin"
    return steps


@st.composite
def funnel_bodies(draw: st.DrawFn) -> dict[str, Any]:
    body = draw(windows())
    interval = body.pop("interval")
    if draw(st.integers(0, 2)) == 0:
        body["trend_interval"] = interval
    body["steps"] = draw(step_lists())
    options: dict[str, list[Any]] = {
        "order": ["ordered", "strict", "any"],
        "entry": ["any", "first"],
        "counting": ["users", "users", "sessions", "totals"],
        "ties": ["by_step", "grace", "strict_time"],
        "preset": ["mixpanel", "posthog"],
        "histogram_bars": [1, 3, 100],
        "window_ms": [1, 2_000, 60_000, HOUR, 24 * HOUR, 40 * 24 * HOUR],
    }
    for name, choices in options.items():
        if draw(st.booleans()) and (name != "preset" or draw(st.booleans())):
            body[name] = draw(st.sampled_from(choices))
    strict = body.get("order") == "strict"
    assume(not strict or (body.get("ties") or body.get("preset")) not in ("grace", "mixpanel"))
    if draw(st.integers(0, 2)) == 0:
        body["filter"] = draw(filters())
    if draw(st.integers(0, 2)) == 0:
        last = len(body["steps"])
        body["exclusions"] = [
            {
                "event": draw(selectors()),
                "from_step": draw(st.integers(0, last - 1)),
                "to_step": draw(st.sampled_from([0, last])),
            }
            for _ in range(draw(st.integers(1, 2)))
        ]
        if last > 2:
            body["exclusions"][0] |= {"from_step": 1, "to_step": 2}
    if draw(st.integers(0, 2)) == 0:
        body["held_constant"] = draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=3, unique=True))
    if draw(st.integers(0, 2)) == 0:
        body["breakdown"] = draw(st.sampled_from(FIELDS))
        body["attribution"] = draw(st.sampled_from(["first", "last", "step"]))
        if body["attribution"] == "step":
            body["attribution_step"] = draw(st.integers(1, len(body["steps"])))
        if draw(st.booleans()):
            body["breakdown_limit"] = draw(st.integers(1, 3))
    return body


@st.composite
def cases(draw: st.DrawFn) -> Case:
    body = draw(funnel_bodies())
    start, end = int(body["from"]), int(body["to"])
    window = body.get("window_ms") or 7 * 24 * HOUR
    now_ms = draw(st.sampled_from([LATER, end + window, end + window - 1, start + 24 * HOUR]))
    return draw(histories(body)), body, now_ms


@over_histories(cases())
async def test_it_is_what_the_contract_says(desk: InsightDesk, case: Case) -> None:
    events, body, now_ms = case
    note(f"{body} {now_ms}\n{events}")
    answer = await desk.ask(FUNNELS, desk.store(events), body, now_ms=now_ms)
    same(answer, funnels(events, body, now_ms))


def counts(answer: dict[str, Any], group: int = 0) -> list[float]:
    """How many reached each step."""
    return [step["count"] for step in answer["groups"][group]["steps"]]


def at_most(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(left <= right + 1e-9 for left, right in zip(one, other, strict=True))


async def counted(desk: InsightDesk, tenant: str, body: dict[str, Any], **options: Any) -> list[float]:
    return counts(await desk.ask(FUNNELS, tenant, {**body, **options}, now_ms=LATER))


@st.composite
def plain_cases(draw: st.DrawFn) -> Case:
    """Questions in which every person's best attempt counts: no exclusion ends one, no other attempt takes an event."""
    events, body, now_ms = draw(cases())
    for name in ("exclusions", "entry", "preset", "order", "breakdown", "attribution", "attribution_step", "ties"):
        body.pop(name, None)
    if body.get("counting") == "totals":
        del body["counting"]
    return [dataclasses.replace(event, sample_rate=1.0) for event in events], body, now_ms


@over_histories(plain_cases())
async def test_strict_is_at_most_ordered_is_at_most_any_and_no_step_has_more_than_the_one_before(
    desk: InsightDesk, case: Case
) -> None:
    events, body, _ = case
    tenant = desk.store(events)
    strict, ordered, anyhow = [await counted(desk, tenant, body, order=order) for order in ("strict", "ordered", "any")]
    assert at_most(strict, ordered)
    assert at_most(ordered, anyhow)
    for steps in (strict, ordered, anyhow):
        assert steps == sorted(steps, reverse=True)


@over_histories(plain_cases())
async def test_a_longer_window_and_more_entries_never_lose_somebody(desk: InsightDesk, case: Case) -> None:
    events, body, _ = case
    tenant = desk.store(events)
    usual = await counted(desk, tenant, body)
    longer = await counted(desk, tenant, body, window_ms=(body.get("window_ms") or 7 * 24 * HOUR) * 3)
    only_first = await counted(desk, tenant, body, entry="first")
    assert at_most(usual, longer)
    assert at_most(only_first, usual)
    assert usual[0] == longer[0] == only_first[0]


@over_histories(cases())
async def test_order_of_arrival_and_a_second_delivery_change_nothing(desk: InsightDesk, case: Case) -> None:
    events, body, now_ms = case
    answer = await desk.ask(FUNNELS, desk.store(events), body, now_ms=now_ms)
    assert await desk.ask(FUNNELS, desk.store_twice(reversed(events)), body, now_ms=now_ms) == answer


@over_histories(cases())
async def test_values_of_a_breakdown_points_of_a_trend_and_bars_together_are_the_whole(
    desk: InsightDesk, case: Case
) -> None:
    events, body, now_ms = case
    tenant = desk.store(events)
    whole = {name: value for name, value in body.items() if not name.startswith(("breakdown", "attribution"))}
    split = {
        **body,
        "breakdown": body.get("breakdown", "properties.plan"),
        "trend_interval": "day",
        "histogram_bars": 7,
    }
    asked = counts(await desk.ask(FUNNELS, tenant, whole, now_ms=now_ms))
    answer = await desk.ask(FUNNELS, tenant, split, now_ms=now_ms)
    by_value = [counts(answer, group) for group in range(len(answer["groups"]))]
    assert [sum(reached[step] for reached in by_value) for step in range(len(asked))] == pytest.approx(asked)
    for reached, group in zip(by_value, answer["groups"], strict=True):
        assert sum(point["entered"] for point in group["trend"]) == pytest.approx(reached[0])
        assert sum(point["converted"] for point in group["trend"]) == pytest.approx(reached[-1])
        assert sum(bar["count"] for bar in group["histogram"]) == pytest.approx(reached[-1])


@pytest.mark.parametrize(
    "options",
    [{}, {"order": "strict"}, {"order": "any"}, {"held_constant": ["properties.plan"]}, {"breakdown": "event_name"}],
)
async def test_somebody_with_thousands_of_entries_is_one_of_many(desk: InsightDesk, options: dict[str, Any]) -> None:
    events = [Stored(START + number * 1000, name="a", user="u1") for number in range(20_000)]
    events.append(Stored(START + 20_000_000, name="b", user="u1"))
    body = {"from": str(START), "to": str(START + 24 * HOUR), "steps": [{"names": ["a"]}, {"names": ["b"]}], **options}
    tenant = desk.store(events)

    assert await counted(desk, tenant, body) == [1, 1]
    assert await counted(desk, tenant, body, window_ms=999) == [1, 0]
    assert await counted(desk, tenant, body, window_ms=1000) == [1, 1]


async def test_twenty_steps_of_one_name_need_twenty_events(desk: InsightDesk) -> None:
    steps = [{"names": ["a"]} for _ in range(20)]
    for order in ("ordered", "strict", "any"):
        for count in (19, 20, 30):
            events = [Stored(START + number, name="a", user="u1") for number in range(count)]
            body = {"from": str(START), "to": str(START + HOUR), "steps": steps, "order": order}
            reached = await counted(desk, desk.store(events), body)
            assert sum(reached) == min(count, 20), (order, count)


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        ({"steps": []}, "BAD_STEPS", "steps"),
        ({"steps": [{}]}, "BAD_STEPS", "steps"),
        ({"steps": [{}] * 21}, "BAD_STEPS", "steps"),
        ({"steps": [{}] * 51}, "BAD_STEPS", "steps"),
        ({"steps": [{}, {"names": [""]}]}, "BAD_EVENT_NAME", "steps[1].names[0]"),
        ({"steps": [{}, {"filter": {"field": "x", "op": "exists"}}]}, "UNKNOWN_FIELD", "steps[1].filter.field"),
        ({"from": "2", "to": "1"}, "BAD_RANGE", "to"),
        ({"timezone": "Mars/Base"}, "BAD_TIMEZONE", "timezone"),
        ({"week_start": "friday"}, "UNKNOWN_WEEK_START", "week_start"),
        ({"preset": "heap"}, "UNKNOWN_CHOICE", "preset"),
        ({"order": "sorted"}, "UNKNOWN_CHOICE", "order"),
        ({"entry": "last"}, "UNKNOWN_CHOICE", "entry"),
        ({"counting": "devices"}, "UNKNOWN_CHOICE", "counting"),
        ({"ties": "loose"}, "UNKNOWN_CHOICE", "ties"),
        ({"ties": "grace", "order": "strict"}, "GRACE_IS_NOT_STRICT", "ties"),
        ({"preset": "mixpanel", "order": "strict"}, "GRACE_IS_NOT_STRICT", "ties"),
        ({"window_ms": -1}, "OUT_OF_RANGE", "window_ms"),
        ({"window_ms": 366 * 24 * HOUR + 1}, "OUT_OF_RANGE", "window_ms"),
        ({"exclusions": [{}] * 11}, "TOO_MANY_EXCLUSIONS", "exclusions"),
        ({"exclusions": [{"from_step": 2}]}, "OUT_OF_RANGE", "exclusions[0].from_step"),
        ({"exclusions": [{"from_step": -1}]}, "OUT_OF_RANGE", "exclusions[0].from_step"),
        ({"exclusions": [{"from_step": 1, "to_step": 1}]}, "OUT_OF_RANGE", "exclusions[0].to_step"),
        ({"exclusions": [{"to_step": 3}]}, "OUT_OF_RANGE", "exclusions[0].to_step"),
        ({"exclusions": [{"event": {"names": [""]}}]}, "BAD_EVENT_NAME", "exclusions[0].event.names[0]"),
        ({"held_constant": ["nope"]}, "UNKNOWN_FIELD", "held_constant[0]"),
        ({"held_constant": ["user_id", "user_id"]}, "DUPLICATE_FIELD", "held_constant[1]"),
        ({"held_constant": [f"properties.{key}" for key in "abcd"]}, "TOO_MANY_FIELDS", "held_constant"),
        ({"filter": {"any": []}}, "BAD_FILTER", "filter"),
        ({"breakdown": "nope"}, "UNKNOWN_FIELD", "breakdown"),
        ({"breakdown": "user_id", "breakdown_limit": 201}, "OUT_OF_RANGE", "breakdown_limit"),
        ({"breakdown": "user_id", "attribution": "middle"}, "UNKNOWN_CHOICE", "attribution"),
        ({"breakdown": "user_id", "attribution": "step"}, "OUT_OF_RANGE", "attribution_step"),
        ({"breakdown": "user_id", "attribution": "step", "attribution_step": 3}, "OUT_OF_RANGE", "attribution_step"),
        ({"breakdown": "user_id", "attribution_step": 1}, "UNUSED_OPTION", "attribution_step"),
        ({"trend_interval": "minute"}, "UNKNOWN_CHOICE", "trend_interval"),
        ({"from": "0", "to": "4000000000000", "trend_interval": "hour"}, "TOO_MANY_BUCKETS", "trend_interval"),
        ({"histogram_bars": 101}, "OUT_OF_RANGE", "histogram_bars"),
        ({"histogram_bars": -1}, "OUT_OF_RANGE", "histogram_bars"),
    ],
)  # fmt: skip
async def test_bad_requests_name_the_field(desk: InsightDesk, body: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await desk.ask(FUNNELS, desk.store([]), {"steps": [{}, {}], **body}, now_ms=LATER)
    assert (refused.value.reason, refused.value.field) == (reason, field)
