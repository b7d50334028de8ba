"""Rate limits: GCRA buckets shared through Redis, with a bucket of this process's own while Redis is away.

GCRA keeps one number per bucket, the time at which it would be empty again ("theoretical arrival time"). A call of
cost c moves it by c / rate; it is refused when that would put it more than burst / rate ahead of now. Redis' own clock
is the only one, in whole microseconds, so that processes need not agree on the time.

Failing open is meant: a limit protects the service from being swamped, and a lost Redis must not refuse events. While
it is away every process lets its full rate through by itself.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import Counter
from redis.asyncio import Redis

from obc_common.clock import Clock
from obc_common.errors import OutOfRange, ResourceExhausted
from obc_common.logs import get_logger
from obc_common.redis_failures import REDIS_FAILURES

_log = get_logger(__name__)

_KEY_PREFIX = "obc:rate:"
_REDIS_TIMEOUT = 0.05
_BREAKER_SECONDS = 5.0
_MAX_LOCAL_BUCKETS = 10_000

LOCAL_DECISIONS = Counter(
    "obc_ratelimit_local_decisions_total", "Rate limit decisions taken without Redis, because it was away."
)

# KEYS: buckets. ARGV: per bucket the cost and the burst, both as microseconds of its rate. Answers the microseconds to
# wait, 0 = taken. All buckets are charged or none is. Redis numbers are doubles: exact for microseconds until 2255.
_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local wait = 0
local moved = {}
for i, key in ipairs(KEYS) do
    local empty_at = math.max(tonumber(redis.call('GET', key) or '0'), now) + tonumber(ARGV[2 * i - 1])
    moved[i] = empty_at
    wait = math.max(wait, empty_at - now - tonumber(ARGV[2 * i]))
end
if wait > 0 then
    return wait
end
for i, key in ipairs(KEYS) do
    redis.call('SET', key, string.format('%.0f', moved[i]), 'PX', math.ceil((moved[i] - now) / 1000) + 1)
end
return 0
"""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One limit: `rate_per_second` in the long run, at most `burst` at once."""

    name: str
    rate_per_second: float
    burst: int


class RateLimiter:
    """Takes from buckets.

    Args:
        redis: shared state; None = this process's own buckets only.
        clock: for the own buckets and for the breaker.
    """

    def __init__(self, redis: Redis | None, clock: Clock) -> None:
        self._clock = clock
        self._script = redis.register_script(_TAKE) if redis is not None else None
        self._retry_redis_at = 0.0
        self._local: dict[str, int] = {}

    async def take(self, bucket: str, cost: int, rate_per_second: float, burst: int) -> None:
        """Takes `cost` from one bucket; see `take_all`."""
        await self.take_all([Bucket(bucket, rate_per_second, burst)], cost)

    async def take_all(self, buckets: Sequence[Bucket], cost: int) -> None:
        """Takes `cost` from every bucket, or from none.

        Raises:
            ResourceExhausted: RATE_LIMITED, with the seconds after which the same cost fits.
            OutOfRange: COST_OVER_BURST, when it can never fit.
        """
        burst = min(bucket.burst for bucket in buckets)
        if cost > burst:
            raise OutOfRange(
                "COST_OVER_BURST",
                f"a request may cost at most {burst}, this one costs {cost}",
                metadata={"cost": str(cost), "burst": str(burst)},
            )
        costs = [
            (_micros(cost, bucket.rate_per_second), _micros(bucket.burst, bucket.rate_per_second)) for bucket in buckets
        ]
        wait = await self._take_shared(buckets, costs)
        if wait is None:
            wait = self._take_local(buckets, costs)
        if wait > 0:
            raise ResourceExhausted("RATE_LIMITED", "the rate limit is reached", retry_after=wait / 1e6)

    async def _take_shared(self, buckets: Sequence[Bucket], costs: list[tuple[int, int]]) -> int | None:
        if self._script is None:
            return None
        now = self._clock.monotonic()
        if now < self._retry_redis_at:
            LOCAL_DECISIONS.inc()
            return None
        was_away = self._retry_redis_at > 0
        if was_away:
            # One call finds out whether Redis is back; those that come meanwhile do not wait for it.
            self._retry_redis_at = now + _BREAKER_SECONDS
        arguments = [number for pair in costs for number in pair]
        try:
            async with asyncio.timeout(_REDIS_TIMEOUT):
                answer: Any = await self._script(keys=[_KEY_PREFIX + b.name for b in buckets], args=arguments)
            self._retry_redis_at = 0.0
            return int(answer)
        except REDIS_FAILURES as error:
            if not was_away:
                _log.warning("rate_limit_without_redis", error=f"{type(error).__name__}: {error}")
            self._retry_redis_at = self._clock.monotonic() + _BREAKER_SECONDS
            LOCAL_DECISIONS.inc()
            return None

    def _take_local(self, buckets: Sequence[Bucket], costs: list[tuple[int, int]]) -> int:
        now = int(self._clock.monotonic() * 1e6)
        moved = [max(self._local.get(b.name, 0), now) + cost for b, (cost, _) in zip(buckets, costs, strict=True)]
        wait = max(empty_at - now - burst for empty_at, (_, burst) in zip(moved, costs, strict=True))
        if wait > 0:
            return wait
        if len(self._local) + len(buckets) > _MAX_LOCAL_BUCKETS:
            self._forget_full_buckets(now)
        for bucket, empty_at in zip(buckets, moved, strict=True):
            self._local[bucket.name] = empty_at
        return 0

    def _forget_full_buckets(self, now: int) -> None:
        """A bucket nobody owes anything to needs no memory; should all be in use, the oldest half goes (fail open)."""
        self._local = {name: empty_at for name, empty_at in self._local.items() if empty_at > now}
        if len(self._local) > _MAX_LOCAL_BUCKETS // 2:
            self._local = dict(list(self._local.items())[-_MAX_LOCAL_BUCKETS // 2 :])


def _micros(cost: int, rate_per_second: float) -> int:
    return math.ceil(cost * 1_000_000 / rate_per_second)
