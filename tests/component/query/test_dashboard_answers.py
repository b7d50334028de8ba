"""GetDashboard: its numbers against the plain computation, its lists against small stories."""

from dataclasses import replace
from datetime import datetime

import pytest

from obc_query.codec import dashboard_response
from obc_query.questions.dashboard.answer import get_dashboard
from obc_query.questions.dashboard.model import Dashboard
from obc_query.ranges import TimeRange, parse_timezone
from tests.support import metrics_oracle as plain
from tests.support.read_model import ReadModel
from tests.support.stored_events import Stored

START = int(datetime.fromisoformat("2025-06-08T00:00:00+00:00").timestamp() * 1000)
DAY = 86_400_000
SPAN = TimeRange(START, START + 7 * DAY)
NOW = 4_000_000_000_000


async def ask(read_model: ReadModel, tenant_id: str) -> Dashboard:
    async with read_model.asking(tenant_id) as asker:
        return await get_dashboard(asker, tenant_id, SPAN, parse_timezone(""), NOW)


def visit(start: int, session: str, pages: list[str], user: str = "u", referrer: str | None = None) -> list[Stored]:
    return [
        Stored(
            start + n * 20_000, session=session, user=user, page_url=f"https://app.example{page}", referrer=referrer,
            device={"browser": "Edge", "os": "iOS", "device_type": "mobile"},
        )
        for n, page in enumerate(pages)
    ]  # fmt: skip


async def test_numbers_agree_with_a_plain_computation(read_model: ReadModel, tenant_id: str) -> None:
    events = [
        event
        for n in range(60)
        for event in visit(START - 7 * DAY + n * 6 * 3_600_000, f"s{n}", ["/a", "/b"][: 1 + n % 2], f"u{n % 9}")
    ]
    events += [
        Stored(START + n * DAY, "error", "error", f"u{n}", properties={"error_message": "boom"}) for n in range(-5, 5)
    ]
    await read_model.store(tenant_id, events)
    answer = await ask(read_model, tenant_id)
    for name in (
        "events", "users", "sessions", "page_views", "avg_session_duration", "bounce_rate", "pages_per_session",
        "errors", "error_rate",
    ):  # fmt: skip
        compared = answer.numbers[name]
        assert compared.value == pytest.approx(plain.metric(name, events, SPAN.start_ms, SPAN.end_ms)), name
        previous = plain.metric(name, events, SPAN.previous.start_ms, SPAN.start_ms)
        assert compared.previous == pytest.approx(previous), name
    assert [point.value for point in answer.users_by_day] == [
        plain.metric("users", events, START + n * DAY, START + (n + 1) * DAY) for n in range(7)
    ]


async def test_journeys_are_told_by_session(read_model: ReadModel, tenant_id: str) -> None:
    await read_model.store(
        tenant_id,
        [
            *visit(START, "s1", ["/", "/pricing", "/pricing", "/buy"], "u1", "https://news.example/x"),
            *visit(START + DAY, "s2", ["/", "/pricing"], "u2"),
            *visit(START + 2 * DAY, "s3", ["/docs"], "u3", "https://app.example/"),
            *visit(START - DAY, "s4", ["/docs"], "u3"),
        ],
    )
    answer = await ask(read_model, tenant_id)

    def listed(name: str) -> list[tuple[str, float | None, float | None, float]]:
        return [(item.name, item.count.value, item.count.previous, item.users) for item in answer.lists[name]]

    assert listed("entry_pages") == [("/", 2, 0, 2), ("/docs", 1, 1, 1)]
    assert listed("exit_pages") == [("/buy", 1, 0, 1), ("/docs", 1, 1, 1), ("/pricing", 1, 0, 1)]
    assert listed("referrers") == [("direct", 2, 1, 2), ("news.example", 1, 0, 1)]
    assert listed("top_pages")[0] == ("/pricing", 3, 0, 2)
    assert listed("browsers") == [("Edge", 7, 1, 3)]
    assert [(step.source, step.target, step.count) for step in answer.transitions] == [
        ("/", "/pricing", 2),
        ("/pricing", "/buy", 1),
    ]


async def test_features_and_performance(read_model: ReadModel, tenant_id: str) -> None:
    def act(action: str, element: str, category: str = "interaction") -> Stored:
        properties = {"action_name": action, "element_id": element}
        return Stored(START, "user_action", category, "u", properties=properties)

    def measure(value: object) -> Stored:
        properties = {"metric_name": "page_load", "metric_value": value}
        return Stored(START, "performance_metric", "performance", properties=properties)

    await read_model.store(
        tenant_id,
        [
            act("click", "buy"), act("click", "buy", "custom"), act("submit", "form", "custom"),
            Stored(START, "form_submit", "forms"),
            measure(100), measure(200), measure(300.5), measure("fast"),
            Stored(START, "error", "error", properties={"error_message": "boom"}),
        ],
    )  # fmt: skip
    answer = await ask(read_model, tenant_id)
    assert answer.numbers["interactions"].value == 2
    assert answer.numbers["form_submissions"].value == 2
    assert [(item.name, item.count.value) for item in answer.lists["top_actions"]] == [("buy", 2), ("form", 1)]
    assert [(item.name, item.count.value) for item in answer.lists["top_errors"]] == [("boom", 1)]
    [page_load] = answer.measurements
    assert (page_load.name, page_load.count.value) == ("page_load", 3)
    assert [level.value for level in page_load.percentiles] == pytest.approx([200, 250.25, 290.45, 298.49])
    assert [level.previous for level in page_load.percentiles] == [None] * 4


async def test_a_tenant_without_events_gets_zeros_and_no_averages(read_model: ReadModel, tenant_id: str) -> None:
    await read_model.catch_up()
    answer = await ask(read_model, tenant_id)
    assert (answer.numbers["events"].value, answer.numbers["events"].change) == (0, None)
    assert answer.numbers["bounce_rate"].value is None
    response = dashboard_response(answer)
    assert not response.user_engagement.bounce_rate.HasField("value")
    assert response.user_engagement.users.value == 0


async def test_sampled_users_stand_for_those_not_kept(read_model: ReadModel, tenant_id: str) -> None:
    visits = [
        *visit(START - DAY, "s0", ["/a"], "u1"),
        *visit(START + DAY, "s1", ["/a", "/b"], "u1"),
        *visit(START + 2 * DAY, "s2", ["/a"], "u2"),
    ]
    sampled = [replace(event, sample_rate=0.25) for event in visits]
    await read_model.store(tenant_id, sampled)
    answer = await ask(read_model, tenant_id)
    assert answer.sampled
    for name in ("events", "users", "sessions", "page_views", "bounce_rate", "pages_per_session"):
        compared = answer.numbers[name]
        now = plain.metric(name, sampled, SPAN.start_ms, SPAN.end_ms)
        before = plain.metric(name, sampled, SPAN.previous.start_ms, SPAN.start_ms)
        assert compared.value == pytest.approx(now), name
        assert compared.previous == pytest.approx(before), name
    for kind in ("top_pages", "browsers", "categories", "entry_pages", "referrers"):
        [item, *_] = answer.lists[kind]
        assert item.users == pytest.approx(8), kind
    assert [(step.source, step.target, step.count) for step in answer.transitions] == [("/a", "/b", 4)]
