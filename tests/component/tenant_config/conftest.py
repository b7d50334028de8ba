"""One service on one database for each test module."""

from collections.abc import AsyncIterator

import pytest

from tests.support.tenant_config import TenantConfig, running_tenant_config


@pytest.fixture(scope="module")
async def service(module_database: str) -> AsyncIterator[TenantConfig]:
    """A running service; its database is shared by the tests of a module, so each makes tenants of its own."""
    async with running_tenant_config(module_database) as running:
        yield running
