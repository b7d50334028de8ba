"""Half a year of a real shop, sent through all three ways in, counted against a computation that shares no code."""

import asyncio
import itertools
import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from obc_dev.api import Api
from tests.support.product import Event, GrpcWay, Product, RestWay, SocketWay, Tenant
from tests.support.shop import RANGE, as_event, read_shop, send_all, until_visible


@dataclass(frozen=True, slots=True)
class Truth:
    """The file, and what plain Python counts in it."""

    rows: list[dict[str, str]]

    @property
    def by_event(self) -> Counter[str]:
        return Counter(row["event"] for row in self.rows)

    @property
    def by_day(self) -> Counter[str]:
        return Counter(row["timestamp"][:10] for row in self.rows)

    @property
    def users_by_day(self) -> dict[str, int]:
        users = defaultdict[str, set[str]](set)
        for row in self.rows:
            users[row["timestamp"][:10]].add(row["user_id"])
        return {day: len(people) for day, people in users.items()}

    def by(self, column: str) -> Counter[str]:
        return Counter(row[column] for row in self.rows)

    @property
    def sessions(self) -> int:
        """Sessions by the contract: one session_id, cut where 30 minutes pass without an event."""
        times = defaultdict[str, list[datetime]](list)
        for row in self.rows:
            times[row["session_id"]].append(datetime.fromisoformat(row["timestamp"]))
        count = 0
        for moments in map(sorted, times.values()):
            count += 1 + sum((b - a).total_seconds() >= 1800 for a, b in itertools.pairwise(moments))
        return count


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth(read_shop())


async def _send_a_third_each_way(product: Product, tenant: Tenant, events: Sequence[Event]) -> Counter[str]:
    third = len(events) // 3 + 1
    counts = await asyncio.gather(
        send_all(RestWay(product, tenant), events[:third]),
        send_all(SocketWay(product, tenant), events[third : 2 * third]),
        send_all(GrpcWay(product, tenant), events[2 * third :]),
    )
    return sum(counts, Counter())


@pytest.fixture(scope="module")
async def shop(product: Product, truth: Truth) -> Tenant:
    """A tenant with the whole file in it, visible to questions."""
    tenant = await product.new_tenant("shop")
    events = [as_event(number, row) for number, row in enumerate(truth.rows)]
    results = await _send_a_third_each_way(product, tenant, events)
    assert results == {"accepted": len(truth.rows)}
    async with Api(product.url, tenant.secret_key) as api:
        await until_visible(api, len(truth.rows))
    return tenant


async def _series(api: Api, **parameters: str) -> list[dict[str, Any]]:
    answer = await api.get("/api/analytics/metrics", {**RANGE, **parameters})
    series: list[dict[str, Any]] = answer["series"]
    return series


def _per_day(series: dict[str, Any]) -> dict[str, int]:
    return {
        datetime.fromtimestamp(point["start"] / 1000, UTC).strftime("%Y-%m-%d"): point["value"]
        for point in series["points"]
        if point["value"]
    }


async def _all_events(api: Api) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    token = ""
    while True:
        page = await api.get("/api/analytics/events", {"page_size": "1000", "page_token": token, **RANGE})
        events.extend(page["events"])
        token = page["next_page_token"]
        if not token:
            return events


async def test_counts_by_event_day_and_platform_are_those_of_plain_python(
    product: Product, shop: Tenant, truth: Truth
) -> None:
    async with Api(product.url, shop.secret_key) as api:
        names = sorted(truth.by_event)
        counted = await _series(api, metrics=",".join(f"count:{name}" for name in names), interval="month")
        events, users = await _series(api, metrics="events,users", interval="day")
        by_name = await _series(api, metrics="events", interval="month", breakdown="event_name")
        by_platform = await _series(api, metrics="events", interval="month", breakdown="properties.platform")
        by_device = await _series(api, metrics="events", interval="month", breakdown="device_info.device_type")

    assert {series["metric"].removeprefix("count:"): series["total"] for series in counted} == truth.by_event
    assert {series["breakdown_value"]: series["total"] for series in by_name} == truth.by_event
    assert _per_day(events) == truth.by_day
    assert _per_day(users) == truth.users_by_day
    assert users["total"] == len(truth.by("user_id"))
    assert {series["breakdown_value"]: series["total"] for series in by_platform} == truth.by("platform")
    assert {series["breakdown_value"]: series["total"] for series in by_device} == truth.by("platform")


async def test_sessions_are_those_of_plain_python(product: Product, shop: Tenant, truth: Truth) -> None:
    async with Api(product.url, shop.secret_key) as api:
        [sessions] = await _series(api, metrics="sessions", interval="month")

    assert sessions["total"] == truth.sessions


async def test_the_listed_events_are_the_file_by_user_and_session(product: Product, shop: Tenant, truth: Truth) -> None:
    async with Api(product.url, shop.secret_key) as api:
        events = await _all_events(api)

    assert len({event["event_id"] for event in events}) == len(events) == len(truth.rows)
    assert Counter(event["user_id"] for event in events) == truth.by("user_id")
    assert Counter(event["session_id"] for event in events) == truth.by("session_id")
    times = [event["event_time"] for event in events]
    assert times == sorted(times, reverse=True)


async def test_sending_everything_again_shuffled_changes_nothing(product: Product, shop: Tenant, truth: Truth) -> None:
    events = [as_event(number, row) for number, row in enumerate(truth.rows)]
    Random(7).shuffle(events)

    results = await _send_a_third_each_way(product, shop, events)

    assert results == {"duplicate": len(truth.rows)}
    stored = await product.stored(shop)
    assert len(stored) == len({row["event_id"] for row in stored}) == len(truth.rows)
    assert Counter(row["event_name"] for row in stored) == truth.by_event
    async with Api(product.url, shop.secret_key) as api:
        # An event sent after them all is visible: so are they, had they been stored again.
        async with RestWay(product, shop) as way:
            await way.send([{**events[0], "event_id": str(uuid.uuid4())}])
        await until_visible(api, len(truth.rows) + 1)
