"""The stores of a run: events in PostgreSQL, copied into the read model by the shipped projector.

To fill them takes minutes, so a folder can be kept, and is asked again as it is by the next run.
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from bench import query_database as database
from bench.query_service import QueryProcess
from bench.query_traffic import Traffic
from obc_dev.servers.ports import free_ports

DAYS = 30
_DAY_MS = 86_400_000
_READY_SECONDS = 7_200.0

# Of the catalogue, where there is an answer before the table is made, too.
_ROWS = (
    "SELECT toUInt64(coalesce(sum(total_rows), 0)) FROM system.tables "
    "WHERE database = currentDatabase() AND name = 'events'"
)
_MERGES = "SELECT 1 FROM system.merges WHERE table = 'events'"


@dataclass(frozen=True, slots=True)
class Store:
    """What is in the stores, and what it was like to fill them.

    Attributes:
        events: in the read model.
        seed: of the traffic.
        linked: whether devices of users have an anonymous past.
        until_ms: end of all but the newest events.
        postgres_bytes: of an event in PostgreSQL.
        projected: events a second by the projector.
        load_rss_mb: memory that the query process took for that.
        fresh: whether its newest events are of now.
    """

    events: int
    seed: int
    linked: bool
    until_ms: int
    postgres_bytes: float
    projected: float
    load_rss_mb: float
    fresh: bool = True


@contextmanager
def query_process(folder: Path, dsn: str) -> Iterator[QueryProcess]:
    """The query process on the stores of a folder."""
    process = QueryProcess(folder, dsn, free_ports(1)[0])
    try:
        yield process
    finally:
        process.stop()


def kept(folder: Path, events: int, seed: int, *, linked: bool) -> Store | None:
    """What a folder that was filled before holds; ValueError when that is something else than asked for."""
    try:
        store = Store(**{**orjson.loads((folder / "store.json").read_bytes()), "fresh": False})
    except FileNotFoundError:
        return None
    if (store.events, store.seed, store.linked) != (events, seed, linked):
        raise ValueError(f"{folder} holds {store.events:,} events, seed {store.seed}, linked: {store.linked}")
    return store


async def load(folder: Path, dsn: str, events: int, seed: int, *, linked: bool) -> Store:
    """Fills the stores of an empty folder."""
    until = int(time.time() * 1000) // 60_000 * 60_000
    start = until - DAYS * _DAY_MS
    traffic = Traffic(events, seed, start, until, linked=linked)
    # The last part is made when everything else is in, so that there is somebody to see in the live view.
    recent = max(1, events // (DAYS * 24 * 2))
    await database.prepare(dsn, datetime.now(UTC) - timedelta(days=DAYS + 1))
    started = time.perf_counter()
    await database.load(dsn, traffic.lines(events - recent, start, until))
    say(f"{events:,} events stored in {time.perf_counter() - started:.0f} s")
    size = await database.table_bytes(dsn) / (events - recent)

    started = time.perf_counter()
    with query_process(folder, dsn) as process:
        await wait_for_rows(process, events - recent)
        rate = (events - recent) / (time.perf_counter() - started)
        say(f"copied into the read model at {rate:,.0f} rows/s by the projector")
        load_rss = process.rss_mb()[1]
        started = time.perf_counter()
        await database.add_question_indexes(dsn)
        say(f"PostgreSQL indexed and analysed for the questions in {time.perf_counter() - started:.0f} s")
        await wait_for_merges(process)
        now = int(time.time() * 1000)
        await database.load(dsn, traffic.lines(recent, now - 900_000, now + 900_000))
        await wait_for_rows(process, events)
    store = Store(events, seed, linked, until, size, rate, load_rss)
    (folder / "store.json").write_bytes(orjson.dumps({**asdict(store), "fresh": False}))
    return store


async def wait_for_rows(process: QueryProcess, rows: int) -> None:
    """Until the projector has copied so many."""
    deadline = time.monotonic() + _READY_SECONDS
    while int((await asyncio.to_thread(process.run, _ROWS))["rows"][0][0][0]) < rows:
        if time.monotonic() > deadline:
            raise TimeoutError("the projector does not catch up")
        await asyncio.sleep(0.5)


async def wait_for_merges(process: QueryProcess) -> None:
    """Until the engine has merged what it wants to, for two minutes at most."""
    for _ in range(240):
        if not (await asyncio.to_thread(process.run, _MERGES))["rows"][0]:
            return
        await asyncio.sleep(0.5)


def cores() -> int:
    """How many there are for everything."""
    return len(os.sched_getaffinity(0))


def say(text: str) -> None:
    """Tells how far a run is."""
    print(text, file=sys.stderr, flush=True)
