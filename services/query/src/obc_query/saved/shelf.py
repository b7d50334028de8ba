"""What can be done with the saved things of one type: make, find, change, delete, restore. Versions never change."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID
from weakref import WeakValueDictionary

from obc_common.clock import Clock
from obc_common.errors import Aborted, AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from obc_common.ids import uuid7
from obc_common.postgres import Connection, Pool, as_domain_errors, tenant_transaction, tenant_write_transaction
from obc_query.cohorts.use import unknown_cohort
from obc_query.saved import store
from obc_query.saved.model import Content, ItemType, SavedItem, name_key
from obc_query.saved.store import PageQuestion

KEPT_VERSIONS = 1000
KEPT_DELETED = 1000
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Shelf:
    """The saved things of one type, of all tenants.

    Attributes:
        item_type: which type.
        limit: how many of them a tenant may have; deleted ones do not count.
        pool: of a role that may write them.
        clock: time.
    """

    item_type: ItemType
    limit: int
    pool: Pool
    clock: Clock
    _turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary, init=False)

    async def create(self, tenant_id: str, content: Content, by: str) -> SavedItem:
        """Saves something new.

        Raises:
            FailedPrecondition: TOO_MANY_INSIGHTS, TOO_MANY_DASHBOARDS or TOO_MANY_COHORTS.
            AlreadyExists: NAME_TAKEN.
            InvalidArgument: UNKNOWN_INSIGHT on the tile, UNKNOWN_COHORT where the request names it.
        """
        async with self._writing(tenant_id) as (connection, tenant):
            await self._require_room(connection, tenant)
            await self._require_name(connection, tenant, content.name_key, None)
            await _require_named(connection, tenant, content)
            now_ms = self.clock.now_ms()
            item_id = uuid7(now_ms)
            await store.insert_item(connection, tenant, self.item_type, item_id, content, now_ms, by)
            return await self._any(connection, tenant, item_id)

    async def get(self, tenant_id: str, item_id: str, version: int) -> tuple[SavedItem, list[SavedItem]]:
        """A living item in one version (0 = the newest, then with the insights that its tiles show).

        Raises:
            NotFound: INSIGHT_NOT_FOUND, DASHBOARD_NOT_FOUND, COHORT_NOT_FOUND or VERSION_NOT_FOUND.
            InvalidArgument: BAD_VERSION.
        """
        async with self._reading(tenant_id) as (connection, tenant):
            newest = await self._living(connection, tenant, item_id)
            if version == 0:
                insights = await store.living(connection, tenant, "insight", newest.insight_ids)
                return newest, [insights[insight_id] for insight_id in newest.insight_ids if insight_id in insights]
            if version < 1:
                raise InvalidArgument("BAD_VERSION", "versions count from 1", field="version")
            found = await store.find_version(connection, tenant, self.item_type, newest.id, version)
            if found is None:
                raise NotFound("VERSION_NOT_FOUND", "there is no such version", metadata={"version": str(version)})
            return found, []

    async def list_page(self, tenant_id: str, question: PageQuestion) -> list[SavedItem]:
        """A page of items."""
        async with self._reading(tenant_id) as (connection, tenant):
            return await store.list_items(connection, tenant, self.item_type, question)

    async def list_versions(self, tenant_id: str, item_id: str, before: int | None, limit: int) -> list[SavedItem]:
        """A page of a living item's versions, newest first. Raises NotFound."""
        async with self._reading(tenant_id) as (connection, tenant):
            item = await self._living(connection, tenant, item_id)
            return await store.list_versions(connection, tenant, self.item_type, item.id, before, limit)

    async def update(self, tenant_id: str, item_id: str, expected_version: int, content: Content, by: str) -> SavedItem:
        """Makes a new version.

        Raises:
            InvalidArgument: VERSION_REQUIRED, UNKNOWN_INSIGHT or UNKNOWN_COHORT.
            Aborted: VERSION_CONFLICT, somebody made another version in between.
            NotFound: INSIGHT_NOT_FOUND, DASHBOARD_NOT_FOUND or COHORT_NOT_FOUND.
            AlreadyExists: NAME_TAKEN.
        """
        async with self._writing(tenant_id) as (connection, tenant):
            newest = await self._living(connection, tenant, item_id)
            if expected_version == 0:
                raise InvalidArgument("VERSION_REQUIRED", "say which version was changed", field="expected_version")
            _require_version(newest, expected_version)
            await self._require_name(connection, tenant, content.name_key, newest.id)
            await _require_named(connection, tenant, content)
            version = newest.version + 1
            await store.add_version(connection, tenant, newest.id, version, content, self.clock.now_ms(), by)
            await store.forget_versions(connection, tenant, newest.id, version - KEPT_VERSIONS)
            return await self._any(connection, tenant, newest.id)

    async def delete(self, tenant_id: str, item_id: str, expected_version: int, by: str) -> SavedItem:
        """Deletes an item; it can be restored. `expected_version` 0 = any.

        Raises:
            Aborted: VERSION_CONFLICT.
            NotFound: INSIGHT_NOT_FOUND, DASHBOARD_NOT_FOUND or COHORT_NOT_FOUND.
            FailedPrecondition: INSIGHT_IN_USE, a dashboard shows it.
        """
        async with self._writing(tenant_id) as (connection, tenant):
            newest = await self._living(connection, tenant, item_id)
            if expected_version != 0:
                _require_version(newest, expected_version)
            # A cohort is in no tiles: who asks about it later is told that it is gone.
            if users := await store.dashboards_with(connection, tenant, newest.id):
                raise FailedPrecondition(
                    "INSIGHT_IN_USE",
                    f"{len(users)} dashboards show it; take its tile out of them first",
                    metadata={"dashboards": ",".join(map(str, users[:_MOST_NAMED]))},
                )
            await store.set_deleted(connection, tenant, newest.id, self.clock.now_ms(), by)
            await store.forget_deleted(connection, tenant, self.item_type, KEPT_DELETED)
            return await self._any(connection, tenant, newest.id)

    async def restore(self, tenant_id: str, item_id: str) -> SavedItem:
        """Takes a deletion back; nothing happens to what lives.

        Raises:
            NotFound: INSIGHT_NOT_FOUND, DASHBOARD_NOT_FOUND or COHORT_NOT_FOUND: it never was, or is gone for good.
            FailedPrecondition: TOO_MANY_INSIGHTS, TOO_MANY_DASHBOARDS, TOO_MANY_COHORTS, or INSIGHT_DELETED: a tile
                shows one that is.
            AlreadyExists: NAME_TAKEN.
        """
        async with self._writing(tenant_id) as (connection, tenant):
            item = await self._any(connection, tenant, self._uuid(item_id))
            if item.deleted_at_ms == 0:
                return item
            await self._require_room(connection, tenant)
            await self._require_name(connection, tenant, name_key(item.name), item.id)
            living = await store.living(connection, tenant, "insight", item.insight_ids)
            if missing := [insight_id for insight_id in item.insight_ids if insight_id not in living]:
                raise FailedPrecondition(
                    "INSIGHT_DELETED",
                    f"{len(missing)} insights of its tiles are deleted; restore them first",
                    metadata={"insights": ",".join(map(str, missing[:_MOST_NAMED]))},
                )
            await store.set_deleted(connection, tenant, item.id, None, None)
            return await self._any(connection, tenant, item.id)

    async def _any(self, connection: Connection, tenant: UUID, item_id: UUID) -> SavedItem:
        item = await store.find(connection, tenant, self.item_type, item_id)
        if item is None:
            raise self._not_found()
        return item

    async def _living(self, connection: Connection, tenant: UUID, item_id: str) -> SavedItem:
        item = await self._any(connection, tenant, self._uuid(item_id))
        if item.deleted_at_ms:
            raise self._not_found()
        return item

    def _uuid(self, item_id: str) -> UUID:
        try:
            return UUID(item_id)
        except ValueError:
            raise self._not_found() from None

    def _not_found(self) -> NotFound:
        return NotFound(f"{self.item_type.upper()}_NOT_FOUND", f"there is no such saved {self.item_type}")

    async def _require_room(self, connection: Connection, tenant: UUID) -> None:
        if await store.count_living(connection, tenant, self.item_type) >= self.limit:
            raise FailedPrecondition(
                f"TOO_MANY_{self.item_type.upper()}S",
                f"a tenant has at most {self.limit} saved {self.item_type}s",
                metadata={"limit": str(self.limit)},
            )

    async def _require_name(self, connection: Connection, tenant: UUID, key: str, own_id: UUID | None) -> None:
        holder = await store.find_living_by_name(connection, tenant, self.item_type, key)
        if holder not in (None, own_id):
            raise AlreadyExists(
                "NAME_TAKEN",
                f"another saved {self.item_type} has this name",
                field="name",
                metadata={f"{self.item_type}_id": str(holder)},
            )

    @asynccontextmanager
    async def _reading(self, tenant_id: str) -> AsyncIterator[tuple[Connection, UUID]]:
        async with as_domain_errors(), tenant_transaction(self.pool, tenant_id, readonly=True) as connection:
            yield connection, UUID(tenant_id)

    @asynccontextmanager
    async def _writing(self, tenant_id: str) -> AsyncIterator[tuple[Connection, UUID]]:
        # The writes of a tenant wait for each other here, not in PostgreSQL: there each would hold a connection.
        turn = self._turns.setdefault(tenant_id, asyncio.Lock())
        async with as_domain_errors(), turn, tenant_write_transaction(self.pool, tenant_id) as connection:
            await store.lock_tenant(connection, UUID(tenant_id))
            yield connection, UUID(tenant_id)


def _require_version(newest: SavedItem, expected: int) -> None:
    if expected != newest.version:
        raise Aborted(
            "VERSION_CONFLICT",
            f"the newest version is {newest.version}",
            field="expected_version",
            metadata={"version": str(newest.version)},
        )


async def _require_named(connection: Connection, tenant: UUID, content: Content) -> None:
    """What the content names must live."""
    insights = await store.living(connection, tenant, "insight", list(content.insights)) if content.insights else {}
    for insight_id, request_field in content.insights.items():
        if insight_id not in insights:
            raise InvalidArgument("UNKNOWN_INSIGHT", "there is no such saved insight", field=request_field)
    cohorts = await store.living(connection, tenant, "cohort", list(content.cohorts)) if content.cohorts else {}
    for cohort_id, request_field in content.cohorts.items():
        if cohort_id not in cohorts:
            raise unknown_cohort(request_field)
