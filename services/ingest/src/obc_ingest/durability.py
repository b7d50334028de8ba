"""Whether the database keeps what it says it has committed. Without that no event may be acknowledged."""

from obc_common.logs import get_logger
from obc_common.postgres import Pool

_log = get_logger(__name__)
_TIMEOUT = 5.0

_MUST_BE_ON = ("fsync", "full_page_writes")

# The tables that carry the promise, with all their partitions ('p' in relpersistence = logged).
_UNLOGGED = """
WITH RECURSIVE relations AS (
    SELECT oid FROM pg_class WHERE oid IN ('analytics_events'::regclass, 'event_ids'::regclass)
    UNION ALL
    SELECT i.inhrelid FROM pg_inherits i JOIN relations r ON i.inhparent = r.oid
)
SELECT c.relname FROM relations JOIN pg_class c USING (oid) WHERE c.relpersistence <> 'p' ORDER BY 1
"""


class NotDurable(Exception):
    """The database may lose what it has acknowledged; the text names every reason."""


class DurabilityCheck:
    """A health check; a failure is logged with every reason and keeps the process from being ready."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._last_problems: list[str] = []

    async def __call__(self) -> None:
        """Raises NotDurable, or what asyncpg raises when the database is away."""
        problems = await self._problems()
        if problems and problems != self._last_problems:
            _log.error("database_not_durable", problems=problems, consequence="this process refuses to be ready")
        self._last_problems = problems
        if problems:
            raise NotDurable("; ".join(problems))

    async def _problems(self) -> list[str]:
        async with self._pool.acquire(timeout=_TIMEOUT) as connection:
            problems = [
                f"{name} is off"
                for name in _MUST_BE_ON
                if await connection.fetchval("SELECT current_setting($1)", name) != "on"
            ]
            if await connection.fetchval("SELECT current_setting('synchronous_commit')") == "off":
                problems.append("synchronous_commit is off")
            if await connection.fetchval("SELECT current_setting('data_sync_retry')") != "off":
                problems.append("data_sync_retry is on: a failed fsync would be forgotten")
            problems += [f"table {row['relname']} is not logged" for row in await connection.fetch(_UNLOGGED)]
        return problems
