"""Bad rows, newest first, straight from PostgreSQL under row-level security: the read model does not hold them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg

from obc_common.postgres import Pool, map_postgres_error, tenant_transaction
from obc_query.moments import EPOCH, moment

STATES = ("open", "replayed", "all")
MAX_PAGE_SIZE = 1000
# Well under what one gRPC message may hold; a page of large rows ends early.
_MAX_PAGE_BYTES = 8 << 20
_ROW_BYTES = 2048  # everything but the body, at most

ROW_COLUMNS = """
id, received_at, code, field, message, sdk, event_id, body, truncated, replayed_at, replay_result, replay_of
"""
_PAGE = f"""
SELECT {ROW_COLUMNS} FROM bad_rows
WHERE tenant_id = $1
  AND ($2::text = '' OR code = $2) AND ($3::text = '' OR field = $3) AND ($4::text = '' OR sdk = $4)
  AND ($5::timestamptz IS NULL OR received_at >= $5) AND ($6::timestamptz IS NULL OR received_at < $6)
  AND ($7::text = 'all' OR (replayed_at IS NULL) = ($7 = 'open'))
  AND ($8::timestamptz IS NULL OR (received_at, id) < ($8, $9))
ORDER BY received_at DESC, id DESC LIMIT $10
"""  # noqa: S608  # constants


@dataclass(frozen=True, slots=True)
class BadRowKey:
    """Where a row is in the list."""

    received_at_us: int
    id: int


@dataclass(frozen=True, slots=True)
class BadRowsQuestion:
    """A page of bad rows. Empty texts and None are no condition; times are unix milliseconds, half-open."""

    code: str
    field: str
    sdk: str
    start_ms: int | None
    end_ms: int | None
    state: str
    page_size: int
    after: BadRowKey | None


@dataclass(frozen=True, slots=True)
class BadRowsPage:
    """Rows as PostgreSQL has them, and where the next page begins (None = end)."""

    rows: Sequence["asyncpg.Record"]
    next_after: BadRowKey | None


async def list_bad_rows(pool: Pool, tenant_id: str, question: BadRowsQuestion) -> BadRowsPage:
    """A page of bad rows, newest first. Raises Unavailable(DATABASE_UNAVAILABLE)."""
    after = question.after
    try:
        async with tenant_transaction(pool, tenant_id, readonly=True) as connection:
            found = await connection.fetch(
                _PAGE,
                UUID(tenant_id),
                question.code,
                question.field,
                question.sdk,
                moment(question.start_ms),
                moment(question.end_ms),
                question.state,
                None if after is None else EPOCH + timedelta(microseconds=after.received_at_us),
                None if after is None else after.id,
                question.page_size + 1,
            )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise map_postgres_error(error) from error
    page = found[: _fitting(found[: question.page_size])]
    return BadRowsPage(page, _key(page[-1]) if len(page) < len(found) else None)


def _key(row: "asyncpg.Record") -> BadRowKey:
    return BadRowKey((row["received_at"] - EPOCH) // timedelta(microseconds=1), row["id"])


def _fitting(rows: Sequence["asyncpg.Record"]) -> int:
    """How many rows fit into one answer; at least one, if there is one."""
    size = 0
    for index, row in enumerate(rows):
        size += _ROW_BYTES + len(row["body"])
        if size > _MAX_PAGE_BYTES and index > 0:
            return index
    return len(rows)
