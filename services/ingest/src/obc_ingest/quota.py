"""A tenant's daily quota of events, shared by all ingest processes through PostgreSQL.

Each process reserves a small share ahead and spends it from memory; what it did not spend it gives back when it ends.
So no more than the quota is stored on one UTC day (but for events whose commit was cut off, whose room is given back
although they may be stored), nothing is forgotten by a restart, and a process that is killed takes at most one
unspent share (a hundredth of the quota, at most a thousand events) with it.
"""

import asyncio
from dataclasses import dataclass
from datetime import date

from obc_common.clock import Clock
from obc_common.postgres import Pool
from obc_ingest.timestamps import utc

_TIMEOUT = 5.0
_LARGEST_SHARE = 1000
_ASK_AGAIN_SECONDS = 5.0
_MAKE_ROW = """
INSERT INTO event_quota_use (tenant_id, day, events) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING RETURNING true
"""


@dataclass(slots=True)
class _Lease:
    """What one process holds of one tenant's day."""

    day: date
    left: int = 0
    exhausted_quota: int = -1
    """The quota of which nothing was left when it was last asked for."""
    ask_again_at: float = 0.0


class QuotaBook:
    """Takes from quotas.

    Args:
        pool: the role obc_ingest.
        clock: which day it is.
    """

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._leases: dict[str, _Lease] = {}
        self._reserving = asyncio.Lock()

    async def take(self, tenant_id: str, quota: int, wanted: int) -> int:
        """How many of the wanted events may be stored today.

        Args:
            tenant_id: whose.
            quota: events per day; at least 1.
            wanted: events of a batch.

        Raises:
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: the database is away; nothing may be stored then.
        """
        lease = self._lease(tenant_id)
        if lease.left < wanted and not self._is_exhausted(lease, quota):
            async with self._reserving:
                lease = self._lease(tenant_id)
                if lease.left < wanted and not self._is_exhausted(lease, quota):
                    await self._reserve(tenant_id, lease, quota, wanted - lease.left)
        granted = min(wanted, lease.left)
        lease.left -= granted
        return granted

    def give_back(self, tenant_id: str, events: int) -> None:
        """Events that were granted and not stored: duplicates, or a batch that failed."""
        self._lease(tenant_id).left += events

    async def close(self) -> None:
        """Gives back what was reserved and not spent. The book must not be used afterwards."""
        unspent = [(tenant_id, lease.day, lease.left) for tenant_id, lease in self._leases.items() if lease.left]
        self._leases.clear()
        if not unspent:
            return
        async with asyncio.timeout(_TIMEOUT), self._pool.acquire(timeout=_TIMEOUT) as connection:
            await connection.executemany(
                "UPDATE event_quota_use SET events = greatest(events - $3, 0) WHERE tenant_id = $1 AND day = $2",
                unspent,
            )

    def _lease(self, tenant_id: str) -> _Lease:
        today = utc(self._clock.now_ms()).date()
        lease = self._leases.get(tenant_id)
        if lease is None or lease.day != today:
            lease = self._leases[tenant_id] = _Lease(today)
        return lease

    def _is_exhausted(self, lease: _Lease, quota: int) -> bool:
        # Another process may give some back, so it is asked again after a while.
        return lease.exhausted_quota == quota and self._clock.monotonic() < lease.ask_again_at

    async def _reserve(self, tenant_id: str, lease: _Lease, quota: int, missing: int) -> None:
        share = max(missing, min(_LARGEST_SHARE, quota // 100))
        async with (
            asyncio.timeout(_TIMEOUT),
            self._pool.acquire(timeout=_TIMEOUT) as connection,
            connection.transaction(),
        ):
            if await connection.fetchval(_MAKE_ROW, tenant_id, lease.day):
                await connection.execute(
                    "DELETE FROM event_quota_use WHERE tenant_id = $1 AND day < $2", tenant_id, lease.day
                )
            used: int = await connection.fetchval(
                "SELECT events FROM event_quota_use WHERE tenant_id = $1 AND day = $2 FOR UPDATE", tenant_id, lease.day
            )
            granted = max(0, min(share, quota - used))
            if granted:
                await connection.execute(
                    "UPDATE event_quota_use SET events = events + $3 WHERE tenant_id = $1 AND day = $2",
                    tenant_id,
                    lease.day,
                    granted,
                )
        lease.left += granted
        if granted < share:
            lease.exhausted_quota = quota
            lease.ask_again_at = self._clock.monotonic() + _ASK_AGAIN_SECONDS
