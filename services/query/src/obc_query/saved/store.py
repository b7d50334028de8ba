"""The tables `saved_items` (one row each, changes) and `saved_versions` (one row per version, never changed)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from obc_common.postgres import Connection
from obc_query.moments import moment, unix_ms
from obc_query.saved.model import Content, ItemType, SavedItem

if TYPE_CHECKING:
    import asyncpg

_COLUMNS = """
item.id, item.created_at, item.created_by, item.deleted_at, item.deleted_by, item.insight_ids,
shown.kind, shown.name, shown.description, shown.definition, shown.version, shown.saved_at, shown.saved_by
"""
_JOINED = """
saved_items item JOIN saved_versions shown ON shown.tenant_id = item.tenant_id AND shown.item_id = item.id
"""
_NEWEST = f"SELECT {_COLUMNS} FROM {_JOINED} AND shown.version = item.version WHERE item.tenant_id = $1"  # noqa: S608  # constants
_VERSIONS = f"SELECT {_COLUMNS} FROM {_JOINED} WHERE item.tenant_id = $1 AND item.type = $2 AND item.id = $3"  # noqa: S608  # constants
# Lists leave the definitions of cohorts out, so they are not read: each may be half a megabyte.
_LISTED = (
    "shown.definition,",
    "CASE WHEN item.type = 'cohort' THEN '{}'::json ELSE shown.definition END AS definition,",
)
_PAGE = f"""{_NEWEST.replace(*_LISTED)}
AND item.type = $2 AND (item.deleted_at IS NOT NULL) = $3 AND ($4::text = '' OR item.kind = $4)"""
_BY_NAME = f"""{_PAGE}
AND ($5::text IS NULL OR (item.name_key, item.id) > ($5, $6::uuid)) ORDER BY item.name_key, item.id LIMIT $7"""
_BY_TIME = f"""{_PAGE}
AND ($5::timestamptz IS NULL OR (shown.saved_at, item.id) < ($5, $6::uuid))
ORDER BY shown.saved_at DESC, item.id DESC LIMIT $7"""


@dataclass(frozen=True, slots=True)
class PageQuestion:
    """A page of items.

    Attributes:
        deleted: the deleted ones instead of the living.
        kind: of an insight; empty = any.
        newest_first: by time instead of by name.
        after: sort key and id of the last item before the page; None = from the start. The key is a name's or unix ms.
        limit: rows to read.
    """

    deleted: bool
    kind: str
    newest_first: bool
    after: tuple[str | int, UUID] | None
    limit: int


async def lock_tenant(connection: Connection, tenant_id: UUID) -> None:
    """Makes this the only write of the tenant until the end of the transaction: names, limits and uses are checked."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('obc_saved:' || $1, 0))", str(tenant_id))


async def find(connection: Connection, tenant_id: UUID, item_type: ItemType, item_id: UUID) -> SavedItem | None:
    """The newest version, also of one that is deleted."""
    row = await connection.fetchrow(f"{_NEWEST} AND item.type = $2 AND item.id = $3", tenant_id, item_type, item_id)
    return None if row is None else _item(row)


async def find_version(
    connection: Connection, tenant_id: UUID, item_type: ItemType, item_id: UUID, version: int
) -> SavedItem | None:
    """One version."""
    row = await connection.fetchrow(f"{_VERSIONS} AND shown.version = $4", tenant_id, item_type, item_id, version)
    return None if row is None else _item(row)


async def list_versions(
    connection: Connection, tenant_id: UUID, item_type: ItemType, item_id: UUID, before: int | None, limit: int
) -> list[SavedItem]:
    """Versions, newest first, before one of them."""
    versions = _VERSIONS.replace(*_LISTED)
    sql = f"{versions} AND ($4::bigint IS NULL OR shown.version < $4) ORDER BY shown.version DESC LIMIT $5"
    return [_item(row) for row in await connection.fetch(sql, tenant_id, item_type, item_id, before, limit)]


async def list_items(
    connection: Connection, tenant_id: UUID, item_type: ItemType, question: PageQuestion
) -> list[SavedItem]:
    """A page."""
    key, item_id = question.after or (None, None)
    if question.newest_first and isinstance(key, int):
        arguments: tuple[object, object] = (moment(key), item_id)
    else:
        arguments = (key, item_id)
    sql = _BY_TIME if question.newest_first else _BY_NAME
    rows = await connection.fetch(
        sql, tenant_id, item_type, question.deleted, question.kind, *arguments, question.limit
    )
    return [_item(row) for row in rows]


async def living(
    connection: Connection, tenant_id: UUID, item_type: ItemType, ids: Sequence[UUID]
) -> dict[UUID, SavedItem]:
    """Those of the items that live, by id."""
    rows = await connection.fetch(
        f"{_NEWEST} AND item.type = $2 AND item.deleted_at IS NULL AND item.id = ANY ($3::uuid[])",
        tenant_id,
        item_type,
        list(ids),
    )
    return {row["id"]: _item(row) for row in rows}


async def dashboards_with(connection: Connection, tenant_id: UUID, insight_id: UUID) -> list[UUID]:
    """The living dashboards that show an insight."""
    rows = await connection.fetch(
        """SELECT id FROM saved_items WHERE tenant_id = $1 AND type = 'dashboard' AND deleted_at IS NULL
           AND $2 = ANY (insight_ids) ORDER BY id""",
        tenant_id,
        insight_id,
    )
    return [row["id"] for row in rows]


async def count_living(connection: Connection, tenant_id: UUID, item_type: ItemType) -> int:
    """How many there are."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM saved_items WHERE tenant_id = $1 AND type = $2 AND deleted_at IS NULL",
        tenant_id,
        item_type,
    )
    return count


async def find_living_by_name(
    connection: Connection, tenant_id: UUID, item_type: ItemType, name_key: str
) -> UUID | None:
    """Who has a name."""
    item_id: UUID | None = await connection.fetchval(
        "SELECT id FROM saved_items WHERE tenant_id = $1 AND type = $2 AND deleted_at IS NULL AND name_key = $3",
        tenant_id,
        item_type,
        name_key,
    )
    return item_id


async def insert_item(
    connection: Connection, tenant_id: UUID, item_type: ItemType, item_id: UUID, content: Content, at_ms: int, by: str
) -> None:
    """Adds an item and its first version."""
    await connection.execute(
        """INSERT INTO saved_items (tenant_id, id, type, kind, name_key, version, insight_ids, created_at, created_by)
           VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8)""",
        tenant_id,
        item_id,
        item_type,
        content.kind,
        content.name_key,
        list(content.insights),
        moment(at_ms),
        by,
    )
    await _insert_version(connection, tenant_id, item_id, 1, content, at_ms, by)


async def add_version(
    connection: Connection, tenant_id: UUID, item_id: UUID, version: int, content: Content, at_ms: int, by: str
) -> None:
    """Makes a version the newest."""
    await _insert_version(connection, tenant_id, item_id, version, content, at_ms, by)
    await connection.execute(
        """UPDATE saved_items SET kind = $3, name_key = $4, version = $5, insight_ids = $6
           WHERE tenant_id = $1 AND id = $2""",
        tenant_id,
        item_id,
        content.kind,
        content.name_key,
        version,
        list(content.insights),
    )


async def forget_versions(connection: Connection, tenant_id: UUID, item_id: UUID, up_to: int) -> None:
    """Removes the oldest versions."""
    await connection.execute(
        "DELETE FROM saved_versions WHERE tenant_id = $1 AND item_id = $2 AND version <= $3", tenant_id, item_id, up_to
    )


async def set_deleted(
    connection: Connection, tenant_id: UUID, item_id: UUID, at_ms: int | None, by: str | None
) -> None:
    """Deletes an item, or (None) restores it."""
    await connection.execute(
        "UPDATE saved_items SET deleted_at = $3, deleted_by = $4 WHERE tenant_id = $1 AND id = $2",
        tenant_id,
        item_id,
        moment(at_ms),
        by,
    )


async def forget_deleted(connection: Connection, tenant_id: UUID, item_type: ItemType, keep: int) -> None:
    """Removes the deleted items for good, all but those that were deleted last."""
    await connection.execute(
        """DELETE FROM saved_items WHERE tenant_id = $1 AND id IN (
               SELECT id FROM saved_items WHERE tenant_id = $1 AND type = $2 AND deleted_at IS NOT NULL
               ORDER BY deleted_at DESC, id DESC OFFSET $3)""",
        tenant_id,
        item_type,
        keep,
    )


async def _insert_version(
    connection: Connection, tenant_id: UUID, item_id: UUID, version: int, content: Content, at_ms: int, by: str
) -> None:
    await connection.execute(
        """INSERT INTO saved_versions
               (tenant_id, item_id, version, kind, name, description, definition, saved_at, saved_by)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)""",
        tenant_id,
        item_id,
        version,
        content.kind,
        content.name,
        content.description,
        content.definition.decode(),
        moment(at_ms),
        by,
    )


def _item(row: "asyncpg.Record") -> SavedItem:
    return SavedItem(
        id=row["id"],
        kind=row["kind"],
        name=row["name"],
        description=row["description"],
        definition=row["definition"].encode(),
        version=row["version"],
        created_at_ms=unix_ms(row["created_at"]),
        created_by=row["created_by"],
        saved_at_ms=unix_ms(row["saved_at"]),
        saved_by=row["saved_by"],
        deleted_at_ms=unix_ms(row["deleted_at"]) if row["deleted_at"] else 0,
        deleted_by=row["deleted_by"] or "",
        insight_ids=tuple(row["insight_ids"]),
    )
