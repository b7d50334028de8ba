"""A process logs in as somebody and takes a role; the role's own settings must hold for it all the same."""

import asyncpg
import pytest

from obc_common.postgres import create_pool, is_connection_failure


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("obc_ingest", {"synchronous_commit": "on", "statement_timeout": "30s"}),
        ("obc_query", {"default_transaction_read_only": "on", "statement_timeout": "15s"}),
        ("obc_projector", {"default_transaction_read_only": "on", "idle_in_transaction_session_timeout": "2min"}),
        ("obc_tenant_config", {"idle_in_transaction_session_timeout": "30s", "statement_timeout": "15s"}),
    ],
)
async def test_a_role_that_is_taken_brings_its_limits(database: str, role: str, expected: dict[str, str]) -> None:
    pool = await create_pool(database, role=role, name="test", max_size=1)
    try:
        # when a connection was used and given back, which resets it
        for _ in range(2):
            async with pool.acquire() as connection:
                found = {name: await connection.fetchval("SELECT current_setting($1)", name) for name in expected}
                # then
                assert found == expected
                assert await connection.fetchval("SELECT current_user::text") == role
    finally:
        await pool.close()


async def test_a_global_edit_does_not_weaken_the_commits_of_ingest(database: str) -> None:
    # given somebody who switches synchronous commit off for everybody
    admin = await asyncpg.connect(database)
    name = await admin.fetchval("SELECT current_database()")
    try:
        await admin.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
        # when ingest connects
        pool = await create_pool(database, role="obc_ingest", name="test")
        try:
            # then its own commits still wait for the disk
            assert await pool.fetchval("SELECT current_setting('synchronous_commit')") == "on"
        finally:
            await pool.close()
    finally:
        await admin.close()


def test_a_session_ended_for_standing_still_is_the_databases_doing() -> None:
    assert is_connection_failure(asyncpg.IdleInTransactionSessionTimeoutError("ended"))
