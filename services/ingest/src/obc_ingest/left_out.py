"""Counts, by tenant and hour, what is left out of events that are stored: the data-quality view shows it.

Counting is in memory and written every few seconds, so that no event waits for it; a killed process loses its last
seconds. Names come from clients, so there is a bound on how many are told apart.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from itertools import islice

from obc_common.clock import Clock
from obc_common.logs import get_logger
from obc_common.postgres import Pool, is_connection_failure
from obc_ingest.scrub import scrub_text
from obc_ingest.timestamps import utc

_log = get_logger(__name__)

STRIPPED_PROPERTY = "stripped_property"
UNKNOWN_FIELD = "unknown_field"
OTHER = "$other"

_SDK = "sdk"
_MOST_NAMES = 100
"""Names of one tenant, hour and kind (and SDKs likewise) that one process tells apart; the rest is `$other`."""
_MOST_KEYS = 20_000
_MAX_NAME = 128
_INTERVAL = 5.0
_TIMEOUT = 5.0

_ADD = """
INSERT INTO left_out_counts (tenant_id, hour, kind, name, sdk, count)
SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::bigint[])
ORDER BY 1, 2, 3, 4, 5
ON CONFLICT (tenant_id, hour, kind, name, sdk) DO UPDATE SET count = left_out_counts.count + excluded.count
"""

_Key = tuple[str, datetime, str, str, str]


class LeftOutCounts:
    """Counts and writes.

    Args:
        pool: as obc_ingest.
        clock: the hour.
    """

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._counts: Counter[_Key] = Counter()
        self._names: dict[tuple[str, datetime, str], set[str]] = {}

    def note(self, tenant_id: str, kind: str, names: Iterable[str], sdk: str) -> None:
        """Counts one of each name. Neither blocks nor raises."""
        hour = utc(self._clock.now_ms()).replace(minute=0, second=0, microsecond=0)
        sdk = self._told_apart(tenant_id, hour, _SDK, _presentable(sdk))
        for name in names:
            name = self._told_apart(tenant_id, hour, kind, _presentable(name))
            self._counts[(tenant_id, hour, kind, name, sdk)] += 1

    def _told_apart(self, tenant_id: str, hour: datetime, what: str, name: str) -> str:
        """The name itself, or OTHER once there are too many."""
        known = self._names.get((tenant_id, hour, what))
        if known is None:
            # Names of hours that are over need not be remembered.
            self._names = {key: names for key, names in self._names.items() if key[1] == hour}
            known = self._names.setdefault((tenant_id, hour, what), set())
        if name not in known:
            if len(known) >= _MOST_NAMES or len(self._counts) >= _MOST_KEYS:
                return OTHER
            known.add(name)
        return name

    async def run(self) -> None:
        """Writes every few seconds until cancelled. To be owned by `tasks.background`."""
        while True:
            await asyncio.sleep(_INTERVAL)
            await self.write()

    async def write(self) -> None:
        """Writes what was counted. While the database is away it is kept, within the bound."""
        if not self._counts:
            return
        counts, self._counts = self._counts, Counter()
        columns = zip(*((*key, count) for key, count in counts.items()), strict=True)
        try:
            async with asyncio.timeout(_TIMEOUT), self._pool.acquire(timeout=_TIMEOUT) as connection:
                await connection.execute(_ADD, *map(list, columns))
        except Exception as error:
            # Numbers for people; whatever is wrong with them, the service goes on.
            if is_connection_failure(error):
                self._counts.update(dict(islice(counts.items(), max(0, _MOST_KEYS - len(self._counts)))))
            else:
                _log.exception("left_out_counts_lost", counts=len(counts))


def _presentable(name: str) -> str:
    """A name may be anything, an address included."""
    return scrub_text(name[:_MAX_NAME].replace("\0", "\ufffd"))[:_MAX_NAME]
