"""PostgreSQL that crashes forgets transaction ids that left no trace on its disk, and gives them out again."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from obc_dev.servers.ports import free_ports
from obc_dev.servers.postgres import PostgresServer
from obc_migrations.runner import migrate
from obc_query.warehouse import Warehouse
from tests.support.read_model import open_read_model
from tests.support.stored_events import Stored, ensure_partitions, insert_events

NOW = 1_760_000_000_000
# What nobody waits for reaches the disk late, so that the moment in which a crash forgets it is long.
_SETTINGS = {"wal_writer_delay": "10s"}


class _CrashingPostgres(PostgresServer):
    def crash(self) -> None:
        """Ends every process of it at once: what is not on the disk is gone."""
        assert self._process is not None
        parent = psutil.Process(self._process.pid)
        for process in (parent, *parent.children(recursive=True)):
            process.kill()
        self.kill()


@pytest.fixture
def own_postgres(server_folder: Path) -> Iterator[_CrashingPostgres]:
    """A PostgreSQL that may be crashed."""
    [port] = free_ports(1)
    server = _CrashingPostgres(
        server_folder / f"postgres-{port}", port, server_folder / f"postgres-{port}.log", _SETTINGS
    )
    try:
        server.start()
        yield server
    finally:
        server.stop()


async def test_events_written_under_ids_that_come_again_are_copied_too(
    own_postgres: _CrashingPostgres, warehouse: Warehouse, tenant_id: str
) -> None:
    # given an event that is copied while transactions behind it have been rolled back
    dsn = own_postgres.dsn()
    await migrate(dsn)
    first, second = Stored(NOW), Stored(NOW + 1)
    await insert_events(dsn, tenant_id, [first])
    await _roll_back(dsn, 5)
    async with open_read_model(warehouse, dsn) as read_model:
        await read_model.catch_up()
        generation = read_model.freshness.version(tenant_id).partition(".")[0]

    # when PostgreSQL crashes, and the next event gets an id that had been given out before
    own_postgres.crash()
    own_postgres.start()
    connection = await asyncpg.connect(dsn)
    await ensure_partitions(connection, [second])
    await connection.close()
    await insert_events(dsn, tenant_id, [second])

    # then it is copied, once, and nothing was copied anew
    async with open_read_model(warehouse, dsn) as read_model:
        await read_model.catch_up()
        rows = read_model.rows("SELECT event_id FROM events")
        assert sorted(str(row[0]) for row in rows) == sorted(str(event.event_id) for event in (first, second))
        assert read_model.freshness.version(tenant_id).partition(".")[0] == generation


async def _roll_back(dsn: str, transactions: int) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for _ in range(transactions):
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute("INSERT INTO tenants (id, name) VALUES ($1, 'rolled back')", uuid.uuid4())
            await transaction.rollback()
    finally:
        await connection.close()
