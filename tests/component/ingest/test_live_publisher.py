"""What the live feed is told of stored events, over a real Redis."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from obc_common.live import MAX_EVENTS_PER_MESSAGE, LiveMessage, decode, live_channel
from obc_common.tasks import background
from obc_dev.servers.redis import RedisServer
from obc_ingest.live_publisher import LivePublisher
from obc_ingest.model import Event
from tests.support.eventually import eventually
from tests.support.ingest import Ingest, event
from tests.support.valid_event import valid_event


def stored(tenant_id: str, count: int, *, live: bool = True, first: int = 0) -> list[Event]:
    """Events as they are after a commit, named by their number."""
    page = "https://shop.example/cart?coupon=1#top"
    numbers = range(first, first + count)
    return [valid_event(tenant_id=tenant_id, event_name=f"event_{n}", page_url=page, live=live) for n in numbers]


@asynccontextmanager
async def subscribed(redis: Redis, *tenants: str) -> AsyncIterator[PubSub]:
    async with redis.pubsub(ignore_subscribe_messages=True) as heard:
        await heard.subscribe(*(live_channel(tenant_id) for tenant_id in tenants))

        async def known() -> bool:
            return all(count for _, count in await redis.pubsub_numsub(*map(live_channel, tenants)))

        await eventually(known)
        yield heard


def dropped() -> float:
    """Events that the feed has not told, so far."""
    return REGISTRY.get_sample_value("obc_ingest_live_dropped_events_total") or 0.0


async def next_message(heard: PubSub) -> tuple[str, LiveMessage]:
    """Whose it is, and what it says."""
    async with asyncio.timeout(5):
        while True:
            message = await heard.get_message(timeout=5)
            if message is not None:
                return message["channel"].decode(), decode(message["data"])


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url, socket_timeout=5) as client:
        yield client


def tenant() -> str:
    return str(uuid.uuid4())


async def test_what_is_stored_is_told_in_short_without_its_query_string(redis: Redis) -> None:
    shop, publisher = tenant(), LivePublisher(redis, 10)
    async with subscribed(redis, shop) as heard, background({"live": publisher.run}):
        publisher.offer([*stored(shop, 1), *stored(shop, 1, live=False, first=7)])
        _, message = await next_message(heard)
    [told] = message.events
    assert (told.event_name, told.page_path, told.user_id, message.skipped) == ("event_0", "/cart", "device-1", 0)


async def test_it_wakes_again_and_again(redis: Redis) -> None:
    shop, publisher = tenant(), LivePublisher(redis, 10)
    async with subscribed(redis, shop) as heard, background({"live": publisher.run}):
        for number in range(3):
            publisher.offer(stored(shop, 1, first=number))
            _, message = await next_message(heard)
            assert [told.event_name for told in message.events] == [f"event_{number}"]


async def test_flushes_that_fall_into_one_pause_are_one_message(redis: Redis) -> None:
    shop, publisher = tenant(), LivePublisher(redis, 10)
    async with subscribed(redis, shop) as heard, background({"live": publisher.run}):
        publisher.offer(stored(shop, 1))
        await next_message(heard)
        for flush in range(5):  # nothing is awaited between them
            publisher.offer(stored(shop, 30, first=30 * flush))
        _, message = await next_message(heard)
    assert [told.event_name for told in message.events] == [f"event_{n}" for n in range(MAX_EVENTS_PER_MESSAGE)]
    assert message.skipped == 150 - MAX_EVENTS_PER_MESSAGE


async def test_every_tenant_hears_its_own_events_in_one_round(redis: Redis) -> None:
    shops, publisher = [tenant() for _ in range(3)], LivePublisher(redis, 10)
    async with subscribed(redis, *shops) as heard, background({"live": publisher.run}):
        publisher.offer([event for n, shop in enumerate(shops) for event in stored(shop, 1, first=n)])
        messages = dict([await next_message(heard) for _ in shops])
    assert {channel: message.events[0].event_name for channel, message in messages.items()} == {
        live_channel(shop): f"event_{n}" for n, shop in enumerate(shops)
    }


async def test_of_more_tenants_than_may_wait_the_last_are_not_told(redis: Redis) -> None:
    shops, publisher = [tenant() for _ in range(3)], LivePublisher(redis, 2)
    async with subscribed(redis, *shops) as heard:
        publisher.offer([event for shop in shops for event in stored(shop, 1)])
        async with background({"live": publisher.run}):
            told = {(await next_message(heard))[0] for _ in range(2)}
            publisher.offer(stored(shops[2], 1, first=1))  # there is room again
            channel, message = await next_message(heard)
    assert told == {live_channel(shops[0]), live_channel(shops[1])}
    assert (channel, message.events[0].event_name) == (live_channel(shops[2]), "event_1")


async def test_an_outage_of_redis_costs_what_waits_and_is_over_by_itself(redis_server: RedisServer) -> None:
    shop = tenant()
    async with Redis.from_url(redis_server.url, socket_timeout=1) as client:
        publisher = LivePublisher(client, 10)
        async with background({"live": publisher.run}):
            await asyncio.to_thread(redis_server.stop)
            before = dropped()
            publisher.offer(stored(shop, 3))
            await eventually(lambda: dropped() == before + 3)
            publisher.offer(stored(shop, 2, first=3))  # waits for the failure's pause, and is too old then
            await eventually(lambda: dropped() == before + 5)
            await asyncio.to_thread(redis_server.start)
            async with subscribed(client, shop) as heard:
                publisher.offer(stored(shop, 1, first=5))
                _, message = await next_message(heard)
    assert [told.event_name for told in message.events] == ["event_5"]


async def test_a_stored_event_is_in_the_live_feed_once_and_only_if_the_tenant_wants_it(
    ingest: Ingest, redis: Redis
) -> None:
    shown, hidden = await ingest.make_tenant(), await ingest.make_tenant(real_time_enabled=False)
    async with subscribed(redis, shown, hidden) as heard:
        raw = event(user_id="anna", page_url="https://x.example/p?q=1")

        await ingest.send(hidden, [event()])
        await ingest.send(shown, [raw, event(event_id="bad")])
        await ingest.send(shown, [raw])

        channel, message = await next_message(heard)
        assert channel == live_channel(shown)
        [live] = message.events
        assert (live.event_id, live.user_id, live.page_path) == (raw["event_id"], "anna", "/p")
        assert await heard.get_message(timeout=0.05) is None
