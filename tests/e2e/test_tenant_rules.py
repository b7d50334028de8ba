"""A change of a tenant's rules is in force on every way in within two seconds, and what is stored shows it."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.support.product import Event, GrpcWay, Product, RestWay, Result, SocketWay, Tenant, Way, new_event

_IN_FORCE_SECONDS = 2.0
_WAYS = ("rest", "socket", "grpc")


@pytest.fixture
async def ways(product: Product, tenant: Tenant) -> AsyncIterator[dict[str, Way]]:
    """The three ways in, opened before any rule changes: their streams are older than the change."""
    made: dict[str, Way] = {
        "rest": RestWay(product, tenant),
        "socket": SocketWay(product, tenant),
        "grpc": GrpcWay(product, tenant),
    }
    async with AsyncExitStack() as stack:
        for way in made.values():
            await stack.enter_async_context(way)
            await way.send([new_event(event_name="before", user_id="u")])
        yield made


async def _in_force(ways: dict[str, Way], probe: Callable[[Way], Awaitable[bool]]) -> dict[str, float]:
    """Probes each way until it obeys; the seconds that took, by way."""
    started = time.monotonic()

    async def one(way: Way) -> float:
        while not await probe(way):
            assert time.monotonic() - started < _IN_FORCE_SECONDS, "the rule is not in force in time"
            await asyncio.sleep(0.02)
        return time.monotonic() - started

    times = await asyncio.gather(*(one(way) for way in ways.values()))
    return dict(zip(ways, times, strict=True))


def _named(name: str, way: str, **fields: Any) -> Event:
    """An event that says which way it went."""
    return new_event(event_name=name, properties={"way": way}, **fields)


def _codes(results: list[Result]) -> set[tuple[str, str]]:
    return {(result["result"], result.get("code", "")) for result in results}


async def test_an_excluded_event_is_dropped_and_the_others_are_stored(
    product: Product, tenant: Tenant, ways: dict[str, Way]
) -> None:
    async def dropped(way: Way) -> bool:
        return _codes(await way.send([new_event(event_name="debug_probe")])) == {("dropped", "excluded")}

    await product.change_rules(tenant, excluded_events=["secret", "debug_*"])
    await _in_force(ways, dropped)
    for name, way in ways.items():
        results = await way.send([_named("secret", name), _named("debug_x", name), _named("kept", name)])
        assert [result["result"] for result in results] == ["dropped", "dropped", "accepted"]

    stored = await product.stored(tenant)
    assert not [row for row in stored if row["event_name"] in ("secret", "debug_x")]
    assert sorted(row["properties"]["way"] for row in stored if row["event_name"] == "kept") == sorted(_WAYS)


async def test_sampling_keeps_half_of_the_users_and_all_of_their_events(
    product: Product, tenant: Tenant, ways: dict[str, Way]
) -> None:
    users = [f"user-{uuid.uuid4()}" for _ in range(300)]

    async def sampled(way: Way) -> bool:
        probes = [new_event(event_name="probe", user_id=f"probe-{number}") for number in range(40)]
        return ("dropped", "sampled") in _codes(await way.send(probes))

    await product.change_rules(tenant, sampling_rate=0.5)
    await _in_force(ways, sampled)
    kept_by_way = {}
    for name, way in ways.items():
        results = await way.send([_named("sampled", name, user_id=user) for user in users for _ in range(2)])
        kept_by_way[name] = [result["result"] == "accepted" for result in results]

    stored = [row for row in await product.stored(tenant) if row["event_name"] == "sampled"]
    assert kept_by_way["rest"] == kept_by_way["socket"] == kept_by_way["grpc"]
    kept = {row["user_id"] for row in stored}
    assert 0.38 < len(kept) / len(users) < 0.62
    assert len(stored) == len(kept) * 2 * len(ways)
    assert {row["sample_rate"] for row in stored} == {0.5}


async def test_the_minimal_level_keeps_no_user_no_properties_and_no_query(
    product: Product, tenant: Tenant, ways: dict[str, Way]
) -> None:
    async def stripped(way: Way) -> bool:
        probe = new_event(event_name="probe", user_id="known")
        await way.send([probe])
        [row] = [row for row in await product.stored(tenant) if str(row["event_id"]) == probe["event_id"]]
        return row["user_id"] is None

    await product.change_rules(tenant, tracking_level="minimal")
    await _in_force(ways, stripped)
    for way in ways.values():
        event = new_event(
            event_name="minimal",
            user_id="known",
            properties={"plan": "pro"},
            page_url="https://app.example/reports?name=secret#top",
            referrer="https://www.google.com/",
            device_info={"device_type": "mobile", "browser": "Firefox", "language": "de"},
        )
        await way.send([event])

    rows = [row for row in await product.stored(tenant) if row["event_name"] == "minimal"]
    assert len(rows) == len(ways)
    for row in rows:
        assert (row["user_id"], row["properties"], row["referrer"]) == (None, {}, None)
        assert row["page_url"] is not None
        assert row["page_url"].endswith("/reports")
        assert {name for name, value in row["device_info"].items() if value} == {"device_type"}
        assert (row["session_id"], row["event_category"]) == ("s-1", "navigation")


async def test_a_disabled_tenant_stores_nothing(product: Product, tenant: Tenant, ways: dict[str, Way]) -> None:
    async def dropped(way: Way) -> bool:
        return _codes(await way.send([new_event(event_name="probe")])) == {("dropped", "disabled")}

    await product.change_rules(tenant, enabled=False)
    await _in_force(ways, dropped)
    before = len(await product.stored(tenant))
    for way in ways.values():
        assert _codes(await way.send([new_event() for _ in range(5)])) == {("dropped", "disabled")}

    assert len(await product.stored(tenant)) == before


async def test_an_open_socket_is_told_of_the_change(product: Product, tenant: Tenant) -> None:
    async with SocketWay(product, tenant) as way:
        assert way.ready["config"]["sampling_rate"] == 1.0
        started = time.monotonic()
        await product.change_rules(tenant, sampling_rate=0.25)
        frame = await way.socket.receive_json(timeout=_IN_FORCE_SECONDS)

    assert time.monotonic() - started < _IN_FORCE_SECONDS
    assert frame["type"] == "config"
    assert frame["config"]["sampling_rate"] == 0.25
