"""The schema's migrations, on a real PostgreSQL."""

import asyncio
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from obc_migrations.runner import Migration, MigrationError, load_migrations, migrate


def _migration(version: int, sql: str) -> Migration:
    return Migration(version, f"step_{version}", sql, sha256=f"sum of {sql}")


async def _tables(dsn: str) -> set[str]:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    finally:
        await connection.close()
    return {row["tablename"] for row in rows}


async def test_an_empty_database_gets_every_migration_and_a_second_run_nothing(empty_database: str) -> None:
    applied = await migrate(empty_database)
    again = await migrate(empty_database)

    assert [migration.version for migration in applied] == list(range(1, len(load_migrations()) + 1))
    assert again == ()
    assert {"tenants", "analytics_events", "event_ids", "schema_migrations"} <= await _tables(empty_database)


@pytest.mark.parametrize("version", range(1, len(load_migrations())))
async def test_every_migration_applies_on_top_of_the_previous_one(empty_database: str, version: int) -> None:
    await migrate(empty_database, load_migrations()[:version])

    applied = await migrate(empty_database, load_migrations()[: version + 1])

    assert [migration.version for migration in applied] == [version + 1]


async def test_many_migrating_at_once_apply_each_file_once(empty_database: str) -> None:
    answers = await asyncio.gather(*(migrate(empty_database) for _ in range(4)))

    assert sorted(len(answer) for answer in answers) == [0, 0, 0, len(load_migrations())]


async def test_a_changed_file_is_refused_by_name(empty_database: str) -> None:
    first = _migration(1, "CREATE TABLE one (x int)")
    await migrate(empty_database, [first])

    with pytest.raises(MigrationError, match=r"0001_step_1\.sql was changed after it was applied"):
        await migrate(empty_database, [replace(first, sha256="another")])


async def test_a_database_newer_than_the_program_is_refused(empty_database: str) -> None:
    await migrate(empty_database, [_migration(1, "SELECT 1"), _migration(2, "SELECT 1")])

    with pytest.raises(MigrationError, match="newer than this program"):
        await migrate(empty_database, [_migration(1, "SELECT 1")])


async def test_a_failing_file_leaves_no_trace_and_the_files_before_it_stay(empty_database: str) -> None:
    good, bad = _migration(1, "CREATE TABLE one (x int)"), _migration(2, "CREATE TABLE two (x int); SELECT 1/0")

    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_database, [good, bad])

    assert await _tables(empty_database) == {"schema_migrations", "one"}


@pytest.mark.parametrize("names", [["1_x.sql"], ["0001_a.sql", "0003_b.sql"], ["0001_a.sql", "0001_b.sql"]])
def test_a_bad_name_a_gap_and_a_number_used_twice_are_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1")

    with pytest.raises(MigrationError):
        load_migrations(tmp_path)
