"""The projector copies every committed event exactly once, whatever happens in between."""

import asyncio
import uuid
from typing import Any

import asyncpg
import pytest
import structlog.testing
from clickhouse_connect.driver.exceptions import DatabaseError

from obc_query.projection import log, source, writer
from obc_query.projection import projector as projector_module
from obc_query.projection.writer import insert_rows
from obc_query.schema import drop_tables
from obc_query.warehouse import Handle
from tests.support.databases import Databases
from tests.support.eventually import eventually
from tests.support.read_model import ReadModel, open_read_model
from tests.support.stored_events import Stored, ensure_partitions, insert_events, insert_with

NOW = 1_760_000_000_000


def some_events(count: int, start: int = NOW) -> list[Stored]:
    """Events a minute apart, over several months' partitions when there are many."""
    return [Stored(start + index * 60_000, user=f"u{index % 7}", properties={"n": index}) for index in range(count)]


def counts(read_model: ReadModel) -> tuple[int, int]:
    """Rows, and distinct events."""
    rows = read_model.rows("SELECT count(), uniqExact(tenant_id, event_id) FROM events")
    return int(rows[0][0]), int(rows[0][1])


async def test_every_event_is_copied_with_its_fields(read_model: ReadModel, tenant_id: str) -> None:
    event = Stored(
        NOW + 123,
        name="user_action",
        category="interaction",
        user="u1",
        anonymous="a1",
        session="s1",
        properties={"plan": "pro", "a.b": 1, "tab\t": "new\nline\\", "nested": {"x": True}},
        page_url="https://app.example.com/x?token=1",
        referrer="https://news.example.org/",
        device={
            "browser": "Edge",
            "os": "iOS",
            "device_type": "mobile",
            "screen_width": 390.5,
            "timezone": "Asia/Tokyo",
        },
        sample_rate=0.25,
    )
    await read_model.store(tenant_id, [event])
    [row] = read_model.rows(
        "SELECT tenant_id, event_id, event_name, event_category, user_id, anonymous_id, session_id, person, "
        "toUnixTimestamp64Milli(event_time), page_path, page_host, referrer_host, browser, os, device_type, "
        "screen_width, device_timezone, sample_rate, properties.plan.:String, properties.nested.x.:Bool FROM events"
    )
    assert list(row) == [
        uuid.UUID(tenant_id), event.event_id, "user_action", "interaction", "u1", "a1", "s1", "u1",
        NOW + 123, "/x", "app.example.com", "news.example.org", "Edge", "iOS", "mobile",
        391, "Asia/Tokyo", 0.25, "pro", True,
    ]  # fmt: skip


async def test_batches_are_cut_at_whole_transactions(read_model: ReadModel, tenant_id: str) -> None:
    for size in (3, 4, 25, 2, 2):
        await insert_events(read_model.dsn, tenant_id, some_events(size))
    batches = await read_model.projector(batch_rows=5).catch_up()
    assert counts(read_model) == (36, 36)
    assert 3 <= batches <= 5


async def test_a_row_of_a_late_commit_is_not_missed(read_model: ReadModel, tenant_id: str) -> None:
    slow = await asyncpg.connect(read_model.dsn)
    try:
        await ensure_partitions(slow, some_events(1))
        transaction = slow.transaction()
        await transaction.start()
        await insert_with(slow, tenant_id, some_events(3))
        await insert_events(read_model.dsn, tenant_id, some_events(4))
        await read_model.catch_up()
        assert counts(read_model)[0] == 0  # everything behind an open transaction waits for it
        await transaction.commit()
    finally:
        await slow.close()
    await read_model.catch_up()
    assert counts(read_model) == (7, 7)


async def test_a_second_start_copies_only_what_is_new(read_model: ReadModel, tenant_id: str) -> None:
    await read_model.store(tenant_id, some_events(10))
    assert await read_model.catch_up() == 0
    await read_model.store(tenant_id, some_events(5))
    assert counts(read_model) == (15, 15)


@pytest.mark.parametrize("step", ["write_intent", "insert_rows", "insert_rows_half", "write_done"])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_failure_at_any_step_is_made_good_by_the_next_start(
    read_model: ReadModel, tenant_id: str, monkeypatch: pytest.MonkeyPatch, step: str, moment: str
) -> None:
    # Given events of two months, so that the engine writes two parts
    await insert_events(read_model.dsn, tenant_id, some_events(10) + some_events(10, NOW + 40 * 86_400_000))
    await read_model.projector().catch_up()
    await insert_events(read_model.dsn, tenant_id, some_events(10) + some_events(10, NOW + 40 * 86_400_000))

    # When the projector dies around one step
    def half(handle: Handle, data: bytes, token: str) -> None:
        # One of the two parts: what a kill between two parts of one insert leaves.
        lines = data.splitlines(keepends=True)
        insert_rows(handle, b"".join(line for line in lines if b"\t2025-10" in line), token)

    target = log if step.startswith("write") else projector_module
    name = step.removesuffix("_half")
    real: Any = half if step == "insert_rows_half" else getattr(target, name)

    def dying(*arguments: object) -> None:
        if moment == "after":
            real(*arguments)
        raise DatabaseError("Code: 999. the test pulled the plug")

    with monkeypatch.context() as patch:
        patch.setattr(target, name, dying)
        with pytest.raises(DatabaseError):
            await read_model.projector().catch_up()

    # Then the next start makes it whole
    await read_model.projector().catch_up()
    assert counts(read_model) == (40, 40)


@pytest.mark.parametrize("kept", ["rows", "token"])
async def test_what_the_engine_has_not_synced_of_its_tokens_changes_nothing(
    read_model: ReadModel, tenant_id: str, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    # Given a power cut after an insert, which leaves the rows without their token or the token without its rows
    await insert_events(read_model.dsn, tenant_id, some_events(10))

    def cut(handle: Handle, data: bytes, token: str) -> None:
        insert_rows(handle, data, "another" if kept == "rows" else token)
        if kept == "token":
            handle.command("DELETE FROM events WHERE 1")
        raise DatabaseError("Code: 999. the test pulled the plug")

    with monkeypatch.context() as patch:
        patch.setattr(projector_module, "insert_rows", cut)
        with pytest.raises(DatabaseError):
            await read_model.projector().catch_up()

    # When the projector starts again
    await read_model.projector().catch_up()

    # Then each event is there once
    assert counts(read_model) == (10, 10)


async def test_a_projector_that_is_stopped_leaves_nothing_open(read_model: ReadModel, tenant_id: str) -> None:
    # given a projector that has copied a batch and not looked again yet
    await insert_events(read_model.dsn, tenant_id, some_events(3))
    running = asyncio.create_task(read_model.projector(poll_seconds=600).run())
    await eventually(lambda: read_model.freshness.caught_up)
    assert counts(read_model) == (3, 3)
    # when it is stopped
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    # then its log says that the batch is in
    handle = read_model.warehouse.connect()
    tail = log.read_tail(handle)
    handle.close()
    assert tail.open is None
    assert tail.done is not None and tail.done.number == 1


async def test_the_store_is_rebuilt_when_it_is_missing(read_model: ReadModel, tenant_id: str) -> None:
    await read_model.store(tenant_id, some_events(10))
    version = read_model.freshness.version(tenant_id)
    handle = read_model.warehouse.connect()
    drop_tables(handle)
    handle.close()
    await read_model.catch_up()
    assert counts(read_model) == (10, 10)
    assert read_model.freshness.version(tenant_id) != version


async def test_rebuild_starts_from_nothing(read_model: ReadModel, tenant_id: str) -> None:
    await read_model.store(tenant_id, some_events(10))
    await read_model.projector().catch_up(rebuild=True)
    assert counts(read_model) == (10, 10)


async def test_the_store_of_another_database_is_dropped(
    read_model: ReadModel, tenant_id: str, databases: Databases
) -> None:
    await read_model.store(tenant_id, some_events(10))
    other = databases.create()
    try:
        await insert_events(other, tenant_id, some_events(3))
        async with open_read_model(read_model.warehouse, other) as model:
            await model.catch_up()
            assert counts(model) == (3, 3)
    finally:
        databases.drop(other)


async def test_properties_the_engine_cannot_read_do_not_stop_the_others(
    read_model: ReadModel, tenant_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = structlog.testing.CapturingLogger()
    monkeypatch.setattr(writer, "_log", logger)
    poison = Stored(NOW, properties={"poison": 1})
    real = Handle.insert_tsv

    def refusing(self: Handle, table: str, columns: tuple[str, ...], data: bytes, settings: dict[str, object]) -> None:
        if b'"poison"' in data:
            raise DatabaseError("Code: 117. DB::Exception: Cannot parse JSON object here: of anna@shop.example")
        real(self, table, columns, data, settings)

    monkeypatch.setattr(Handle, "insert_tsv", refusing)
    await read_model.store(tenant_id, [*some_events(5), poison, *some_events(5)])
    assert counts(read_model) == (11, 11)
    # the engine's text quotes the row, and a row is about somebody
    [logged] = logger.calls
    assert logged.kwargs["code"] == 117 and "anna" not in str(logged)


async def test_the_version_moves_for_the_tenants_of_a_batch_only(read_model: ReadModel, tenant_id: str) -> None:
    other = str(uuid.uuid4())
    projector = read_model.projector()
    await insert_events(read_model.dsn, tenant_id, some_events(1))
    await projector.catch_up()
    async with projector._session() as (connection, worker):
        last = await projector._recover(connection, worker)
        before = {name: read_model.freshness.version(name) for name in (tenant_id, other)}
        await insert_events(read_model.dsn, other, some_events(1))
        await projector._step(connection, worker, last)
    assert read_model.freshness.version(tenant_id) == before[tenant_id]
    assert read_model.freshness.version(other) != before[other]


async def test_as_of_moves_only_over_what_is_in(read_model: ReadModel, tenant_id: str) -> None:
    before = read_model.clock.now_ms()
    await read_model.store(tenant_id, some_events(1))
    assert before <= read_model.freshness.as_of_ms <= read_model.clock.now_ms()
    as_of = read_model.freshness.as_of_ms
    blocker = await asyncpg.connect(read_model.dsn)
    try:
        async with blocker.transaction():
            await blocker.execute("SELECT pg_current_xact_id()")
            await read_model.catch_up()
            assert read_model.freshness.as_of_ms == as_of
    finally:
        await blocker.close()


async def test_a_cut_costs_what_it_takes_not_what_is_ahead(database: str, tenant_id: str) -> None:
    # given events of several months
    await insert_events(database, tenant_id, some_events(400, NOW))
    await insert_events(database, tenant_id, some_events(400, NOW + 40 * 86_400_000))
    connection = await asyncpg.connect(database)
    try:
        # when the planner is asked how it finds the end of a batch
        cut = source._CUT
        for parameter, value in (("$1", "'0'"), ("$2", "'999999999'"), ("$3", "10")):
            cut = cut.replace(parameter, value)
        await connection.execute(source._ALONG_THE_INDEX.replace("SET LOCAL", "SET"))
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {cut}"))
    finally:
        await connection.close()
    # then it walks along the index instead of sorting everything that is ahead
    assert "Index" in plan
    assert "Sort  (" not in plan
