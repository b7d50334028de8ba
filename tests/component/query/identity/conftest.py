"""Decisions on a database of the module's; each test has a tenant of its own."""

from collections.abc import AsyncIterator

import pytest

from obc_common.clock import ManualClock
from obc_common.postgres import Pool, create_pool


@pytest.fixture
async def pool(module_database: str) -> AsyncIterator[Pool]:
    """As the Query service has it."""
    pool = await create_pool(module_database, role="obc_query", name="test-query", max_size=6)
    yield pool
    await pool.close()


@pytest.fixture
def clock() -> ManualClock:
    """Time, which stands still."""
    return ManualClock()
