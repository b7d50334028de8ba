"""A real ingest service with a real TenantConfig for each test module, and write keys for it."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from obc_dev.servers.redis import RedisServer
from tests.support.ingest import Ingest, running_ingest
from tests.support.tenant_config import TenantConfig, running_tenant_config

MakeKey = Callable[[str], Awaitable[str]]


@pytest.fixture(scope="module")
async def tenant_config(module_database: str) -> AsyncIterator[TenantConfig]:
    """The module's TenantConfig."""
    async with running_tenant_config(module_database) as running:
        yield running


@pytest.fixture(scope="module")
async def ingest(module_database: str, shared_redis: RedisServer, tenant_config: TenantConfig) -> AsyncIterator[Ingest]:
    """The module's ingest service; tests make tenants of their own."""
    async with running_ingest(module_database, shared_redis.url, tenant_config) as running:
        yield running


@pytest.fixture
def write_key(tenant_config: TenantConfig) -> MakeKey:
    """Makes write keys of tenants."""

    async def make(tenant_id: str) -> str:
        return (await tenant_config.make_key(tenant_id, "write")).secret

    return make
