"""The floor of the ingest benchmark: one process that writes decoded events by the same ledger-and-COPY transaction.

Nothing is received, parsed, judged or answered; what is left is what PostgreSQL and its driver cost.

    python -m bench.ingest_floor <dsn> --batch 1000 --connections 2 --seconds 15
"""

import argparse
import asyncio
import gc
import json
import time
import uuid

import uvloop

from bench.ingest_events import browser_event, fresh_ids, now_ms
from obc_common.clock import SystemClock
from obc_common.postgres import create_pool
from obc_ingest.limits import Limits
from obc_ingest.model import Event
from obc_ingest.partitions import Partitions
from obc_ingest.scrub import scrub_event
from obc_ingest.store import EventStore
from obc_ingest.useragent import correct_device_info
from obc_ingest.validate import Reception, validate


def decoded(count: int, tenant_id: str) -> list[Event]:
    """Events as they are after everything that happens to them before they are written."""
    now = now_ms()
    reception, limits = Reception(tenant_id, now, now, 0), Limits()
    events = []
    for number in range(1, count + 1):
        event = validate(browser_event(number, now), reception, limits)
        correct_device_info(event.device_info, event.user_agent)
        event.user_agent = event.ip_hash = "0" * 32
        scrub_event(event)
        events.append(event)
    return events


async def write(store: EventStore, events: list[Event], end: float) -> int:
    """Writes the same events under new ids until `end`; answers how many."""
    written = 0
    while time.perf_counter() < end:
        for event, event_id in zip(events, sorted(fresh_ids(len(events))), strict=True):
            event.event_id = event_id
        await store.commit(events, ())
        written += len(events)
    return written


async def main() -> None:
    """Measures one shape and prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dsn")
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=15)
    arguments = parser.parse_args()
    tenant_id = str(uuid.uuid4())
    pool = await create_pool(arguments.dsn, role="obc_ingest", name="bench-floor", max_size=arguments.connections)
    partitions = Partitions(pool, SystemClock())
    await partitions.ensure_ahead()
    store = EventStore(pool, partitions)
    sets = [decoded(arguments.batch, tenant_id) for _ in range(arguments.connections)]
    gc.freeze()
    started = time.perf_counter()
    written = await asyncio.gather(*(write(store, events, started + arguments.seconds) for events in sets))
    seconds = time.perf_counter() - started
    await pool.close()
    print(json.dumps({"tenant_id": tenant_id, "events": sum(written), "seconds": seconds}))


if __name__ == "__main__":
    uvloop.run(main())
