"""What is saved is held apart by PostgreSQL itself, needs its scope, and is never written by a question."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

from obc.query.v1 import saved_service_pb2 as pb
from obc_common.errors import DomainError, Unavailable
from obc_common.postgres import Pool, tenant_transaction, tenant_write_transaction
from obc_query.saved.store import lock_tenant
from obc_query.warehouse import Warehouse
from tests.support.query_service import QueryService, principal, run_query_service
from tests.support.saved import SavedDesk

TABLES = ("saved_items", "saved_versions")


@pytest.mark.parametrize("table", TABLES)
async def test_line_45_without_a_tenant_or_with_another_no_row_is_seen(
    saved: SavedDesk, pool: Pool, table: str
) -> None:
    await saved.insight("A")
    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0
    for named, count in (("", 0), (str(uuid.uuid4()), 0), (saved.tenant_id, 1)):
        async with tenant_transaction(pool, named, readonly=True) as connection:
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == count


@pytest.mark.parametrize("table", TABLES)
async def test_another_tenants_rows_can_be_neither_written_nor_removed(
    saved: SavedDesk, pool: Pool, table: str
) -> None:
    await saved.insight("A")
    async with tenant_write_transaction(pool, str(uuid.uuid4())) as connection:
        assert await connection.execute(f"DELETE FROM {table}") == "DELETE 0"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with tenant_write_transaction(pool, str(uuid.uuid4())) as connection:
            await connection.execute(
                "INSERT INTO saved_items (tenant_id, id, type, kind, name_key, version, created_at, created_by)"
                " VALUES ($1, gen_random_uuid(), 'insight', 'k', 'n', 1, now(), '')",
                uuid.UUID(saved.tenant_id),
            )


async def test_only_a_transaction_that_says_so_writes(saved: SavedDesk, pool: Pool) -> None:
    await saved.insight("A")
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with tenant_transaction(pool, saved.tenant_id) as connection:
            await connection.execute("DELETE FROM saved_items")
    # and the next user of the connection is read-only again
    async with tenant_write_transaction(pool, saved.tenant_id) as connection:
        assert await connection.fetchval("SELECT current_setting('transaction_read_only')") == "off"
    async with tenant_transaction(pool, saved.tenant_id) as connection:
        assert await connection.fetchval("SELECT current_setting('transaction_read_only')") == "on"


async def test_a_database_that_is_away_is_try_again(saved: SavedDesk, pool: Pool) -> None:
    pool.terminate()
    with pytest.raises(Unavailable) as refused:
        await saved.insight("A")
    assert refused.value.reason == "DATABASE_UNAVAILABLE"


async def test_a_tenant_whose_writes_wait_leaves_the_connections_to_the_others(saved: SavedDesk, pool: Pool) -> None:
    # given a tenant whose lock somebody holds, and more writes of it than there are connections
    async with tenant_write_transaction(pool, saved.tenant_id) as connection:
        await lock_tenant(connection, uuid.UUID(saved.tenant_id))
        waiting = [asyncio.create_task(saved.insight(f"A{number}")) for number in range(10)]
        # when another tenant saves
        other = saved.of(str(uuid.uuid4()))
        for number in range(3):
            await asyncio.wait_for(other.insight(f"B{number}"), 3)
        assert not any(task.done() for task in waiting)
    # then it does, and the others do once they may
    assert len(await asyncio.gather(*waiting)) == 10


@pytest.fixture
async def service(warehouse: Warehouse, database: str, redis_url: str) -> AsyncIterator[QueryService]:
    async with run_query_service(warehouse, database, redis_url) as running:
        yield running


async def test_the_scope_query_is_needed_and_enough(service: QueryService, tenant_id: str) -> None:
    request = pb.CreateSavedInsightRequest(name="A", kind="sessions")
    made = await service.saved.call("CreateSavedInsight", request, principal=principal(tenant_id), timeout=10)
    assert isinstance(made, pb.CreateSavedInsightResponse)
    assert (made.insight.created_by, made.insight.request_json) == ("test", b"{}")
    for scopes in ("ingest", "config", "export"):
        for method, message in (
            ("CreateSavedInsight", request),
            ("ListSavedInsights", pb.ListSavedInsightsRequest()),
            ("GetSavedInsight", pb.GetSavedInsightRequest(insight_id=made.insight.insight_id)),
        ):
            with pytest.raises(DomainError) as refused:
                await service.saved.call(method, message, principal=principal(tenant_id, scopes), timeout=10)
            assert refused.value.reason == "SCOPE_MISSING"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "BAD_JSON"),
        (b"[]", "NOT_OBJECT"),
        (b'{"x": "\xff"}', "BAD_ENCODING"),
        (b'{"a":' * 600 + b"1" + b"}" * 600, "UNKNOWN_FIELD"),
    ],
)
async def test_bytes_that_are_no_request_are_refused_over_grpc(
    service: QueryService, tenant_id: str, body: bytes, reason: str
) -> None:
    request = pb.CreateSavedInsightRequest(name="A", kind="sessions", request_json=body)
    with pytest.raises(DomainError) as refused:
        await service.saved.call("CreateSavedInsight", request, principal=principal(tenant_id), timeout=10)
    assert (refused.value.reason, refused.value.field.partition(".")[0]) == (reason, "request")
