"""The table `api_keys`: fingerprints and rights, never the text of a secret key."""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg

from obc_common.postgres import Connection
from obc_tenant_config.model import ApiKey
from obc_tenant_config.store.timestamps import to_ms, to_timestamp, to_timestamp_or_none

_COLUMNS = (
    "id, tenant_id, kind, name, hint, sha256, scopes, allowed_origins, created_at, expires_at, revoked_at, last_used_at"
)
# An operator key has no tenant; an empty tenant id asks for those.
_OF_OWNER = "tenant_id IS NOT DISTINCT FROM nullif($1, '')::uuid"


async def insert_key(connection: Connection, key: ApiKey) -> None:
    """Adds a key."""
    await connection.execute(
        """INSERT INTO api_keys
               (id, tenant_id, kind, name, hint, sha256, scopes, allowed_origins, created_at, expires_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)""",
        key.key_id,
        key.tenant_id or None,
        key.kind,
        key.name,
        key.hint,
        key.sha256,
        list(key.scopes),
        list(key.allowed_origins),
        to_timestamp(key.created_at_ms),
        to_timestamp_or_none(key.expires_at_ms),
    )


async def find_key(connection: Connection, owner: str, key_id: str) -> ApiKey | None:
    """A key of a tenant, or of the operators when `owner` is empty."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM api_keys WHERE {_OF_OWNER} AND id = $2",  # noqa: S608  # constants
        owner,
        key_id,
    )
    return None if row is None else key_of(row)


async def find_key_by_sha256(connection: Connection, sha256: bytes) -> ApiKey | None:
    """The key with a fingerprint, whoever's, live or not."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM api_keys WHERE sha256 = $1", sha256)  # noqa: S608  # a constant
    return None if row is None else key_of(row)


async def list_keys_before(connection: Connection, owner: str, before_id: str | None, limit: int) -> list[ApiKey]:
    """Keys, newest first (their ids begin with the time), before one of them."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM api_keys WHERE {_OF_OWNER} AND ($2::uuid IS NULL OR id < $2)
            ORDER BY id DESC LIMIT $3""",  # noqa: S608  # constants
        owner,
        before_id,
        limit,
    )
    return [key_of(row) for row in rows]


async def count_live_keys(connection: Connection, owner: str, now_ms: int) -> int:
    """How many keys are neither revoked nor expired."""
    count: int = await connection.fetchval(
        f"""SELECT count(*) FROM api_keys
            WHERE {_OF_OWNER} AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)""",  # noqa: S608  # a constant
        owner,
        to_timestamp(now_ms),
    )
    return count


async def list_live_keys(connection: Connection, tenant_ids: list[str] | None, now_ms: int) -> list[ApiKey]:
    """Keys that are neither revoked nor expired of some tenants; None = of all, with the operators' keys."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM api_keys
            WHERE ($1::uuid[] IS NULL OR tenant_id = ANY ($1))
              AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
            ORDER BY id""",  # noqa: S608  # a constant
        tenant_ids,
        to_timestamp(now_ms),
    )
    return [key_of(row) for row in rows]


async def list_live_operator_keys(connection: Connection, now_ms: int) -> list[ApiKey]:
    """Operator keys that are neither revoked nor expired."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM api_keys
            WHERE tenant_id IS NULL AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)
            ORDER BY id""",  # noqa: S608  # a constant
        to_timestamp(now_ms),
    )
    return [key_of(row) for row in rows]


async def set_expiry(connection: Connection, key_id: str, expires_at_ms: int) -> None:
    """Lets a key end at a moment."""
    await connection.execute("UPDATE api_keys SET expires_at = $2 WHERE id = $1", key_id, to_timestamp(expires_at_ms))


async def set_revoked(connection: Connection, key_id: str, revoked_at_ms: int) -> None:
    """Ends a key."""
    await connection.execute("UPDATE api_keys SET revoked_at = $2 WHERE id = $1", key_id, to_timestamp(revoked_at_ms))


async def move_last_used_forward(connection: Connection, uses: Mapping[str, int]) -> None:
    """Notes uses (key id -> unix milliseconds). A later use stays; unknown ids are ignored."""
    await connection.execute(
        # Rows are locked in the order of their ids, or two replicas that report at once could deadlock.
        """WITH uses AS (SELECT * FROM unnest($1::uuid[], $2::timestamptz[]) AS uses (id, at)),
                locked AS (SELECT id FROM api_keys WHERE id IN (SELECT id FROM uses) ORDER BY id FOR UPDATE)
           UPDATE api_keys SET last_used_at = greatest(api_keys.last_used_at, uses.at)
           FROM uses JOIN locked USING (id) WHERE api_keys.id = uses.id""",
        list(uses.keys()),
        [to_timestamp(at_ms) for at_ms in uses.values()],
    )


def key_of(row: asyncpg.Record) -> ApiKey:
    """A row as a key."""
    return ApiKey(
        key_id=str(row["id"]),
        tenant_id="" if row["tenant_id"] is None else str(row["tenant_id"]),
        kind=row["kind"],
        name=row["name"],
        hint=row["hint"],
        sha256=row["sha256"],
        scopes=tuple(row["scopes"]),
        allowed_origins=tuple(row["allowed_origins"]),
        created_at_ms=to_ms(row["created_at"]),
        expires_at_ms=to_ms(row["expires_at"]),
        revoked_at_ms=to_ms(row["revoked_at"]),
        last_used_at_ms=to_ms(row["last_used_at"]),
    )
