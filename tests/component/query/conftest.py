"""The read model in tests: one embedded engine for the session (one path a process), a database for each test."""

import itertools
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from obc_query.warehouse import Warehouse
from tests.support.read_model import ReadModel, open_read_model

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def warehouse_url() -> Iterator[str]:
    """The session's embedded engine."""
    with tempfile.TemporaryDirectory(prefix="obc-warehouse-", ignore_cleanup_errors=True) as folder:
        yield f"chdb://{Path(folder) / 'store'}"


@pytest.fixture
def warehouse(warehouse_url: str) -> Iterator[Warehouse]:
    """A database of the test's own in the engine, empty."""
    warehouse = Warehouse(warehouse_url, f"test_{next(_numbers)}")
    warehouse.create_database()
    yield warehouse
    handle = warehouse.connect()
    handle.command(f"DROP DATABASE IF EXISTS {warehouse.database} SYNC")
    handle.close()


@pytest.fixture
async def read_model(warehouse: Warehouse, database: str) -> AsyncIterator[ReadModel]:
    """The read model over a database of the test's own, filled by `catch_up`."""
    async with open_read_model(warehouse, database) as model:
        yield model


@pytest.fixture
def tenant_id() -> str:
    """A tenant of the test's own."""
    return str(uuid.uuid4())
