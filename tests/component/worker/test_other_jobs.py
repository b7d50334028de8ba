"""Every other job's effect, and that doing it twice does nothing more."""

import uuid
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from obc_common.clock import ManualClock
from tests.support.tenant_config import connected
from tests.support.worker import (
    DAY,
    execute,
    fetch,
    new_tenant,
    open_jobs,
    partitions,
    store_event_ids,
)


async def ids_by_day(dsn: str) -> dict[int, int]:
    """Ids in the ledger by their age in days."""
    rows = await fetch(
        dsn, "SELECT (now() AT TIME ZONE 'UTC')::date - received_day AS age, count(*) FROM event_ids GROUP BY 1"
    )
    return {row["age"]: row["count"] for row in rows}


async def test_partitions_are_made_ahead_and_kept_ahead(database: str) -> None:
    async with open_jobs(database, partition_months_ahead=3) as jobs:
        await jobs.done("partitions_ahead")
        made = await partitions(database)
        await jobs.done("partitions_ahead")

    assert await partitions(database) == made
    [row] = await fetch(
        database, "SELECT to_char(now() AT TIME ZONE 'UTC' + interval '3 months', 'YYYY\"m\"MM') AS last"
    )
    assert len(made) == 4
    assert f"analytics_events_y{row['last']}" in made


async def test_ids_of_the_window_stay_and_older_ones_are_forgotten(database: str) -> None:
    tenant, today = uuid.uuid4(), datetime.now(UTC).date()
    for age in (0, 29, 30, 31, 400):
        await store_event_ids(database, tenant, today - timedelta(days=age), 2000)

    async with open_jobs(database, dedup_window_days=30, worker_ledger_blocks=3) as jobs:
        await jobs.done("old_event_ids")
        assert await ids_by_day(database) == {0: 2000, 29: 2000, 30: 2000}
        # When more comes to be old on the same day, it waits for tomorrow's sweep
        await store_event_ids(database, tenant, today - timedelta(days=40), 10)
        await jobs.done("old_event_ids")
        assert (await ids_by_day(database))[40] == 10


async def test_tomorrow_the_ledger_is_swept_again(database: str) -> None:
    clock = ManualClock(round(datetime.now(UTC).timestamp() * 1000))
    async with open_jobs(database, clock=clock) as jobs:
        await jobs.done("old_event_ids")
        await store_event_ids(database, uuid.uuid4(), datetime.now(UTC).date() - timedelta(days=40), 10)
        clock.advance(86_400)
        await jobs.done("old_event_ids")
    assert await ids_by_day(database) == {}


async def test_a_week_of_ids_is_kept_whatever_is_asked(database: str) -> None:
    today = datetime.now(UTC).date()
    for age in (0, 7, 8):
        await store_event_ids(database, uuid.uuid4(), today - timedelta(days=age), 100)
    async with connected(database, "obc_worker") as connection:
        for part in range(8):
            await connection.fetch("SELECT * FROM obc_purge_event_ids($1, 0, 100000, $2)", part, today + 900 * DAY)
        for part in (-1, 8):
            with pytest.raises(asyncpg.InvalidParameterValueError):
                await connection.fetch("SELECT * FROM obc_purge_event_ids($1, 0, 1, $2)", part, today)

    assert await ids_by_day(database) == {0: 100, 7: 100}


async def store_bad_row(dsn: str, tenant: uuid.UUID, age: timedelta) -> None:
    await execute(
        dsn,
        """INSERT INTO bad_rows (tenant_id, received_at, code, field, message, sdk, event_id, body, truncated)
           VALUES ($1, now() - $2::interval, 'bad_json', '', '', '', '', '', false)""",
        tenant,
        age,
    )


async def test_bad_rows_go_after_their_days_and_never_outlive_events(database: str) -> None:
    short, long = await new_tenant(database, 3), await new_tenant(database, 365)
    for tenant in (short, long):
        for age in (timedelta(hours=1), 3 * DAY, 4 * DAY, 10 * DAY, 11 * DAY):
            # a minute from the boundary, for the database's clock decides
            await store_bad_row(database, tenant, age - timedelta(minutes=1))

    async with open_jobs(database, bad_row_retention_days=10, worker_batch_rows=2) as jobs:
        await jobs.done("expired_bad_rows")
        await jobs.done("expired_bad_rows")

    rows = await fetch(database, "SELECT tenant_id, count(*) FROM bad_rows GROUP BY 1")
    assert {row["tenant_id"]: row["count"] for row in rows} == {short: 2, long: 4}


async def test_old_changes_are_forgotten_from_the_oldest_on_and_the_newest_stays(database: str) -> None:
    for hours in (50, 49, 2, 40):  # the clock went back once
        await execute(
            database,
            "INSERT INTO config_changes (kind, at) VALUES ('issuers', now() - make_interval(hours => $1))",
            hours,
        )
    async with open_jobs(database) as jobs:
        await jobs.done("old_config_changes")
        rows = await fetch(database, "SELECT revision FROM config_changes ORDER BY 1")
        assert [row["revision"] for row in rows] == [3, 4]
        # When all are old
        await execute(database, "UPDATE config_changes SET at = now() - interval '3 days'")
        await jobs.done("old_config_changes")

    rows = await fetch(database, "SELECT revision FROM config_changes")
    assert [row["revision"] for row in rows] == [4]


async def test_the_queue_keeps_two_days_of_its_log(database: str) -> None:
    for days in (0, 1, 3):
        await execute(
            database,
            """INSERT INTO obc_jobs.pgqueuer_log (job_id, status, priority, entrypoint, created)
               SELECT 1, 'successful', 0, 'x', now() - make_interval(days => $1) FROM generate_series(1, 5)""",
            days,
        )
        await execute(
            database,
            """INSERT INTO obc_jobs.pgqueuer_statistics (count, priority, status, entrypoint, created)
               VALUES (1, 0, 'successful', 'x', now() - make_interval(days => $1))""",
            days,
        )
    async with open_jobs(database, worker_batch_rows=2) as jobs:
        await jobs.done("queue_log")

    [counts] = await fetch(
        database,
        """SELECT (SELECT count(*) FROM obc_jobs.pgqueuer_log) AS log,
                  (SELECT count(*) FROM obc_jobs.pgqueuer_statistics) AS stats""",
    )
    assert (counts["log"], counts["stats"]) == (10, 2)


async def test_one_tenants_trouble_does_not_keep_the_others_from_being_served(database: str) -> None:
    tenants = [await new_tenant(database, 1) for _ in range(8)]
    for tenant in tenants:
        await store_bad_row(database, tenant, 5 * DAY)
    # Given a row that cannot be deleted
    await execute(
        database,
        """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END'""",
    )
    await execute(
        database,
        f"""CREATE TRIGGER refuse BEFORE DELETE ON bad_rows FOR EACH ROW WHEN (OLD.tenant_id = '{tenants[0]}')
            EXECUTE FUNCTION refuse()""",
    )
    async with open_jobs(database) as jobs:
        endings = await jobs.run("expired_bad_rows")

    assert sorted(ending.outcome.value for ending in endings) == ["done", "done", "done", "failed"]
    assert any(str(tenants[0]) in ending.error for ending in endings)
    rows = await fetch(database, "SELECT DISTINCT tenant_id FROM bad_rows")
    assert [row["tenant_id"] for row in rows] == [tenants[0]]
