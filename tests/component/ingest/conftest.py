"""One ingest service on one database for each test module, with a real TenantConfig and a real Redis."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from obc_dev.servers.ports import free_ports
from obc_dev.servers.postgres import PostgresServer
from obc_dev.servers.redis import RedisServer
from tests.support.ingest import Ingest, running_ingest
from tests.support.tenant_config import TenantConfig, running_tenant_config


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
def own_postgres(server_folder: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL of the test's own, to be stopped and started."""
    [port] = free_ports(1)
    folder = server_folder / f"postgres-{port}"
    server = PostgresServer(folder, port, server_folder / f"postgres-{port}.log", {"shared_buffers": "32MB"})
    try:
        server.start()
        yield server
    finally:
        server.stop()
