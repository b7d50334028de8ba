"""Tenants with the rules in force and the live keys: what watchers are told."""

from __future__ import annotations

from collections import defaultdict

from obc_common.postgres import Connection
from obc_tenant_config.model import ApiKey, Tenant, TenantView
from obc_tenant_config.store.config_rows import version_of
from obc_tenant_config.store.key_rows import list_live_keys
from obc_tenant_config.store.timestamps import to_ms


async def load_tenant_views(connection: Connection, tenant_ids: list[str] | None, now_ms: int) -> list[TenantView]:
    """Some tenants as they are now; None = all."""
    rows = await connection.fetch(
        """SELECT t.name, t.created_at AS tenant_created_at, t.own_partition, c.*
           FROM tenants t
           CROSS JOIN LATERAL (
               SELECT tenant_id, version, config, created_at, created_by FROM tenant_configs
               WHERE tenant_id = t.id ORDER BY version DESC LIMIT 1
           ) c
           WHERE $1::uuid[] IS NULL OR t.id = ANY ($1)
           ORDER BY t.id""",
        tenant_ids,
    )
    keys: defaultdict[str, list[ApiKey]] = defaultdict(list)
    for key in await list_live_keys(connection, tenant_ids, now_ms):
        keys[key.tenant_id].append(key)
    views = []
    for row in rows:
        version = version_of(row)
        tenant = Tenant(version.tenant_id, row["name"], to_ms(row["tenant_created_at"]), row["own_partition"])
        views.append(TenantView(tenant, version, tuple(keys[version.tenant_id])))
    return views
