"""How many events a second one ingest process stores, next to the floor: COPY alone, no ledger, same rows, same run.

    python -m bench.ingest_writer [--events 100000] [--batch 500] [--senders 8]

Ratios are what to compare between machines. The server is a real PostgreSQL with fsync on, started for the run.
"""

import argparse
import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import uvloop

from obc_common.clock import SystemClock
from obc_common.ids import uuid7
from obc_common.postgres import Pool, create_pool
from obc_dev.servers.ports import free_ports
from obc_dev.servers.postgres import PostgresServer
from obc_ingest.event_lines import copy_lines, event_line
from obc_ingest.flush import Flusher
from obc_ingest.limits import Limits
from obc_ingest.model import Event
from obc_ingest.partitions import Partitions
from obc_ingest.scrub import scrub_event
from obc_ingest.store import EventStore
from obc_ingest.useragent import correct_device_info
from obc_ingest.validate import Reception, validate
from obc_ingest.writer import GroupCommitWriter, WriterLimits
from obc_migrations.runner import migrate

TENANT = "0190a0a0-0000-7000-8000-000000000001"
USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0"
)


def bodies(count: int, now: int) -> list[bytes]:
    """Events as a browser sends them, about 700 bytes each."""
    return [
        orjson.dumps(
            {
                "event_id": str(uuid7(now)),
                "event_name": "page_view",
                "event_category": "navigation",
                "user_id": f"user-{number % 5000}",
                "session_id": f"session-{number % 20000}",
                "properties": {"page_name": "product", "price": 19.9, "plan": "pro", "tags": ["a", "b"], "n": number},
                "timestamp": now - number % 60_000,
                "page_url": f"https://shop.example/product/{number}?utm_source=mail",
                "referrer": "https://search.example/",
                "user_agent": USER_AGENT,
                "device_info": {"screen_width": 1920, "screen_height": 1080, "device_type": "desktop", "os": "Windows"},
                "correlation_id": str(number),
            }
        )
        for number in range(count)
    ]


def judge(texts: list[bytes], now: int) -> list[Event]:
    """What the service does with each event before it is written."""
    reception, limits = Reception(TENANT, now, now, 0), Limits()
    events = []
    for text in texts:
        event = validate(orjson.loads(text), reception, limits)
        correct_device_info(event.device_info, event.user_agent)
        event.user_agent = "0" * 32
        scrub_event(event)
        events.append(event)
    return events


async def copy_only(pool: Pool, events: list[Event], batch: int, senders: int) -> float:
    """Seconds that COPY alone takes."""
    batches = [events[start : start + batch] for start in range(0, len(events), batch)]

    async def send(mine: list[list[Event]]) -> None:
        for part in mine:
            async with pool.acquire() as connection, connection.transaction():
                await copy_lines(connection, [event_line(event) for event in part])

    started = time.perf_counter()
    await asyncio.gather(*(send(batches[n::senders]) for n in range(senders)))
    return time.perf_counter() - started


async def group_commit(
    pool: Pool, events: list[Event], batch: int, senders: int, limits: WriterLimits
) -> tuple[float, list[float]]:
    """Seconds that the writer takes, and every batch's time to its acknowledgement."""
    batches = [events[start : start + batch] for start in range(0, len(events), batch)]
    writer = GroupCommitWriter(Flusher(EventStore(pool, Partitions(pool, SystemClock()))), limits, lambda _stored: None)
    running = asyncio.create_task(writer.run())
    waits: list[float] = []

    async def send(mine: list[list[Event]]) -> None:
        for part in mine:
            began = time.perf_counter()
            await writer.submit(TENANT, part, ())
            waits.append(time.perf_counter() - began)

    started = time.perf_counter()
    await asyncio.gather(*(send(batches[n::senders]) for n in range(senders)))
    took = time.perf_counter() - started
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return took, waits


@asynccontextmanager
async def database() -> AsyncIterator[str]:
    """A PostgreSQL with the schema."""
    folder = Path(tempfile.mkdtemp(prefix="obc-bench-"))
    [port] = free_ports(1)
    server = PostgresServer(folder / "data", port, folder / "log", {"shared_buffers": "256MB", "max_wal_size": "4GB"})
    try:
        server.start()
        await migrate(server.dsn())
        yield server.dsn()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def main() -> None:
    """Runs everything once and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--senders", type=int, default=8)
    arguments = parser.parse_args()
    batch, senders = arguments.batch, arguments.senders
    now = SystemClock().now_ms()
    texts = bodies(arguments.events, now)
    started = time.perf_counter()
    events = judge(texts, now)
    judging = time.perf_counter() - started
    async with database() as dsn:
        pool = await create_pool(dsn, role="obc_ingest", name="bench", max_size=8)
        await Partitions(pool, SystemClock()).ensure_ahead()
        await copy_only(pool, events[:batch], batch, 1)
        floor = await copy_only(pool, events, batch, 4)
        first, waits = await group_commit(pool, events, batch, senders, WriterLimits())
        again, _ = await group_commit(pool, events, batch, senders, WriterLimits())
        await pool.close()
    report(len(events), sum(map(len, texts)) // len(texts), judging, floor, first, again, waits)


def report(count: int, size: int, judging: float, floor: float, first: float, again: float, waits: list[float]) -> None:
    """Prints the table."""
    quantiles = statistics.quantiles(waits, n=100)
    lines = {
        "judging (parse, validate, user agent, scrub)": f"{count / judging:9,.0f} events/s of one core",
        "COPY alone, no ledger (the floor)": f"{count / floor:9,.0f} events/s",
        "ledger + COPY, group commit": f"{count / first:9,.0f} events/s, {floor / first:.2f} of the floor",
        "the same again, all duplicates": f"{count / again:9,.0f} events/s",
        "time to acknowledgement": f"p50 {quantiles[49] * 1e3:.1f} ms, p99 {quantiles[98] * 1e3:.1f} ms",
    }
    print(f"{count} events of {size} bytes")
    for name, figure in lines.items():
        print(f"{name:46} {figure}")


if __name__ == "__main__":
    uvloop.run(main())
