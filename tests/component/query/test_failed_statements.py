"""What a failed or killed statement had written of its answer is nobody else's.

The embedded engine keeps the rows that a statement wrote before it failed, and puts them in front of the next answer of
the same client, which may be another tenant's.
"""

import asyncio
import random
import uuid

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError

from obc_common.errors import DeadlineExceeded
from obc_query.statement import Binder, Events, Select, Statement
from obc_query.warehouse import Warehouse
from tests.support.read_model import ReadModel
from tests.support.stored_events import Stored

NOW = 1_760_000_000_000


def people(tenant_id: str) -> Statement:
    return Statement(tenant_id, "test", Select(["person"], Events(), order_by=["person"]), Binder())


def test_rows_of_a_statement_that_failed_on_the_way_are_not_in_the_next_answer(warehouse: Warehouse) -> None:
    handle = warehouse.connect()
    failing = "SELECT number, throwIf(number = 150000) FROM numbers(200000)"
    for _ in range(2):
        with pytest.raises(ClickHouseError):
            handle.query(failing, settings={"max_block_size": 1000, "max_threads": 1})
        assert handle.query("SELECT 7, 1") == [(7, 1)]
    handle.close()


async def test_a_statement_past_its_deadline_leaves_nothing_to_the_next_tenant(read_model: ReadModel) -> None:
    large, small = str(uuid.uuid4()), str(uuid.uuid4())
    await read_model.store(large, [Stored(NOW + n, user=f"large{n}") for n in range(2_000)])
    await read_model.store(small, [Stored(NOW, user="small")])
    # One row a block, and each takes a millisecond: it is ended in the middle of its answer.
    slow = Select(["person", "sleepEachRow(0.001)"], Events())
    for _ in range(3):
        with pytest.raises(DeadlineExceeded):
            await read_model.engine.fetch(Statement(large, "test", slow, Binder()), timeout=0.3)
        for _ in range(4):  # every handle
            assert (await read_model.engine.fetch(people(small), timeout=10)).rows == [("small",)]


async def test_callers_that_go_away_leave_nothing_to_other_tenants(read_model: ReadModel) -> None:
    tenants = {str(uuid.uuid4()): number for number in range(1, 6)}
    for tenant_id, number in tenants.items():
        await read_model.store(tenant_id, [Stored(NOW + n, user=f"{number}-{n}") for n in range(number * 20)])
    dice = random.Random(1)
    for _ in range(300):
        gone, (tenant_id, number) = dice.choice(list(tenants)), dice.choice(list(tenants.items()))
        leaving = asyncio.create_task(read_model.engine.fetch(people(gone), timeout=10))
        for _ in range(dice.randrange(4)):
            await asyncio.sleep(dice.choice([0, 0.001]))
        leaving.cancel()

        rows = (await read_model.engine.fetch(people(tenant_id), timeout=10)).rows

        assert sorted(row[0] for row in rows) == sorted(f"{number}-{n}" for n in range(number * 20))
        await asyncio.gather(leaving, return_exceptions=True)
