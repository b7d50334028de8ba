"""The table `audit_log`: rows are added, never changed; the service's role can do nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg

from obc_common.postgres import Connection
from obc_tenant_config.audit_chain import AuditEntry
from obc_tenant_config.store.timestamps import to_ms, to_timestamp

_COLUMNS = "tenant_id, seq, at, actor, action, target, details, correlation_id, prev_hash, hash"
_ROWS_AT_ONCE = 500


async def lock_chain(connection: Connection, chain: str) -> None:
    """Makes this transaction the only one that adds to a chain, until it ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('obc_audit:' || $1::text, 0))", chain)


async def find_head(connection: Connection, chain: str) -> tuple[int, bytes]:
    """Number and hash of a chain's last row; (0, empty) when it has none."""
    row = await connection.fetchrow(
        "SELECT seq, hash FROM audit_log WHERE tenant_id = $1 ORDER BY seq DESC LIMIT 1", chain
    )
    return (0, b"") if row is None else (row["seq"], row["hash"])


async def insert_entry(connection: Connection, entry: AuditEntry) -> None:
    """Adds a row."""
    await connection.execute(
        f"INSERT INTO audit_log ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",  # noqa: S608  # a constant
        entry.chain,
        entry.seq,
        to_timestamp(entry.at_ms),
        entry.actor,
        entry.action,
        entry.target,
        entry.details,
        entry.correlation_id,
        entry.prev_hash,
        entry.hash,
    )


async def list_entries_before(
    connection: Connection, chain: str, before_seq: int | None, limit: int
) -> list[AuditEntry]:
    """Rows, newest first, before one of them."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM audit_log WHERE tenant_id = $1 AND ($2::bigint IS NULL OR seq < $2)
            ORDER BY seq DESC LIMIT $3""",  # noqa: S608  # a constant
        chain,
        before_seq,
        limit,
    )
    return [_entry_of(row) for row in rows]


async def read_chain(connection: Connection, chain: str) -> AsyncIterator[AuditEntry]:
    """All rows of a chain in order, a few hundred at a time."""
    after = 0
    while True:
        rows = await connection.fetch(
            f"SELECT {_COLUMNS} FROM audit_log WHERE tenant_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",  # noqa: S608  # a constant
            chain,
            after,
            _ROWS_AT_ONCE,
        )
        for row in rows:
            yield _entry_of(row)
        if len(rows) < _ROWS_AT_ONCE:
            return
        after = rows[-1]["seq"]


def _entry_of(row: asyncpg.Record) -> AuditEntry:
    return AuditEntry(
        chain=str(row["tenant_id"]),
        seq=row["seq"],
        at_ms=to_ms(row["at"]),
        actor=row["actor"],
        action=row["action"],
        target=row["target"],
        details=row["details"],
        correlation_id=row["correlation_id"],
        prev_hash=row["prev_hash"],
        hash=row["hash"],
    )
