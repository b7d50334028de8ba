"""The one transaction that makes events durable: ledger first, then COPY of what is new (design 2.2).

The ledger decides what is new, exactly and for every replica at once. Ids are inserted in (tenant_id, event_id) order:
two replicas that write overlapping batches then wait for each other in the same order and never deadlock.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg

from obc_common.postgres import Connection, Pool
from obc_ingest.event_lines import copy_lines, event_line
from obc_ingest.model import BadRow, Event
from obc_ingest.partitions import Partitions, month_of
from obc_ingest.timestamps import utc

_ACQUIRE_TIMEOUT = 5.0

# One row comes back instead of one per id: the list of new ids only when some are not.
_INSERT_IDS = """
WITH fresh AS (
    INSERT INTO event_ids (tenant_id, event_id, received_day, fingerprint)
    SELECT tenant_id, event_id, $3::date, fingerprint
    FROM unnest($1::uuid[], $2::uuid[], $4::bigint[]) AS ids (tenant_id, event_id, fingerprint)
    ORDER BY tenant_id, event_id
    ON CONFLICT DO NOTHING
    RETURNING tenant_id, event_id
)
SELECT CASE WHEN count(*) < $5 THEN coalesce(array_agg(tenant_id::text || event_id::text), '{}') END FROM fresh
"""

_SELECT_FINGERPRINTS = """
SELECT ids.tenant_id::text || ids.event_id::text AS key, ids.fingerprint
FROM unnest($1::uuid[], $2::uuid[]) AS wanted (tenant_id, event_id)
JOIN event_ids ids ON ids.tenant_id = wanted.tenant_id AND ids.event_id = wanted.event_id
"""

_BAD_ROW_COLUMNS = (
    "tenant_id",
    "received_at",
    "code",
    "field",
    "message",
    "sdk",
    "event_id",
    "body",
    "truncated",
    "replay_of",
)


def key_of(event: Event) -> str:
    """What is stored exactly once; sorts like (tenant_id, event_id)."""
    return event.tenant_id + event.event_id


class EventStore:
    """Writes to PostgreSQL as the role obc_ingest."""

    def __init__(self, pool: Pool, partitions: Partitions) -> None:
        self._pool = pool
        self._partitions = partitions

    async def commit(self, events: Sequence[Event], bad_rows: Sequence[BadRow]) -> dict[str, int]:
        """Stores events and bad rows in one transaction.

        Args:
            events: of distinct keys, sorted by `key_of`.
            bad_rows: kept whatever the events' keys are.

        Returns:
            The events that had been stored before: key to the stored payload's fingerprint. All others are new and,
            once this returns, durable.

        Raises:
            asyncpg.PostgresError, asyncpg.InterfaceError, OSError: nothing was stored, or (connection lost during the
                commit) nobody knows; sending the same ids again is safe.
        """
        lines = [event_line(event) for event in events]
        await self._partitions.ensure({month_of(utc(event.event_time_ms)) for event in events})
        async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT) as connection, connection.transaction():
            duplicates: dict[str, int] = {}
            if events:
                fresh = await self._insert_ids(connection, events)
                if fresh is not None:
                    pairs = list(zip(events, lines, strict=True))
                    lines = [line for event, line in pairs if key_of(event) in fresh]
                    known = [event for event in events if key_of(event) not in fresh]
                    # An id that leaves the ledger at this very moment was known all the same: its event is not stored.
                    duplicates = {key_of(event): event.fingerprint for event in known}
                    duplicates |= await self._stored_fingerprints(connection, known)
            if lines:
                await copy_lines(connection, lines)
            if bad_rows:
                await connection.copy_records_to_table(
                    "bad_rows", records=[_bad_row(row) for row in bad_rows], columns=_BAD_ROW_COLUMNS
                )
        return duplicates

    def forget_partitions(self) -> None:
        """See `Partitions.forget`."""
        self._partitions.forget()

    async def _insert_ids(self, connection: Connection, events: Sequence[Event]) -> set[str] | None:
        """The keys that are new; None = all are."""
        fresh: list[str] | None = await connection.fetchval(
            _INSERT_IDS,
            [event.tenant_id for event in events],
            [event.event_id for event in events],
            utc(events[0].received_at_ms).date(),
            [event.fingerprint for event in events],
            len(events),
        )
        return None if fresh is None else set(fresh)

    async def _stored_fingerprints(self, connection: Connection, events: list[Event]) -> dict[str, int]:
        records: list[asyncpg.Record] = await connection.fetch(
            _SELECT_FINGERPRINTS, [event.tenant_id for event in events], [event.event_id for event in events]
        )
        return {record["key"]: record["fingerprint"] for record in records}


def is_missing_partition(error: BaseException) -> bool:
    """True when a month's partition is gone, which PostgreSQL reports as a check violation of no constraint."""
    return isinstance(error, asyncpg.CheckViolationError) and not error.constraint_name


def _bad_row(row: BadRow) -> tuple[Any, ...]:
    """In the order of _BAD_ROW_COLUMNS."""
    return (
        row.tenant_id,
        utc(row.received_at_ms),
        row.code,
        row.field,
        row.message,
        row.sdk,
        row.event_id,
        row.body,
        row.truncated,
        row.replay_of or None,
    )
