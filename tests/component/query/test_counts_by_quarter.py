"""Counts from the projection by quarter of an hour: used where it can be, and never another number than the events'."""

from zoneinfo import ZoneInfo

import pytest

from obc.query.v1 import filter_pb2, trends_pb2
from obc_common.clock import ManualClock
from obc_query.buckets import make_buckets
from obc_query.insights.trends.question import read
from obc_query.insights.trends.statements import plans
from obc_query.questions import quarters
from obc_query.ranges import TimeRange
from obc_query.retention import ReadModelRetention
from obc_query.statement import Binder, Select, Statement, Union
from tests.component.query.test_metrics_answers import ask, at, check, traffic
from tests.component.query.test_read_model_retention import Rules
from tests.support.read_model import ReadModel
from tests.support.stored_events import Stored

COUNTS = "events,page_views,errors,error_rate,count:user_action"
DAY = 86_400_000
KATHMANDU = ZoneInfo("Asia/Kathmandu")  # 5:45 off


def counts(span: TimeRange, zone: ZoneInfo = KATHMANDU) -> tuple[Union, Binder]:
    binder = Binder()
    rows = quarters.counts(span, make_buckets(span, "day", zone), binder)
    assert rows is not None
    return rows, binder


def read_from(model: ReadModel, statement: Statement) -> list[str]:
    """What the engine says it would read for a statement: tables and projections."""
    handle = model.warehouse.connect()
    try:
        lines = [str(row[0]) for row in handle.query(f"EXPLAIN {statement.sql}", statement.parameters)]
    finally:
        handle.close()
    return sorted(line.partition("(")[2].rstrip(")") for line in lines if "ReadFromMergeTree" in line)


async def test_whole_quarters_are_read_from_the_projection_and_edges_from_events(
    read_model: ReadModel, tenant_id: str
) -> None:
    start = at("2025-06-02T00:00", KATHMANDU)
    await read_model.store(tenant_id, [Stored(start + n * 1_000) for n in range(20_000)])
    for span, edges in (
        (TimeRange(start, start + DAY), 0),
        (TimeRange(start + 1, start + DAY), 1),
        (TimeRange(start + 60_000, start + DAY - 60_000), 2),
    ):
        rows, binder = counts(span)
        read = read_from(read_model, Statement(tenant_id, "test", Select(["sum(events)"], rows), binder))
        assert len(read) == 1 + edges
        assert [name for name in read if not name.endswith(".events")] == ["quarters"]


@pytest.mark.parametrize("rates", [(1.0,), (1.0, 0.5, 0.1)], ids=["whole", "sampled"])
@pytest.mark.parametrize("zone", [KATHMANDU, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Europe/Berlin")], ids=str)
@pytest.mark.parametrize("interval", ["minute", "hour", "day"])
async def test_counts_are_those_of_a_plain_computation_with_late_events_and_any_edges(
    read_model: ReadModel, tenant_id: str, interval: str, zone: ZoneInfo, rates: tuple[float, ...]
) -> None:
    start = at("2025-04-05T00:00", zone)  # clocks change on Lord Howe, by half an hour
    events = traffic(11, start, 3, rates=rates)
    await read_model.store(tenant_id, events[::2])
    await read_model.store(tenant_id, events[1::2])  # late: of all three days, in parts of their own
    hours = 2 if interval == "minute" else 60
    for span in (
        TimeRange(start, start + hours * 3_600_000),
        TimeRange(start + 7 * 60_000 + 1, start + hours * 3_600_000 - 1),
        TimeRange(start + 899_999, start + 900_001),
    ):
        answer = await ask(read_model, tenant_id, span, metrics=COUNTS, interval=interval, zone=zone)
        check(answer, events, span, interval, zone)


async def test_what_is_deleted_is_counted_no_more(read_model: ReadModel, tenant_id: str) -> None:
    now = 1_760_000_000_000
    start = now - 40 * DAY
    events = traffic(12, start, 40)
    await read_model.store(tenant_id, events)
    retention = ReadModelRetention(
        read_model.warehouse, read_model.projector_pool, Rules({tenant_id: 30}), read_model.freshness,
        ManualClock(now), seconds=3600,
    )  # fmt: skip
    await retention.remove()
    span = TimeRange(start - DAY, now + DAY)
    left = [event for event in events if event.at >= now - 30 * DAY]
    assert len(left) < len(events)
    check(await ask(read_model, tenant_id, span, metrics=COUNTS), left, span, "day", ZoneInfo("Europe/Berlin"))


def test_no_quarter_is_used_where_buckets_or_ranges_cut_it() -> None:
    start = at("2025-06-02T00:00", ZoneInfo("UTC"))
    for span, interval in (
        (TimeRange(start, start + DAY), "minute"),
        (TimeRange(start + 1, start + 1_799_999), "hour"),
        (TimeRange(0, DAY), "day"),  # before the epoch there are events of the quarter 0
    ):
        assert quarters.counts(span, make_buckets(span, interval, ZoneInfo("UTC")), Binder()) is None


@pytest.mark.parametrize(
    ("measure", "filtered", "statement"),
    [("total", False, "trends_counts"), ("unique_users", False, "trends_events"), ("total", True, "trends_events")],
)
def test_a_trend_is_counted_by_quarter_where_names_tell_everything(
    measure: str, filtered: bool, statement: str
) -> None:
    condition = filter_pb2.Filter(field="properties.plan", op="exists") if filtered else None
    second = trends_pb2.TrendSeries(event=filter_pb2.EventSelector(filter=condition), measure=measure)
    request = trends_pb2.QueryTrendsRequest(
        series=[trends_pb2.TrendSeries(event=filter_pb2.EventSelector(names=["page_view"])), second],
        to_time="2025-06-09T00:00:00Z",
    )
    question = read(request, 0)
    [plan] = plans("0190a0a0-0000-7000-8000-000000000001", question, question.periods[0], None, sampled=False)
    assert plan.statement.purpose == statement
