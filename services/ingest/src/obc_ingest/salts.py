"""Daily salts of the hashes that stand for an address and a user agent.

Random, one per tenant and UTC day, shared by all replicas through PostgreSQL, and destroyed: once a day's salt is gone
nobody, we included, can tell which address a hash was made from.
"""

import asyncio
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import sha256

from obc_common.clock import Clock
from obc_common.logs import get_logger
from obc_common.postgres import Pool
from obc_ingest.timestamps import utc

_log = get_logger(__name__)

_DAYS_KEPT = 2
"""Today's and yesterday's: a salt is gone 48 hours after its day began."""
_CLEANING_INTERVAL = 3600.0
_TIMEOUT = 5.0
_MAX_MEMO = 10_000


@dataclass(slots=True)
class Hasher:
    """Keyed hashes of one tenant's day."""

    salt: bytes
    _memo: dict[str, str] = field(default_factory=dict)

    def address(self, ip: str) -> str:
        """The hash of an address; empty for an unknown one."""
        return self._hash("ip\0" + ip) if ip else ""

    def user_agent(self, user_agent: str) -> str:
        """The hash of a user agent; empty for an unknown one."""
        return self._hash("ua\0" + user_agent) if user_agent else ""

    def _hash(self, text: str) -> str:
        known = self._memo.get(text)
        if known is None:
            if len(self._memo) >= _MAX_MEMO:
                self._memo.clear()
            known = hmac.digest(self.salt, text.encode(), sha256)[:16].hex()
            self._memo[text] = known
        return known


class SaltStore:
    """Gives each tenant's hasher of the day."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._hashers: dict[tuple[str, date], Hasher] = {}

    async def hasher(self, tenant_id: str, at_ms: int) -> Hasher:
        """The hasher of the tenant's UTC day; makes the salt when it is the first to ask, on any replica.

        Raises:
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: the database is away; nothing may be stored then.
        """
        day = utc(at_ms).date()
        known = self._hashers.get((tenant_id, day))
        if known is not None:
            return known
        async with asyncio.timeout(_TIMEOUT), self._pool.acquire(timeout=_TIMEOUT) as connection:
            await connection.execute(
                "INSERT INTO hash_salts (tenant_id, day, salt) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                tenant_id,
                day,
                secrets.token_bytes(16),
            )
            salt = await connection.fetchval(
                "SELECT salt FROM hash_salts WHERE tenant_id = $1 AND day = $2", tenant_id, day
            )
        # Two batches may come here at once: they read the same salt, so the second memo just replaces the first.
        hasher = Hasher(salt)
        self._hashers[(tenant_id, day)] = hasher
        return hasher

    async def run_cleaning(self) -> None:
        """Destroys old salts every hour until cancelled. To be owned by `tasks.background`."""
        while True:
            await self.destroy_old()
            await asyncio.sleep(_CLEANING_INTERVAL)

    async def destroy_old(self) -> None:
        """Destroys the salts of days before yesterday."""
        first_kept = utc(self._clock.now_ms()).date() - timedelta(days=_DAYS_KEPT - 1)
        self._hashers = {key: hasher for key, hasher in self._hashers.items() if key[1] >= first_kept}
        async with asyncio.timeout(_TIMEOUT), self._pool.acquire(timeout=_TIMEOUT) as connection:
            status = await connection.execute("DELETE FROM hash_salts WHERE day < $1", first_kept)
        if status != "DELETE 0":
            _log.info("salts_destroyed", status=status)
