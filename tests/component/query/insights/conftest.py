"""A desk that answers insights. Histories are tenants of their own, so the tests of a module share it."""

from collections.abc import AsyncIterator

import pytest

from obc_query.warehouse import Warehouse
from tests.support.insights import InsightDesk, open_desk
from tests.support.read_model import open_read_model


@pytest.fixture(scope="module")
async def desk(warehouse_url: str, module_database: str, request: pytest.FixtureRequest) -> AsyncIterator[InsightDesk]:
    """Stores events and asks about them."""
    warehouse = Warehouse(warehouse_url, request.module.__name__.rpartition(".")[2])
    warehouse.create_database()
    async with open_read_model(warehouse, module_database) as model:
        desk = open_desk(model)
        yield desk
        desk.handle.command(f"DROP DATABASE {warehouse.database} SYNC")
        desk.handle.close()
