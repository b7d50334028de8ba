"""A database that does not keep what it commits is not used."""

import pytest

from obc_common.postgres import create_pool
from obc_ingest.durability import DurabilityCheck, NotDurable
from tests.support.tenant_config import connected


@pytest.mark.parametrize(
    ("harm", "undo", "said"),
    [
        (
            # Of the whole database it would change nothing: the role's own setting wins.
            "ALTER ROLE obc_ingest SET synchronous_commit = off",
            "ALTER ROLE obc_ingest SET synchronous_commit = on",
            "synchronous_commit is off",
        ),
        (
            "ALTER TABLE event_ids_p3 SET UNLOGGED",
            "ALTER TABLE event_ids_p3 SET LOGGED",
            "event_ids_p3",
        ),
    ],
)
async def test_a_database_that_may_lose_what_it_committed_is_refused(
    database: str, harm: str, undo: str, said: str
) -> None:
    async def problem() -> str:
        pool = await create_pool(database, role="obc_ingest", name="test")
        try:
            await DurabilityCheck(pool)()
            return ""
        except NotDurable as error:
            return str(error)
        finally:
            await pool.close()

    async def execute(statement: str) -> None:
        async with connected(database) as connection:
            await connection.execute(statement)

    assert await problem() == ""
    await execute(harm)
    try:
        found = await problem()
    finally:
        await execute(undo)
    assert said in found
    assert await problem() == ""
