"""Tenants: made by operators, never deleted here."""

from __future__ import annotations

from obc_common.clock import Clock
from obc_common.errors import AlreadyExists
from obc_common.ids import uuid7
from obc_common.postgres import Connection
from obc_tenant_config.access import canonical_tenant_id, tenant_not_found
from obc_tenant_config.analytics_config import AnalyticsConfig, ConfigVersion, check
from obc_tenant_config.changes import Changes
from obc_tenant_config.database import Database
from obc_tenant_config.model import Reach, Tenant
from obc_tenant_config.names import checked_name
from obc_tenant_config.paging import Page, Pager
from obc_tenant_config.store import config_rows, tenant_rows


class Tenants:
    """What can be done with tenants.

    Args:
        database: where they are.
        changes: records what is done.
        clock: time.
        page_secret: signs page tokens.
        default_config: the rules that a new tenant begins with.
    """

    def __init__(
        self, database: Database, changes: Changes, clock: Clock, page_secret: str, default_config: AnalyticsConfig
    ) -> None:
        check(default_config)
        self._database = database
        self._changes = changes
        self._clock = clock
        self._page_secret = page_secret
        self._default_config = default_config

    async def create(self, reach: Reach, name: str, tenant_id: str, *, own_partition: bool) -> Tenant:
        """Makes a tenant with default rules. With an id, a repeated call answers the tenant that is there.

        Raises:
            InvalidArgument: BAD_NAME or BAD_TENANT_ID.
            AlreadyExists: TENANT_EXISTS, under another name or with other partitions.
        """
        now = self._clock.now_ms()
        new_id = canonical_tenant_id(tenant_id) if tenant_id else str(uuid7(now))
        tenant = Tenant(new_id, checked_name(name, required=True), now, own_partition)
        async with self._database.transaction(reach) as connection:
            await self._changes.begin(connection, new_id)
            if await tenant_rows.insert_tenant(connection, tenant):
                await self._set_up(connection, reach, tenant)
                return tenant
            existing = await tenant_rows.find_tenant(connection, new_id)
        if existing is None or (existing.name, existing.own_partition) != (tenant.name, tenant.own_partition):
            raise AlreadyExists("TENANT_EXISTS", "there is another tenant with this id", field="tenant_id")
        return existing

    async def get(self, reach: Reach) -> Tenant:
        """One tenant. Raises NotFound(TENANT_NOT_FOUND)."""
        async with self._database.transaction(reach, readonly=True) as connection:
            tenant = await tenant_rows.find_tenant(connection, reach.tenant_id)
        if tenant is None:
            raise tenant_not_found()
        return tenant

    async def list(self, reach: Reach, page_size: int, page_token: str) -> Page[Tenant]:
        """A page of all tenants, by id."""
        pager = Pager(self._page_secret, "ListTenants", page_size, page_token)
        async with self._database.transaction(reach, readonly=True) as connection:
            rows = await tenant_rows.list_tenants_after(connection, pager.position, pager.limit)
        return pager.page(rows, lambda tenant: tenant.tenant_id)

    async def _set_up(self, connection: Connection, reach: Reach, tenant: Tenant) -> None:
        first = ConfigVersion(tenant.tenant_id, 1, self._default_config, tenant.created_at_ms, reach.actor.name)
        await config_rows.insert_version(connection, first)
        if tenant.own_partition:
            await tenant_rows.give_own_partition(connection, tenant.tenant_id)
        await self._changes.record(
            connection,
            chain=tenant.tenant_id,
            actor=reach.actor,
            action="tenant.create",
            target=tenant.tenant_id,
            details={"name": tenant.name, "own_partition": tenant.own_partition},
            announce="tenant",
        )
