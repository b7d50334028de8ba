"""Answers kept in Redis, by tenant, question and data version.

The version is part of the key, so an answer is only ever found while no row of the tenant has come in since it was
computed: there is nothing to invalidate and no way to serve a stale answer as fresh. Losing Redis only costs time.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from redis.asyncio import Redis

from obc_common.clock import Clock
from obc_common.logs import get_logger
from obc_common.redis_failures import REDIS_FAILURES
from obc_query.metrics import CACHE_ANSWERS

_log = get_logger(__name__)
_TIMEOUT = 0.1
# After a failure Redis is left alone for this long, so that a dead one costs each question nothing.
_REST_SECONDS = 1.0
_MAX_ANSWER_BYTES = 4 << 20

Compute = Callable[[], Awaitable[bytes]]


@dataclass(slots=True)
class _Flight:
    task: asyncio.Task[bytes]
    waiting: int = 0


class AnswerCache:
    """Looks up, else computes once for everybody who asks the same at the same time."""

    def __init__(self, redis: "Redis | None", clock: Clock, *, seconds: int) -> None:
        self._redis = redis if seconds else None
        self._clock = clock
        self._seconds = seconds
        self._rest_until = 0.0
        self._flights: dict[str, _Flight] = {}

    async def answer(self, tenant_id: str, question: bytes, version: str, compute: Compute) -> tuple[bytes, bool]:
        """An answer, and whether it was computed before.

        Args:
            tenant_id: whose.
            question: canonical bytes of the whole question: two questions that may differ in their answer differ here.
            version: the tenant's data version, read before this call.
            compute: makes the answer; its errors are passed on and never kept.
        """
        key = _key(tenant_id, question, version)
        kept = await self._get(key)
        if kept is not None:
            CACHE_ANSWERS.labels("cache").inc()
            return kept, True
        return await self._fly(key, compute), False

    async def holds(self, tenant_id: str, question: bytes, version: str) -> bool:
        """Whether an answer is kept. Arguments as above."""
        return await self._get(_key(tenant_id, question, version)) is not None

    async def _fly(self, key: str, compute: Compute) -> bytes:
        flight = self._flights.get(key)
        if flight is None:
            flight = _Flight(asyncio.create_task(self._compute(key, compute), name="answer"))
            self._flights[key] = flight
            CACHE_ANSWERS.labels("computed").inc()
        else:
            CACHE_ANSWERS.labels("shared").inc()
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.waiting == 0:
                if self._flights.get(key) is flight:
                    del self._flights[key]
                flight.task.cancel()  # nobody is left to read it; no effect on one that is done

    async def _compute(self, key: str, compute: Compute) -> bytes:
        answer = await compute()
        await self._set(key, answer)
        return answer

    async def _get(self, key: str) -> bytes | None:
        if self._redis is None or self._clock.monotonic() < self._rest_until:
            return None
        try:
            async with asyncio.timeout(_TIMEOUT):
                kept = await self._redis.get(key)
        except REDIS_FAILURES as error:
            self._rest(error)
            return None
        return kept if isinstance(kept, bytes) else None

    async def _set(self, key: str, answer: bytes) -> None:
        if self._redis is None or self._clock.monotonic() < self._rest_until or len(answer) > _MAX_ANSWER_BYTES:
            return
        try:
            async with asyncio.timeout(_TIMEOUT):
                await self._redis.set(key, answer, ex=self._seconds)
        except REDIS_FAILURES as error:
            self._rest(error)

    def _rest(self, error: Exception) -> None:
        self._rest_until = self._clock.monotonic() + _REST_SECONDS
        _log.warning("answer_cache_away", error=type(error).__name__)


def _key(tenant_id: str, question: bytes, version: str) -> str:
    return f"obc:answer:{tenant_id}:{version}:{hashlib.sha256(question).hexdigest()}"
