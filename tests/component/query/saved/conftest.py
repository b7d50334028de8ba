"""A desk that saves, on a database of the module's; each test has a tenant of its own."""

import uuid
from collections.abc import AsyncIterator

import pytest

from obc_common.clock import SystemClock
from obc_common.postgres import Pool, create_pool
from tests.support.saved import SavedDesk, open_saved_desk


@pytest.fixture
async def pool(module_database: str) -> AsyncIterator[Pool]:
    """As the Query service has it."""
    pool = await create_pool(module_database, role="obc_query", name="test-query", max_size=6)
    yield pool
    await pool.close()


@pytest.fixture
def saved(pool: Pool) -> SavedDesk:
    """A tenant's saved things."""
    return open_saved_desk(pool, SystemClock(), str(uuid.uuid4()))
