"""The table `tenant_configs`: one row per version, never changed."""

from __future__ import annotations

import asyncpg

from obc_common.postgres import Connection
from obc_tenant_config.analytics_config import AnalyticsConfig, ConfigVersion
from obc_tenant_config.store.timestamps import to_ms, to_timestamp

_COLUMNS = "tenant_id, version, config, created_at, created_by"


async def insert_version(connection: Connection, version: ConfigVersion) -> None:
    """Adds a version."""
    await connection.execute(
        """INSERT INTO tenant_configs (tenant_id, version, config, created_at, created_by)
           VALUES ($1, $2, $3, $4, $5)""",
        version.tenant_id,
        version.version,
        version.config.to_json(),
        to_timestamp(version.created_at_ms),
        version.created_by,
    )


async def find_newest_version(connection: Connection, tenant_id: str) -> ConfigVersion | None:
    """The version in force; None = no such tenant."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM tenant_configs WHERE tenant_id = $1 ORDER BY version DESC LIMIT 1",  # noqa: S608  # a constant
        tenant_id,
    )
    return None if row is None else version_of(row)


async def find_version(connection: Connection, tenant_id: str, version: int) -> ConfigVersion | None:
    """One version."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM tenant_configs WHERE tenant_id = $1 AND version = $2",  # noqa: S608  # a constant
        tenant_id,
        version,
    )
    return None if row is None else version_of(row)


async def list_versions_before(
    connection: Connection, tenant_id: str, before: int | None, limit: int
) -> list[ConfigVersion]:
    """Versions, newest first, before one of them."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM tenant_configs
            WHERE tenant_id = $1 AND ($2::bigint IS NULL OR version < $2)
            ORDER BY version DESC LIMIT $3""",  # noqa: S608  # a constant
        tenant_id,
        before,
        limit,
    )
    return [version_of(row) for row in rows]


def version_of(row: asyncpg.Record) -> ConfigVersion:
    """A row as a version."""
    return ConfigVersion(
        tenant_id=str(row["tenant_id"]),
        version=row["version"],
        config=AnalyticsConfig.from_json(row["config"]),
        created_at_ms=to_ms(row["created_at"]),
        created_by=row["created_by"],
    )
