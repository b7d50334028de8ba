"""Deciding about links by hand: a device's events without a user stay its own, or are its user's again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID
from weakref import WeakValueDictionary

from obc_common.clock import Clock
from obc_common.errors import FailedPrecondition
from obc_common.postgres import Connection, Pool, as_domain_errors, tenant_transaction, tenant_write_transaction
from obc_query.identity import store
from obc_query.identity.store import Decision, Verdict
from obc_query.identity.unlinked import UnlinkedDevices

MOST_OF_A_DEVICE = 100


@dataclass(frozen=True, slots=True)
class LinkDecisions:
    """The decisions of all tenants.

    Attributes:
        limit: how many devices of a tenant may be unlinked.
        pool: of a role that may write them.
        unlinked: told of what is decided.
        clock: time.
    """

    limit: int
    pool: Pool
    unlinked: UnlinkedDevices
    clock: Clock
    _turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary, init=False)

    async def of_device(self, tenant_id: str, anonymous_id: str) -> list[Decision]:
        """What was decided about a device, the newest first."""
        async with as_domain_errors(), tenant_transaction(self.pool, tenant_id, readonly=True) as connection:
            return await store.of_device(connection, UUID(tenant_id), anonymous_id)

    async def list_unlinked(self, tenant_id: str, after: str, limit: int) -> Sequence[Decision]:
        """A page of the devices that are unlinked, each with its newest decision."""
        async with as_domain_errors(), tenant_transaction(self.pool, tenant_id, readonly=True) as connection:
            return await store.list_unlinked(connection, UUID(tenant_id), after, limit)

    async def devices(self, tenant_id: str) -> list[str]:
        """The devices that something was decided about."""
        async with as_domain_errors(), tenant_transaction(self.pool, tenant_id, readonly=True) as connection:
            return await store.devices(connection, UUID(tenant_id))

    async def forget(self, tenant_id: str, anonymous_ids: Sequence[str]) -> None:
        """Deletes all decisions about devices."""
        async with self._writing(tenant_id) as (connection, tenant):
            await store.forget(connection, tenant, anonymous_ids)

    async def decide(self, tenant_id: str, anonymous_id: str, verdict: Verdict, by: str) -> list[Decision]:
        """Decides, unless it is so already; all decisions about the device, the newest first.

        Raises:
            FailedPrecondition: TOO_MANY_UNLINKED_DEVICES of the tenant, or TOO_MANY_DECISIONS about the device. What
                was unlinked can always be linked again.
        """
        async with self._writing(tenant_id) as (connection, tenant):
            decisions = await store.of_device(connection, tenant, anonymous_id)
            if verdict == (decisions[0].verdict if decisions else "link"):
                return decisions
            if verdict == "unlink":
                await self._require_room(connection, tenant, decisions)
            decision = Decision(anonymous_id, verdict, self.clock.now_ms(), by)
            await store.insert(connection, tenant, decision)
            return [decision, *decisions]

    async def _require_room(self, connection: Connection, tenant: UUID, decisions: Sequence[Decision]) -> None:
        if len(decisions) >= MOST_OF_A_DEVICE:
            raise FailedPrecondition(
                "TOO_MANY_DECISIONS",
                f"a device that was decided about {MOST_OF_A_DEVICE} times stays as its events say",
                field="anonymous_id",
                metadata={"limit": str(MOST_OF_A_DEVICE)},
            )
        if await store.count_unlinked(connection, tenant) >= self.limit:
            raise FailedPrecondition(
                "TOO_MANY_UNLINKED_DEVICES",
                f"a tenant has at most {self.limit} unlinked devices",
                metadata={"limit": str(self.limit)},
            )

    @asynccontextmanager
    async def _writing(self, tenant_id: str) -> AsyncIterator[tuple[Connection, UUID]]:
        # The writes of a tenant wait for each other here, not in PostgreSQL: there each would hold a connection.
        turn = self._turns.setdefault(tenant_id, asyncio.Lock())
        try:
            async with as_domain_errors(), turn, tenant_write_transaction(self.pool, tenant_id) as connection:
                await store.lock_tenant(connection, UUID(tenant_id))
                yield connection, UUID(tenant_id)
        finally:
            # Also after a failure: whether a commit came through may be unknown.
            self.unlinked.decided(tenant_id)
