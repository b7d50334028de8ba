"""Retention of the read model. Each query process sees to its own copy: nobody else can reach an embedded engine."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from obc_common.clock import Clock
from obc_common.logs import get_logger
from obc_common.postgres import Pool
from obc_common.tenant_state import TenantRules
from obc_query import metrics
from obc_query.expiry import Expired, remove_expired
from obc_query.freshness import Freshness
from obc_query.warehouse import Warehouse

_log = get_logger(__name__)

# Any constant of ours: with a shared read model one process at a time removes.
_LOCK = 0x6F62_6372
_ACQUIRE_TIMEOUT = 5.0
_LOCK_TIMEOUT = 5.0
_FIRST_LOOK_SECONDS = 5.0
# Rules that were not confirmed for this long may have been changed to a longer retention.
_FRESH_SECONDS = 30.0


class Directory(Protocol):
    """Every tenant's rules, and how fresh they are."""

    def all_rules(self) -> Sequence[TenantRules]:
        """The rules of every tenant now."""
        ...

    def age_seconds(self) -> float:
        """Seconds since they were last confirmed."""
        ...


class ReadModelRetention:
    """Removes expired events from the read model.

    Args:
        warehouse: the read model.
        pool: PostgreSQL, for the lock of a shared read model.
        directory: the tenants' rules.
        freshness: told whose answers are not what they were.
        clock: decides what is expired.
        seconds: pause between two passes.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        pool: Pool,
        directory: Directory,
        freshness: Freshness,
        clock: Clock,
        *,
        seconds: float,
    ) -> None:
        self._warehouse = warehouse
        self._pool = pool
        self._directory = directory
        self._freshness = freshness
        self._clock = clock
        self._seconds = seconds

    async def run(self) -> None:
        """Removes again and again until cancelled. To be owned by `tasks.background`."""
        while True:
            fresh = self._directory.age_seconds() < _FRESH_SECONDS
            if fresh:
                try:
                    await self.remove()
                except Exception:
                    metrics.RETENTION_PASSES.labels("failed").inc()
                    raise
            pause = self._seconds if fresh else min(self._seconds, _FIRST_LOOK_SECONDS)
            await asyncio.sleep(pause * random.uniform(0.9, 1.1))  # noqa: S311  # jitter, no secret

    async def remove(self) -> Expired:
        """One pass. With a shared read model it does nothing while another process is at it."""
        days = {rules.tenant_id: rules.retention_days for rules in self._directory.all_rules()}
        async with self._turn() as is_ours:
            expired = await self._in_thread(days) if is_ours else Expired(0, 0, frozenset())
        self._freshness.removed(expired.tenants)
        metrics.RETENTION_PASSES.labels("done").inc()
        metrics.RETENTION_LAST_SUCCESS.set(self._clock.now_ms() / 1000)
        metrics.RETENTION_DROPPED_PARTS.inc(expired.parts)
        metrics.RETENTION_DELETIONS.inc(expired.deletions)
        if expired.tenants:
            _log.info("read_model_expired", parts=expired.parts, tenants=len(expired.tenants))
        return expired

    async def _in_thread(self, days: dict[str, int]) -> Expired:
        stop = threading.Event()

        def work() -> Expired:
            handle = self._warehouse.connect()
            try:
                return remove_expired(handle, days, self._clock.now_ms(), stop)
            finally:
                handle.close()

        future = asyncio.get_running_loop().run_in_executor(None, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            # Waited for: whoever ends the process must find the store at rest.
            stop.set()
            await asyncio.wait([future])
            raise

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[bool]:
        if self._warehouse.embedded:
            yield True
            return
        async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT) as connection:
            ours = await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK, timeout=_LOCK_TIMEOUT)
            try:
                yield bool(ours)
            finally:
                if ours:
                    await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK, timeout=_LOCK_TIMEOUT)
