"""The table `config_changes` and the notification that goes with each row: what watchers follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from obc_common.postgres import Connection

CHANNEL: Final = "obc_config"

ChangeKind = Literal["tenant", "issuers", "operator_keys"]


@dataclass(frozen=True, slots=True)
class Change:
    """One announced change: which tenant, or which of the two sets that belong to none."""

    revision: int
    kind: ChangeKind
    tenant_id: str


async def insert_change(connection: Connection, kind: ChangeKind, tenant_id: str) -> int:
    """Announces a change and answers its revision. To be the last thing that a transaction does.

    The lock is held until the commit is visible, so a revision is never seen before a smaller one; taken last, it is
    held shortly, and no transaction that waits for it holds up one that has it.
    """
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('obc_config_changes', 0))")
    revision: int = await connection.fetchval(
        "INSERT INTO config_changes (kind, tenant_id) VALUES ($1, $2) RETURNING revision", kind, tenant_id or None
    )
    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, str(revision))
    return revision


async def revision_range(connection: Connection) -> tuple[int, int]:
    """The oldest revision that is left (the worker forgets those of past days) and the newest; 0 = there is none."""
    row = await connection.fetchrow(
        "SELECT coalesce(min(revision), 0) AS oldest, coalesce(max(revision), 0) AS newest FROM config_changes"
    )
    assert row is not None
    return row["oldest"], row["newest"]


async def list_changes_after(connection: Connection, revision: int, limit: int) -> list[Change]:
    """Changes after a revision, in order."""
    rows = await connection.fetch(
        "SELECT revision, kind, tenant_id FROM config_changes WHERE revision > $1 ORDER BY revision LIMIT $2",
        revision,
        limit,
    )
    return [
        Change(row["revision"], row["kind"], "" if row["tenant_id"] is None else str(row["tenant_id"])) for row in rows
    ]
