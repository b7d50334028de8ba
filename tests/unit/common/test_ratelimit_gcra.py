import asyncio

import pytest

from obc_common.clock import ManualClock
from obc_common.errors import OutOfRange, ResourceExhausted
from obc_common.ratelimit import Bucket, RateLimiter


async def takes(limiter: RateLimiter, times: int, *, rate: float, burst: int, bucket: str = "a") -> int:
    taken = 0
    for _ in range(times):
        try:
            await limiter.take(bucket, 1, rate, burst)
            taken += 1
        except ResourceExhausted:
            pass
    return taken


async def test_a_burst_passes_at_once_and_then_the_rate_rules() -> None:
    clock = ManualClock()
    limiter = RateLimiter(None, clock)

    assert await takes(limiter, 30, rate=100, burst=10) == 10
    clock.advance(0.05)
    assert await takes(limiter, 30, rate=100, burst=10) == 5


async def test_a_refusal_says_when_the_same_cost_fits_and_then_it_does() -> None:
    clock = ManualClock()
    limiter = RateLimiter(None, clock)
    await limiter.take("a", 10, 100, 10)

    with pytest.raises(ResourceExhausted) as refused:
        await limiter.take("a", 4, 100, 10)

    assert refused.value.reason == "RATE_LIMITED"
    assert refused.value.retry_after == pytest.approx(0.04)
    clock.advance(0.041)
    await limiter.take("a", 4, 100, 10)


async def test_a_cost_over_the_burst_can_never_pass_and_is_told_so() -> None:
    with pytest.raises(OutOfRange) as refused:
        await RateLimiter(None, ManualClock()).take("a", 11, 100, 10)

    assert refused.value.reason == "COST_OVER_BURST"
    assert refused.value.http_status == 413


async def test_of_two_buckets_none_is_charged_when_one_refuses() -> None:
    limiter = RateLimiter(None, ManualClock())
    wide, narrow = Bucket("wide", 1, 10), Bucket("narrow", 1, 3)
    await limiter.take_all([wide, narrow], 3)

    with pytest.raises(ResourceExhausted):
        await limiter.take_all([wide, narrow], 3)

    await limiter.take("wide", 7, 1, 10)


async def test_buckets_do_not_know_each_other() -> None:
    limiter = RateLimiter(None, ManualClock())

    assert await takes(limiter, 5, rate=1, burst=3, bucket="a") == 3
    assert await takes(limiter, 5, rate=1, burst=3, bucket="b") == 3


async def test_memory_is_bounded_however_many_buckets_there_are() -> None:
    limiter = RateLimiter(None, ManualClock())

    for number in range(25_000):
        await limiter.take(str(number), 1, 1, 2)
        if number % 5000 == 0:
            await asyncio.sleep(0)

    assert len(limiter._local) <= 10_000
