"""The queue's tables are the library's own, of the release that is installed."""

import re
from importlib import resources

import asyncpg
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.queries import Queries

from obc_worker.queue_schema import QUEUE_SETTINGS, install_sql


def statements(sql: str) -> str:
    """Without comment lines, which name the release."""
    return re.sub(r"(?m)^--.*\n", "", sql).strip()


def test_the_migration_is_what_the_library_installs() -> None:
    migration = (resources.files("obc_migrations") / "sql" / "0005_job_queue.sql").read_text()

    assert statements(migration) == statements(install_sql())


async def test_the_library_finds_nothing_to_upgrade(database: str) -> None:
    connection = await asyncpg.connect(database, timeout=10)
    try:
        plan = await Queries(AsyncpgDriver(connection), QueryBuilderEnvironment(QUEUE_SETTINGS)).plan_upgrade()
    finally:
        await connection.close()

    assert list(plan.statements) == []
