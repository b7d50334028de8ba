"""The table `link_decisions`: a row for each decision about a device, never changed. The newest of a device counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from obc_common.postgres import Connection
from obc_query.moments import moment, unix_ms

Verdict = Literal["unlink", "link"]

_NEWEST = """
SELECT DISTINCT ON (anonymous_id) anonymous_id, decision, decided_at, decided_by FROM link_decisions
WHERE tenant_id = $1 ORDER BY anonymous_id, seq DESC
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about a device, when (unix milliseconds) and by whom."""

    anonymous_id: str
    verdict: Verdict
    at_ms: int
    by: str


async def lock_tenant(connection: Connection, tenant_id: UUID) -> None:
    """Makes this the only write of the tenant until the end of the transaction."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('obc_links:' || $1, 0))", str(tenant_id))


async def insert(connection: Connection, tenant_id: UUID, decision: Decision) -> None:
    """Adds a decision."""
    await connection.execute(
        """INSERT INTO link_decisions (tenant_id, anonymous_id, decision, decided_at, decided_by)
           VALUES ($1, $2, $3, $4, $5)""",
        tenant_id,
        decision.anonymous_id,
        decision.verdict,
        moment(decision.at_ms),
        decision.by,
    )


async def of_device(connection: Connection, tenant_id: UUID, anonymous_id: str) -> list[Decision]:
    """What was decided about a device, the newest first."""
    rows = await connection.fetch(
        """SELECT anonymous_id, decision, decided_at, decided_by FROM link_decisions
           WHERE tenant_id = $1 AND anonymous_id = $2 ORDER BY seq DESC""",
        tenant_id,
        anonymous_id,
    )
    return [Decision(row[0], row[1], unix_ms(row[2]), row[3]) for row in rows]


async def newest_number(connection: Connection, tenant_id: UUID) -> int:
    """The number of the tenant's newest decision; 0 = there is none. It only ever changes with the decisions."""
    number: int | None = await connection.fetchval(
        "SELECT max(seq) FROM link_decisions WHERE tenant_id = $1", tenant_id
    )
    return number or 0


async def count_unlinked(connection: Connection, tenant_id: UUID) -> int:
    """How many devices are unlinked."""
    count: int = await connection.fetchval(
        f"SELECT count(*) FROM ({_NEWEST}) newest WHERE decision = 'unlink'",  # noqa: S608  # constants
        tenant_id,
    )
    return count


async def unlinked(connection: Connection, tenant_id: UUID) -> tuple[str, ...]:
    """The devices that are unlinked, by their ids."""
    rows = await connection.fetch(
        f"SELECT anonymous_id FROM ({_NEWEST}) newest WHERE decision = 'unlink' ORDER BY anonymous_id",  # noqa: S608  # constants
        tenant_id,
    )
    return tuple(row[0] for row in rows)


async def list_unlinked(connection: Connection, tenant_id: UUID, after: str, limit: int) -> Sequence[Decision]:
    """A page of them with the decisions, of the devices behind one ('' = from the start)."""
    rows = await connection.fetch(
        f"""SELECT * FROM ({_NEWEST}) newest
            WHERE decision = 'unlink' AND anonymous_id > $2 ORDER BY anonymous_id LIMIT $3""",  # noqa: S608  # constants
        tenant_id,
        after,
        limit,
    )
    return [Decision(row[0], row[1], unix_ms(row[2]), row[3]) for row in rows]


async def devices(connection: Connection, tenant_id: UUID) -> list[str]:
    """The devices that something was decided about."""
    rows = await connection.fetch(
        "SELECT DISTINCT anonymous_id FROM link_decisions WHERE tenant_id = $1 ORDER BY anonymous_id", tenant_id
    )
    return [row[0] for row in rows]


async def forget(connection: Connection, tenant_id: UUID, anonymous_ids: Sequence[str]) -> None:
    """Deletes all decisions about devices."""
    await connection.execute(
        "DELETE FROM link_decisions WHERE tenant_id = $1 AND anonymous_id = ANY ($2::text[])", tenant_id, anonymous_ids
    )
