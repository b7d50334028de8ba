"""The whole product as real processes, started once for all end-to-end tests."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from obc_dev.servers.ports import free_ports
from obc_dev.servers.redis import RedisServer
from tests.support.product import Product, Tenant
from tests.support.stack_process import StackProcess

_SETTINGS = {
    "ANALYTICS_LOG_LEVEL": "warning",
    # The real data is of 2024.
    "ANALYTICS_MAX_EVENT_AGE_DAYS": "3650",
    "ANALYTICS_DEDUP_WINDOW_DAYS": "3650",
    "ANALYTICS_RETENTION_DAYS": "3650",
    "ANALYTICS_PROCESSING_INTERVAL": "1",
    "ANALYTICS_READ_MODEL_RETENTION_SECONDS": "2",
    # Limits have tests of their own; here they would only slow the others down.
    "ANALYTICS_INGEST_RATE_PER_SECOND": "1000000",
    "ANALYTICS_INGEST_BURST": "1000000",
    "ANALYTICS_API_RATE_PER_SECOND": "10000",
    "ANALYTICS_API_BURST": "10000",
    "ANALYTICS_AUTH_FAILURE_BURST": "100000",
}


_LOG_CHARACTERS = 6000


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Puts the end of the processes' log beside a failure: the reason is often there."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, StackProcess):
        report.sections.append(("log of the stack", stack.log()[-_LOG_CHARACTERS:]))
    return report


@pytest.fixture(scope="session")
def product_redis(server_folder: Path) -> Iterator[RedisServer]:
    """The product's Redis; a test may stop it if it starts it again."""
    [port] = free_ports(1)
    server = RedisServer(server_folder / "product-redis", port, server_folder / "product-redis.log")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def stack(server_folder: Path, product_redis: RedisServer) -> Iterator[StackProcess]:
    """The processes of the product."""
    stack = StackProcess(server_folder / "product", {**_SETTINGS, "ANALYTICS_REDIS_URL": product_redis.url})
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def product(stack: StackProcess) -> Product:
    """The product, ready to be used."""
    demo = stack.state.read_demo_env()
    return Product(
        url=demo["OBC_URL"],
        ingest_address=demo["OBC_GRPC_INGEST"],
        operator_key=demo["OBC_OPERATOR_KEY"],
        database_url=f"postgresql://postgres@127.0.0.1:{stack.ports['ANALYTICS_DEV_POSTGRES_PORT']}/analytics",
    )


@pytest.fixture
async def tenant(product: Product) -> Tenant:
    """A tenant of the test's own."""
    return await product.new_tenant()
