import asyncio
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from obc_common.clock import ManualClock, SystemClock
from obc_common.errors import ResourceExhausted
from obc_common.ratelimit import Bucket, RateLimiter
from obc_dev.servers.redis import RedisServer


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


async def passes(limiter: RateLimiter, bucket: Bucket, cost: int = 1) -> bool:
    try:
        await limiter.take_all([bucket], cost)
        return True
    except ResourceExhausted:
        return False


async def test_two_processes_share_one_bucket(redis: Redis) -> None:
    bucket = Bucket(uuid4().hex, 0.001, 10)
    limiters = [RateLimiter(redis, SystemClock()) for _ in range(2)]

    taken = [await passes(limiters[number % 2], bucket) for number in range(30)]

    assert taken.count(True) == 10


async def test_a_bucket_refills_and_its_key_goes_away_by_itself(redis: Redis) -> None:
    bucket = Bucket(uuid4().hex, 100, 10)
    limiter = RateLimiter(redis, SystemClock())
    await limiter.take_all([bucket], 10)

    with pytest.raises(ResourceExhausted) as refused:
        await limiter.take_all([bucket], 2)

    assert refused.value.retry_after is not None
    assert 0 < refused.value.retry_after <= 0.02
    assert 0 < await redis.pttl("obc:rate:" + bucket.name) <= 101


async def test_of_two_shared_buckets_none_is_charged_when_one_refuses(redis: Redis) -> None:
    limiter = RateLimiter(redis, SystemClock())
    wide, narrow = Bucket(uuid4().hex, 0.001, 10), Bucket(uuid4().hex, 0.001, 3)
    await limiter.take_all([wide, narrow], 3)
    with pytest.raises(ResourceExhausted):
        await limiter.take_all([wide, narrow], 3)

    assert await passes(limiter, wide, 7)
    assert not await passes(limiter, wide, 1)


async def test_without_redis_the_own_bucket_decides_and_a_dead_redis_costs_nothing(redis_server: RedisServer) -> None:
    client = Redis.from_url(redis_server.url)
    clock = ManualClock()
    limiter = RateLimiter(client, clock)
    bucket = Bucket(uuid4().hex, 0.001, 10)
    assert await passes(limiter, bucket)

    redis_server.stop()
    started = time.monotonic()
    taken = [await passes(limiter, bucket) for _ in range(200)]
    took = time.monotonic() - started

    assert taken.count(True) == 10
    assert took < 0.5
    redis_server.start()
    clock.advance(10)
    assert await passes(limiter, bucket), "back to the shared bucket, of which one was taken and nine are left"
    await client.aclose()


async def test_a_redis_that_does_not_answer_delays_one_call_by_little(redis: Redis) -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(hold, "127.0.0.1", 0)
    client = Redis.from_url(f"redis://127.0.0.1:{silent.sockets[0].getsockname()[1]}")
    limiter = RateLimiter(client, SystemClock())

    started = time.monotonic()
    for _ in range(20):
        await limiter.take("a", 1, 100, 100)
    took = time.monotonic() - started

    assert took < 0.5
    await client.aclose()
    silent.close()


async def test_a_connection_that_was_reset_a_moment_ago_costs_the_call_nothing(redis: Redis) -> None:
    # given a client that meets what uvloop says of a closed connection
    async def is_closed(*_: object, **__: object) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    limiter = RateLimiter(redis, SystemClock())
    redis.connection_pool.get_connection = is_closed  # type: ignore[method-assign]  # the moment is too short to hit
    # when
    decided = await passes(limiter, Bucket(f"reset-{uuid4()}", 1, 1))
    # then the own bucket has decided
    assert decided
