"""Month partitions, made before a row needs them: at start, every hour, and when an event of an unknown month comes."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

from obc_common.clock import Clock
from obc_common.logs import get_logger
from obc_common.postgres import Pool
from obc_ingest.metrics import PARTITIONS_MADE
from obc_ingest.timestamps import utc

_log = get_logger(__name__)
_INTERVAL = 3600.0
_TIMEOUT = 20.0
_MONTHS_AHEAD = 2

Month = tuple[int, int]


def month_of(moment: datetime) -> Month:
    """The UTC month of a moment."""
    return moment.year, moment.month


class Partitions:
    """Knows which months have a partition; asks the database for those it does not know."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._known: set[Month] = set()

    async def ensure_ahead(self) -> None:
        """Makes this month's partition and the next two."""
        year, month = month_of(utc(self._clock.now_ms()))
        for ahead in range(_MONTHS_AHEAD + 1):
            await self._ensure_one(((year * 12 + month - 1 + ahead) // 12, (month - 1 + ahead) % 12 + 1))

    async def ensure(self, months: Iterable[Month]) -> None:
        """Makes the partitions of months that are not known to have one. Costs nothing when all are known."""
        for month in set(months) - self._known:
            await self._ensure_one(month)

    def forget(self) -> None:
        """After the database said that there is none: somebody else has dropped one."""
        self._known.clear()

    async def run(self) -> None:
        """Keeps ahead of time until cancelled. To be owned by `tasks.background`."""
        while True:
            await asyncio.sleep(_INTERVAL)
            # A month that retention has dropped meanwhile must be asked for again.
            self.forget()
            await self.ensure_ahead()

    async def _ensure_one(self, month: Month) -> None:
        start = datetime(month[0], month[1], 1, tzinfo=UTC)
        async with asyncio.timeout(_TIMEOUT), self._pool.acquire(timeout=_TIMEOUT) as connection:
            made = await connection.fetchval("SELECT obc_ensure_partitions($1, $1)", start)
        if made:
            PARTITIONS_MADE.inc(made)
            _log.info("partition_made", month=f"{month[0]}-{month[1]:02}")
        self._known.add(month)
