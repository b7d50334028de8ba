"""A real ingest service with a real TenantConfig for each test module, and write keys for it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from obc_dev.servers.redis import RedisServer
from obc_gateway.app import build
from obc_gateway.settings import Settings
from tests.support.ingest import Ingest, running_ingest
from tests.support.tenant_config import SECRET, TenantConfig, running_tenant_config

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


@pytest.fixture(scope="module")
async def gateway_port(ingest: Ingest, shared_redis: RedisServer) -> AsyncIterator[int]:
    """A gateway before the module's services; the query service is not there, and not needed."""
    settings = Settings(
        port=0,
        admin_port=None,
        internal_secret=SECRET,
        redis_url=shared_redis.url,
        ingest_address=f"127.0.0.1:{ingest.server.port}",
        query_address="127.0.0.1:1",
        tenant_config_address=ingest.tenant_config.address,
        drain_delay_seconds=0,
        drain_grace_seconds=5,
    )
    async with build(settings) as gateway:
        yield gateway.port


@pytest.fixture(autouse=True)
def no_surprises(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Delivery goes on after a bug of its own, and logs it: that must not hide one from the tests."""
    yield
    surprises = [record for record in caplog.get_records("call") if record.name == "obc_analytics"]
    assert [record.getMessage() for record in surprises if "unexpectedly" in record.getMessage()] == []
