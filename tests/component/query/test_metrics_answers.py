"""GetMetrics against a plain computation over generated events."""

import random
import uuid
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from obc_query.buckets import make_buckets
from obc_query.fields import resolve_field
from obc_query.filters import parse_filters
from obc_query.metric_names import parse_metrics
from obc_query.questions.metrics import MetricsAnswer, MetricsQuestion, get_metrics
from obc_query.ranges import TimeRange
from tests.support import metrics_oracle as plain
from tests.support.read_model import ReadModel
from tests.support.stored_events import Stored

ALL = (
    "events,users,sessions,page_views,avg_session_duration,bounce_rate,pages_per_session,error_rate,errors,"
    "p50:page_load,p75:page_load,p95:page_load,p99:api,count:user_action"
)
BERLIN = ZoneInfo("Europe/Berlin")
LATER = 4_000_000_000_000


def at(text: str, zone: ZoneInfo = BERLIN) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def traffic(seed: int, start: int, days: int, *, rates: tuple[float, ...] = (1.0,)) -> list[Stored]:
    """A small product's traffic: bursts of a session, some with long pauses, some over midnight."""
    dice = random.Random(seed)
    events: list[Stored] = []
    for _ in range(40 * days):
        who = dice.randrange(30)
        user = f"u{who}" if who % 3 else None
        anonymous = None if who % 5 == 0 and user else f"a{who}"
        # Sampling is by user: one user, one fate.
        rate = rates[who % len(rates)]
        session = f"s{dice.randrange(60)}" if dice.random() < 0.95 else None
        moment = start + dice.randrange(days * 86_400_000)
        device = {"browser": dice.choice(["Chrome", "Edge", "Safari"])}
        for _ in range(dice.choice([1, 1, 2, 5])):
            name, category = dice.choice(
                [("page_view", "navigation")] * 4
                + [
                    ("user_action", "interaction"),
                    ("error", "error"),
                    ("crash", "error"),
                    ("performance_metric", "performance"),
                ]
            )
            properties = {"plan": dice.choice(["pro", "free", 1, True])} if dice.random() < 0.8 else {}
            if name == "performance_metric":
                value = dice.choice([dice.randrange(3000), dice.random() * 100, "slow", None, True])
                properties |= {"metric_name": dice.choice(["page_load", "api"]), "metric_value": value}
            events.append(
                Stored(
                    moment, name, category, user, anonymous, session and f"{session}-{who}", properties,
                    f"https://x.example/{dice.randrange(5)}", None, device, rate,
                )
            )  # fmt: skip
            moment += dice.choice([3_000, 8_000, 20 * 60_000, plain.GAP_MS, plain.GAP_MS - 1])
    return events


async def ask(
    read_model: ReadModel, tenant_id: str, span: TimeRange, *, metrics: str = ALL, interval: str = "day",
    zone: ZoneInfo = BERLIN, breakdown: str = "", filters: tuple[str, ...] = (), now: int = LATER,
) -> MetricsAnswer:  # fmt: skip
    question = MetricsQuestion(
        parse_metrics([metrics]),
        span,
        make_buckets(span, interval, zone),
        resolve_field(breakdown, "breakdown") if breakdown else None,
        parse_filters(list(filters)),
    )
    async with read_model.asking(tenant_id) as asker:
        return await get_metrics(asker, tenant_id, question, now)


def check(answer: MetricsAnswer, events: list[Stored], span: TimeRange, interval: str, zone: ZoneInfo) -> None:
    buckets = make_buckets(span, interval, zone)
    for series in answer.series:
        assert [point.start_ms for point in series.points] == list(buckets.starts)
        wanted = plain.metric(series.metric.name, events, span.start_ms, span.end_ms)
        assert series.total == pytest.approx(wanted), series.metric.name
        for index, point in enumerate(series.points):
            start, end = max(point.start_ms, span.start_ms), min(buckets.end_of(index), span.end_ms)
            wanted = plain.metric(series.metric.name, events, start, end)
            assert point.value == pytest.approx(wanted), (series.metric.name, index)
            assert not point.incomplete


@pytest.mark.parametrize("rates", [(1.0,), (1.0, 0.5, 0.1)], ids=["whole", "sampled"])
@pytest.mark.parametrize(
    ("start", "end", "interval"),
    [
        ("2025-10-24T00:00", "2025-10-29T00:00", "day"),  # a day of 25 hours
        ("2025-03-28T10:30", "2025-03-31T04:10", "hour"),  # a day of 23 hours, ragged edges
        ("2025-03-20T00:00", "2025-04-10T00:00", "week"),
        ("2025-01-15T00:00", "2025-04-10T00:00", "month"),
    ],
)
async def test_every_metric_agrees_with_a_plain_computation(
    read_model: ReadModel, tenant_id: str, start: str, end: str, interval: str, rates: tuple[float, ...]
) -> None:
    span = TimeRange(at(start), at(end))
    days = (span.end_ms - span.start_ms) // 86_400_000 + 3
    events = traffic(7, span.start_ms - 86_400_000, days, rates=rates)
    await read_model.store(tenant_id, events)
    await read_model.store(str(uuid.uuid4()), traffic(8, span.start_ms, days))
    answer = await ask(read_model, tenant_id, span, interval=interval)
    check(answer, events, span, interval, BERLIN)
    assert answer.sampled is (len(rates) > 1)


@pytest.mark.parametrize("rates", [(1.0,), (1.0, 0.5)], ids=["whole", "sampled"])
async def test_a_breakdown_splits_every_metric(read_model: ReadModel, tenant_id: str, rates: tuple[float, ...]) -> None:
    span = TimeRange(at("2025-06-01T00:00"), at("2025-06-04T00:00"))
    events = traffic(3, span.start_ms, 3, rates=rates)
    await read_model.store(tenant_id, events)
    answer = await ask(
        read_model, tenant_id, span, metrics="events,users,errors,p50:page_load", breakdown="device_info.browser"
    )
    labels = {series.breakdown_value for series in answer.series}
    assert labels == {"Chrome", "Edge", "Safari"}
    for label in labels:
        part = [event for event in events if event.device["browser"] == label]
        check(
            MetricsAnswer([series for series in answer.series if series.breakdown_value == label], False),
            part, span, "day", BERLIN,
        )  # fmt: skip


async def test_sessions_belong_to_the_value_they_start_with(read_model: ReadModel, tenant_id: str) -> None:
    start = at("2025-06-01T00:00")
    await read_model.store(
        tenant_id,
        [
            Stored(start, session="s", user="u", device={"browser": "Edge"}),
            Stored(start + 1000, session="s", user="u", device={"browser": "Chrome"}),
        ],
    )
    span = TimeRange(start, start + 86_400_000)
    answer = await ask(read_model, tenant_id, span, metrics="sessions", breakdown="device_info.browser")
    assert {series.breakdown_value: series.total for series in answer.series} == {"Chrome": 0.0, "Edge": 1.0}


async def test_values_beyond_the_top_200_are_other(read_model: ReadModel, tenant_id: str) -> None:
    start = at("2025-06-01T00:00")
    events = [Stored(start + n, user=f"u{n % 10}", properties={"k": f"v{n % 230:03}"}) for n in range(690)]
    events += [Stored(start + n, user="x", properties={"k": "v000"}) for n in range(5)] + [Stored(start, user="nobody")]
    await read_model.store(tenant_id, events)
    span = TimeRange(start, start + 86_400_000)
    answer = await ask(read_model, tenant_id, span, metrics="events,users", breakdown="properties.k")
    totals = {(s.metric.name, s.breakdown_value): s.total for s in answer.series}
    assert len({label for _, label in totals}) == 201
    assert totals["events", "v000"] == 8
    # Thirty values of three events each, and the one event that has none.
    assert totals["events", "$other"] == 91
    assert totals["users", "$other"] == 11


async def test_an_empty_text_is_a_value_and_a_missing_one_is_none(read_model: ReadModel, tenant_id: str) -> None:
    start = at("2025-06-01T00:00")
    values: list[dict[str, object]] = [{}, {}, {"plan": None}, {"plan": ""}, {"plan": ""}, {"plan": "pro"}, {"plan": 5}]
    await read_model.store(tenant_id, [Stored(start + n, properties=given) for n, given in enumerate(values)])
    span = TimeRange(start, start + 1000)
    answer = await ask(read_model, tenant_id, span, metrics="events", breakdown="properties.plan")
    counts = {series.breakdown_value: series.total for series in answer.series}
    assert counts == {"$none": 3, "": 2, "5": 1, "pro": 1}


@pytest.mark.parametrize(
    ("filters", "keep"),
    [
        (("properties.plan:eq:pro",), lambda e: e.properties.get("plan") == "pro"),
        (("properties.plan:eq:1",), lambda e: e.properties.get("plan") == 1 and e.properties.get("plan") is not True),
        (("properties.plan:eq:true",), lambda e: e.properties.get("plan") is True),
        (("properties.plan:neq:pro",), lambda e: e.properties.get("plan") != "pro"),
        (("properties.plan:exists",), lambda e: "plan" in e.properties),
        (("properties.plan:exists:false",), lambda e: "plan" not in e.properties),
        (("properties.plan:in:pro,1",),
         lambda e: e.properties.get("plan") in ("pro", 1) and e.properties["plan"] is not True),
        (("event_name:starts_with:user", "device_info.browser:neq:Edge"),
         lambda e: e.name.startswith("user") and e.device["browser"] != "Edge"),
        (("page_path:contains:/3",), lambda e: "/3" in e.page_url),
        (("properties.metric_value:gt:1000",),
         lambda e: isinstance(e.properties.get("metric_value"), int | float) and e.properties["metric_value"] > 1000),
        (("user_id:contains:",), lambda e: e.user is not None),
        (("user_id:exists:false",), lambda e: e.user is None),
    ],
)  # fmt: skip
async def test_filters_choose_events(read_model: ReadModel, tenant_id: str, filters: tuple[str, ...], keep) -> None:  # type: ignore[no-untyped-def]  # one lambda per case
    span = TimeRange(at("2025-06-01T00:00"), at("2025-06-04T00:00"))
    events = traffic(5, span.start_ms, 3)
    await read_model.store(tenant_id, events)
    answer = await ask(read_model, tenant_id, span, metrics="events,users", filters=filters)
    kept = [event for event in events if keep(event)]
    assert kept
    check(answer, kept, span, "day", BERLIN)


async def test_a_filter_chooses_sessions_and_leaves_them_whole(read_model: ReadModel, tenant_id: str) -> None:
    start = at("2025-06-01T12:00")
    await read_model.store(
        tenant_id,
        [
            Stored(start, session="s1", properties={"plan": "pro"}),
            Stored(start + 60_000, session="s1", name="user_action", category="interaction"),
            Stored(start, session="s2"),
        ],
    )
    answer = await ask(
        read_model, tenant_id, TimeRange(start - 1000, start + 100_000),
        metrics="sessions,bounce_rate,avg_session_duration", filters=("properties.plan:eq:pro",),
    )  # fmt: skip
    assert [series.total for series in answer.series] == [1.0, 0.0, 60_000.0]


async def test_nothing_is_zero_and_no_average(read_model: ReadModel, tenant_id: str) -> None:
    await read_model.catch_up()
    span = TimeRange(at("2025-06-01T00:00"), at("2025-06-03T00:00"))
    answer = await ask(read_model, tenant_id, span)
    for series in answer.series:
        nothing = 0.0 if series.metric.unit == "count" else None
        assert series.total == nothing
        assert [point.value for point in series.points] == [nothing, nothing]


async def test_what_is_not_over_is_incomplete_and_never_zero(read_model: ReadModel, tenant_id: str) -> None:
    start = at("2025-06-01T00:00")
    await read_model.store(tenant_id, [Stored(start + 3_600_000 * 24 + 1)])
    span = TimeRange(start, start + 3 * 86_400_000)
    answer = await ask(read_model, tenant_id, span, metrics="events", now=start + 86_400_000 + 5)
    assert [(p.value, p.incomplete) for p in answer.series[0].points] == [(0.0, False), (1.0, True), (None, True)]
