"""How long after its acknowledgement an event is seen by a query, while others come in."""

import asyncio
import time
from typing import Any

from bench.ingest_events import browser_event, fresh_ids, now_ms
from obc_dev.api import Api

_MARKER = "freshness_probe"
_INTERVAL = 0.1
_POLL_SECONDS = 0.02
_CATCH_UP_SECONDS = 300.0


async def wait_until_projected(url: str, secret_key: str) -> None:
    """Returns when the read model has caught up: what is measured next shall not pay for what was stored before.

    The projector goes by the order of transactions, so all is there when the newest event is.
    """
    async with Api(url, secret_key) as api:
        name = f"barrier_{fresh_ids(1)[0]}"
        await api.post("/v1/events:batch", {"events": [_event(name)]})
        async with asyncio.timeout(_CATCH_UP_SECONDS):
            while True:
                answer = await api.get("/api/analytics/events", {"event_name": name})
                if answer["events"]:
                    return
                await asyncio.sleep(0.2)


async def measure_freshness(url: str, secret_key: str, seconds: float) -> float:
    """The 99th percentile, milliseconds: one marked event every tenth of a second, looked for all the time."""
    acknowledged: dict[str, float] = {}
    waits: dict[str, float] = {}
    async with Api(url, secret_key) as api:
        watching = asyncio.create_task(_watch(api, acknowledged, waits))
        end = time.perf_counter() + seconds
        try:
            while time.perf_counter() < end:
                event = _event(_MARKER)
                await api.post("/v1/events:batch", {"events": [event]})
                acknowledged[event["event_id"]] = time.perf_counter()
                await asyncio.sleep(_INTERVAL)
            await wait_until_projected(url, secret_key)
            await asyncio.sleep(1)  # for the watch to see the last ones
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    ordered = sorted(waits.values())
    return round(1000 * ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)], 1)


def _event(name: str) -> dict[str, Any]:
    return {**browser_event(0, now_ms()), "event_id": fresh_ids(1)[0], "event_name": name}


async def _watch(api: Api, acknowledged: dict[str, float], waits: dict[str, float]) -> None:
    question = {"event_name": _MARKER, "page_size": "200"}
    while True:
        answer = await api.get("/api/analytics/events", question)
        seen = time.perf_counter()
        for event in answer["events"]:
            event_id = event["event_id"]
            if event_id in acknowledged and event_id not in waits:
                waits[event_id] = seen - acknowledged[event_id]
        await asyncio.sleep(_POLL_SECONDS)
