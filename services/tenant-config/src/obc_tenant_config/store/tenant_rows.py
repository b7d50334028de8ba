"""The table `tenants`."""

from __future__ import annotations

import asyncpg

from obc_common.postgres import Connection
from obc_tenant_config.model import Tenant
from obc_tenant_config.store.timestamps import to_ms, to_timestamp


async def insert_tenant(connection: Connection, tenant: Tenant) -> bool:
    """Adds a tenant. False when its id is taken."""
    status = await connection.execute(
        """INSERT INTO tenants (id, name, created_at, own_partition) VALUES ($1, $2, $3, false)
           ON CONFLICT (id) DO NOTHING""",
        tenant.tenant_id,
        tenant.name,
        to_timestamp(tenant.created_at_ms),
    )
    return status == "INSERT 0 1"


async def give_own_partition(connection: Connection, tenant_id: str) -> None:
    """Gives a tenant event partitions of its own; its existing events move there."""
    await connection.execute("SELECT obc_give_own_partition($1)", tenant_id)


async def find_tenant(connection: Connection, tenant_id: str) -> Tenant | None:
    """One tenant."""
    row = await connection.fetchrow("SELECT id, name, created_at, own_partition FROM tenants WHERE id = $1", tenant_id)
    return None if row is None else tenant_of(row)


async def list_tenants_after(connection: Connection, after_id: str | None, limit: int) -> list[Tenant]:
    """Tenants by id, after one of them."""
    rows = await connection.fetch(
        """SELECT id, name, created_at, own_partition FROM tenants
           WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2""",
        after_id,
        limit,
    )
    return [tenant_of(row) for row in rows]


async def list_tenant_ids(connection: Connection) -> list[str]:
    """The ids of all tenants, in order."""
    return [str(row["id"]) for row in await connection.fetch("SELECT id FROM tenants ORDER BY id")]


def tenant_of(row: asyncpg.Record) -> Tenant:
    """A row as a tenant."""
    return Tenant(str(row["id"]), row["name"], to_ms(row["created_at"]), row["own_partition"])
