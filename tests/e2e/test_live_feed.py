"""The live feed: an event is seen within a second of its acknowledgement, and losing Redis loses no event."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
import orjson

from obc_dev.servers.redis import RedisServer
from tests.support.eventually import eventually
from tests.support.product import GrpcWay, Product, RestWay, Tenant, new_event

_SEEN_SECONDS = 1.0


class Subscriber:
    """Follows the live feed and keeps what it said, with the time it said it."""

    def __init__(self) -> None:
        self.events: dict[str, float] = {}
        self.snapshots: list[dict[str, Any]] = []
        self.ended = ""

    def take(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "events":
            self.events.update((event["event_id"], time.monotonic()) for event in data["events"])
        elif kind == "snapshot":
            self.snapshots.append(data)

    def started(self) -> bool:
        assert not self.ended, self.ended
        return bool(self.snapshots)

    def saw(self, event_id: str) -> bool:
        return event_id in self.events

    def live_users(self) -> float:
        return float(self.snapshots[-1]["live_users"]) if self.snapshots else -1

    def health(self) -> dict[str, Any]:
        health: dict[str, Any] = self.snapshots[-1]["health"] if self.snapshots else {}
        return health


@asynccontextmanager
async def socket_subscriber(product: Product, tenant: Tenant) -> AsyncIterator[Subscriber]:
    """Subscribes by WebSocket; open once the first snapshot is there."""
    subscriber = Subscriber()

    async def follow(socket: aiohttp.ClientWebSocketResponse) -> None:
        while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            frame = orjson.loads(message.data)
            subscriber.take(frame["type"], frame)
        subscriber.ended = f"{message.type.name} {message.data} {message.extra}"

    async with aiohttp.ClientSession() as session, session.ws_connect(f"{product.ws_url}/v1/live/ws") as socket:
        await socket.send_json({"type": "auth", "token": tenant.secret_key})
        task = asyncio.create_task(follow(socket))
        try:
            await eventually(subscriber.started, timeout=20)
            yield subscriber
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def sse_subscriber(product: Product, tenant: Tenant) -> AsyncIterator[Subscriber]:
    """Subscribes by server-sent events; open once the first snapshot is there."""
    subscriber = Subscriber()

    async def follow(response: aiohttp.ClientResponse) -> None:
        kind = ""
        async for raw in response.content:
            line = raw.decode().rstrip("\n")
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                subscriber.take(kind, orjson.loads(line.removeprefix("data: ")))
        subscriber.ended = "the stream ended"

    headers = {"Authorization": f"Bearer {tenant.secret_key}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(f"{product.url}/v1/live") as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        task = asyncio.create_task(follow(response))
        try:
            await eventually(subscriber.started, timeout=20)
            yield subscriber
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_both_subscribers_see_an_event_within_a_second_of_its_acknowledgement(
    product: Product, tenant: Tenant
) -> None:
    async with (
        socket_subscriber(product, tenant) as by_socket,
        sse_subscriber(product, tenant) as by_sse,
        RestWay(product, tenant) as rest,
        GrpcWay(product, tenant) as grpc_way,
    ):
        for way in (rest, grpc_way, rest):
            event = new_event(user_id="somebody")
            [result] = await way.send([event])
            acknowledged = time.monotonic()
            assert result["result"] == "accepted"
            for subscriber in (by_socket, by_sse):
                await eventually(partial(subscriber.saw, event["event_id"]), timeout=_SEEN_SECONDS)
                assert subscriber.events[event["event_id"]] - acknowledged < _SEEN_SECONDS


async def test_live_users_are_the_distinct_people_of_the_last_five_minutes(product: Product, tenant: Tenant) -> None:
    now = int(time.time() * 1000)
    here = [new_event(user_id=f"user-{number % 7}") for number in range(20)]
    anonymous = [new_event(anonymous_id="device-1") for _ in range(3)]
    gone = [new_event(user_id="gone", timestamp=now - 6 * 60_000)]

    async with socket_subscriber(product, tenant) as subscriber, RestWay(product, tenant) as way:
        assert subscriber.live_users() == 0
        await way.send(here + anonymous + gone)

        await eventually(lambda: subscriber.live_users() == 8, timeout=5)


async def test_another_tenants_events_are_never_shown(product: Product, tenant: Tenant) -> None:
    other = await product.new_tenant("another tenant")
    async with (
        socket_subscriber(product, tenant) as mine,
        socket_subscriber(product, other) as theirs,
        RestWay(product, tenant) as way,
    ):
        event = new_event(user_id="mine")
        await way.send([event])
        await eventually(lambda: mine.saw(event["event_id"]), timeout=_SEEN_SECONDS)

        assert theirs.events == {}


async def test_losing_redis_loses_no_event_and_the_feed_says_that_it_is_degraded(
    product: Product, tenant: Tenant, product_redis: RedisServer
) -> None:
    async with socket_subscriber(product, tenant) as subscriber, RestWay(product, tenant) as way:
        assert subscriber.health()["degraded"] is False
        product_redis.kill()
        try:
            durations = []
            sent = []
            for _ in range(20):
                event = new_event(user_id="unharmed")
                started = time.monotonic()
                [result] = await way.send([event])
                durations.append(time.monotonic() - started)
                assert result["result"] == "accepted"
                sent.append(event["event_id"])
            await eventually(lambda: subscriber.health()["degraded"], timeout=10)
            assert "redis" in subscriber.health()["unhealthy"]
            # The numbers come from the read model, which needs no Redis.
            await eventually(lambda: subscriber.live_users() == 1, timeout=5)
        finally:
            product_redis.start()

        assert max(durations) < 1.0
        assert {str(row["event_id"]) for row in await product.stored(tenant)} == set(sent)
        await eventually(lambda: subscriber.health()["degraded"] is False, timeout=20)
        event = new_event(user_id="back")
        await way.send([event])
        await eventually(lambda: subscriber.saw(event["event_id"]), timeout=5)
