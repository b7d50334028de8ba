"""Deadline, memory, cancellation and a tenant's share."""

import asyncio
import time
import uuid

import pytest

from obc_common.errors import DeadlineExceeded, DomainError, Internal, ResourceExhausted
from obc_query.admission import TenantGate
from obc_query.statement import Binder, Events, Select, Statement
from tests.support.eventually import eventually
from tests.support.read_model import ReadModel
from tests.support.stored_events import Stored

NOW = 1_760_000_000_000
MONTH = 31 * 86_400_000


def statement(tenant_id: str, column: str) -> Statement:
    return Statement(tenant_id, "test", Select([column], Events()), Binder())


@pytest.fixture
async def filled(read_model: ReadModel, tenant_id: str) -> ReadModel:
    await read_model.store(tenant_id, [Stored(NOW - n * MONTH) for n in range(60)])
    return read_model


def slow(tenant_id: str) -> Statement:
    """Many seconds of work in many small blocks."""
    # One row a partition is one row a block; each is a fraction of a second's work.
    work = "sum(arraySum(arrayMap(x -> sipHash64(x, event_id) % 3, range(10000000 + toUInt8(user_id = '')))))"
    return statement(tenant_id, work)


async def test_a_statement_ends_at_its_deadline(filled: ReadModel, tenant_id: str) -> None:
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded) as ended:
        await filled.engine.fetch(slow(tenant_id), timeout=0.5)
    assert ended.value.reason == "QUERY_TIMEOUT"
    assert time.monotonic() - started < 3


async def test_a_statement_over_the_memory_cap_is_refused(filled: ReadModel, tenant_id: str) -> None:
    with pytest.raises(ResourceExhausted) as refused:
        await filled.engine.fetch(
            statement(tenant_id, "length(groupArray(range(100000000 + toUInt8(user_id = ''))))"), timeout=20
        )
    assert refused.value.reason == "QUERY_TOO_HEAVY"


async def test_an_answer_says_what_the_engine_read_for_it(filled: ReadModel, tenant_id: str) -> None:
    answer = await filled.engine.fetch(statement(tenant_id, "sum(length(person))"), timeout=5)
    assert (len(answer.rows), answer.rows_read) == (1, 60)
    assert answer.bytes_read >= 60 * 16  # a tenant is 16 bytes


async def test_an_error_of_the_engine_is_not_echoed(filled: ReadModel, tenant_id: str) -> None:
    with pytest.raises(Internal) as failed:
        await filled.engine.fetch(statement(tenant_id, "no_such_function_of_ours(1)"), timeout=5)
    assert failed.value.reason == "QUERY_FAILED"
    assert "no_such" not in failed.value.message


async def test_a_cancelled_statement_is_killed(filled: ReadModel, tenant_id: str) -> None:
    def running() -> int:
        rows = filled.rows("SELECT count() FROM system.processes WHERE startsWith(Settings['log_comment'], 'obc:')")
        return int(rows[0][0])

    task = asyncio.create_task(filled.engine.fetch(slow(tenant_id), timeout=20))
    await eventually(running)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: running() == 0, timeout=5)


async def test_other_tenants_are_answered_while_two_are_heavy(filled: ReadModel, tenant_id: str) -> None:
    async def heavy(tenant: str) -> None:
        async with filled.asking(tenant) as asker:
            await asker.fetch_all([slow(tenant)] * 4)

    second = str(uuid.uuid4())
    await filled.store(second, [Stored(NOW - n * MONTH) for n in range(60)])
    tasks = [asyncio.create_task(heavy(tenant)) for tenant in (tenant_id, second) for _ in range(2)]
    await asyncio.sleep(0)
    # Each of the two wants twice as many handles as there are.
    other = str(uuid.uuid4())
    async with filled.asking(other) as asker:
        assert (await asker.fetch(statement(other, "count()")))[0][0] == 0
    assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_too_many_questions_of_one_tenant_are_refused_and_of_another_not() -> None:
    gate = TenantGate(questions=2)
    with gate.question("a"), gate.question("a"):
        with pytest.raises(DomainError) as refused, gate.question("a"):
            pass
        assert refused.value.reason == "TENANT_BUSY"
        assert refused.value.retry_after
        with gate.question("b"):
            pass
    with gate.question("a"):
        pass
