"""The audit log, read and verified."""

from __future__ import annotations

from obc_tenant_config.access import tenant_not_found
from obc_tenant_config.audit_chain import AuditEntry, ChainVerdict, verify_chain
from obc_tenant_config.database import Database
from obc_tenant_config.model import OPERATORS_CHAIN, Reach
from obc_tenant_config.paging import Page, Pager
from obc_tenant_config.store import audit_rows, tenant_rows


class AuditLog:
    """What can be done with the audit log: nothing that changes it.

    Args:
        database: where it is.
        page_secret: signs page tokens.
    """

    def __init__(self, database: Database, page_secret: str) -> None:
        self._database = database
        self._page_secret = page_secret

    async def list(self, reach: Reach, page_size: int, page_token: str) -> Page[AuditEntry]:
        """A page of a chain, newest first. Raises NotFound(TENANT_NOT_FOUND)."""
        pager = Pager(self._page_secret, f"ListAuditEntries/{reach.chain}", page_size, page_token)
        async with self._database.transaction(reach, readonly=True) as connection:
            if reach.tenant_id and await tenant_rows.find_tenant(connection, reach.tenant_id) is None:
                raise tenant_not_found()
            rows = await audit_rows.list_entries_before(connection, reach.chain, pager.position, pager.limit)
        return pager.page(rows, lambda entry: entry.seq)

    async def verify(self, reach: Reach) -> ChainVerdict:
        """Recomputes a chain. Raises NotFound(TENANT_NOT_FOUND)."""
        async with self._database.transaction(reach, readonly=True) as connection:
            if reach.tenant_id and await tenant_rows.find_tenant(connection, reach.tenant_id) is None:
                raise tenant_not_found()
            return await verify_chain(audit_rows.read_chain(connection, reach.chain))

    async def verify_all(self) -> dict[str, ChainVerdict]:
        """Recomputes every chain: the operators', then each tenant's."""
        async with self._database.suite_transaction(readonly=True) as connection:
            chains = [OPERATORS_CHAIN, *await tenant_rows.list_tenant_ids(connection)]
            return {chain: await verify_chain(audit_rows.read_chain(connection, chain)) for chain in chains}
