"""Bad rows read for a replay and closed after it, as the role obc_replay: row-level security shows one tenant's."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from obc_common.postgres import Pool, map_postgres_error, tenant_transaction
from obc_ingest.model import Outcome
from obc_ingest.timestamps import utc

_COLUMNS = """
id, (extract(epoch FROM received_at) * 1000)::bigint AS received_at_ms, code, field, sdk, event_id, body, truncated,
replayed_at IS NOT NULL AS replayed
"""
_BY_IDS = f"SELECT {_COLUMNS} FROM bad_rows WHERE tenant_id = $1 AND id = ANY($2::bigint[])"  # noqa: S608  # constants
_BY_FILTER = f"""
SELECT {_COLUMNS} FROM bad_rows
WHERE tenant_id = $1 AND replayed_at IS NULL AND id > $2
  AND ($3::text = '' OR code = $3) AND ($4::text = '' OR field = $4) AND ($5::text = '' OR sdk = $5)
  AND ($6::timestamptz IS NULL OR received_at >= $6) AND ($7::timestamptz IS NULL OR received_at < $7)
ORDER BY id LIMIT $8
"""  # noqa: S608  # constants
_CLOSE = """
UPDATE bad_rows SET replayed_at = now(), replay_result = done.result
FROM unnest($2::bigint[], $3::text[]) AS done (id, result)
WHERE bad_rows.tenant_id = $1 AND bad_rows.id = done.id AND bad_rows.replayed_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A bad row as it is kept."""

    id: int
    received_at_ms: int
    code: str
    field: str
    sdk: str
    event_id: str
    body: bytes
    truncated: bool
    replayed: bool


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which open rows; empty texts and None = no condition. Times are unix milliseconds, half-open."""

    code: str = ""
    field: str = ""
    sdk: str = ""
    start_ms: int | None = None
    end_ms: int | None = None


class ReplayStore:
    """Reads and closes bad rows.

    Args:
        pool: as obc_replay.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def by_ids(self, tenant_id: str, ids: Sequence[int]) -> dict[int, KeptRow]:
        """The tenant's rows of these ids, closed ones too. Raises Unavailable(DATABASE_UNAVAILABLE)."""
        return {row.id: row for row in await self._read(tenant_id, _BY_IDS, ids)}

    async def by_filter(self, tenant_id: str, wanted: RowFilter, after_id: int, most: int) -> list[KeptRow]:
        """Open rows behind an id, oldest first. Raises Unavailable(DATABASE_UNAVAILABLE)."""
        start = None if wanted.start_ms is None else utc(wanted.start_ms)
        end = None if wanted.end_ms is None else utc(wanted.end_ms)
        return await self._read(
            tenant_id, _BY_FILTER, after_id, wanted.code, wanted.field, wanted.sdk, start, end, most
        )

    async def close(self, tenant_id: str, outcomes: Sequence[tuple[int, Outcome]]) -> None:
        """Closes rows; those that somebody else has closed meanwhile stay as they are. Raises Unavailable."""
        if not outcomes:
            return
        try:
            async with tenant_transaction(self._pool, tenant_id) as connection:
                await connection.execute(
                    _CLOSE, UUID(tenant_id), [row for row, _ in outcomes], [outcome.value for _, outcome in outcomes]
                )
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise map_postgres_error(error) from error

    async def _read(self, tenant_id: str, query: str, *arguments: object) -> list[KeptRow]:
        try:
            async with tenant_transaction(self._pool, tenant_id, readonly=True) as connection:
                records = await connection.fetch(query, UUID(tenant_id), *arguments)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise map_postgres_error(error) from error
        return [KeptRow(**record) for record in records]
