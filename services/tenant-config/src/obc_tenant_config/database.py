"""Transactions of this service: one tenant's calls are confined to it by row-level security."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from obc_common.postgres import Connection, Pool, all_tenants_transaction, map_postgres_error, tenant_transaction
from obc_tenant_config.model import Reach


class Database:
    """Opens transactions on a pool; what PostgreSQL raises in them becomes a DomainError."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def transaction(self, reach: Reach, *, readonly: bool = False) -> AsyncIterator[Connection]:
        """A transaction that sees the reach's tenant, or every tenant for operators."""
        if reach.confined:
            opened = tenant_transaction(self._pool, reach.tenant_id, readonly=readonly)
        else:
            opened = all_tenants_transaction(self._pool, readonly=readonly)
        async with _domain_errors(), opened as connection:
            yield connection

    @asynccontextmanager
    async def suite_transaction(self, *, readonly: bool = False) -> AsyncIterator[Connection]:
        """A transaction of the suite itself, which sees every tenant."""
        async with _domain_errors(), all_tenants_transaction(self._pool, readonly=readonly) as connection:
            yield connection


@asynccontextmanager
async def _domain_errors() -> AsyncIterator[None]:
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise map_postgres_error(error) from error
