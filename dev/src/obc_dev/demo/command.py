"""`make demo`: sends the month, then prints what the dashboard makes of it."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from obc_dev.api import Api, ApiError
from obc_dev.demo.report import dashboard_report
from obc_dev.demo.traffic import Event, events_of
from obc_dev.settings import DevSettings
from obc_dev.state import StateFolder

_BATCH = 500
_TRIES = 6
_CATCH_UP_SECONDS = 30.0


async def demo(settings: DevSettings, *, seed: int, days: int) -> int:
    """Sends the last `days` days of traffic up to now and prints the dashboard; answers the exit status.

    Sending again adds nothing: an event's id follows from the seed and its day.
    """
    keys = StateFolder(settings.dev_state_dir).read_demo_env()
    if not keys:
        print("there is no demo tenant yet: start the stack with `make run` or `make up`", file=sys.stderr)
        return 1
    now = datetime.now(UTC)
    last_day = now.date()
    made = (event for back in range(days - 1, -1, -1) for event in events_of(seed, last_day - timedelta(days=back)))
    events = [event for event in made if event["timestamp"] <= now.timestamp() * 1000]
    console = Console()
    try:
        results = await _send(keys["OBC_URL"], keys["OBC_WRITE_KEY"], events, console)
        console.print(", ".join(f"{count} {result}" for result, count in sorted(results.items())))
        first = int((now - timedelta(days=days)).timestamp() * 1000)
        answer = await _dashboard(keys["OBC_URL"], keys["OBC_SECRET_KEY"], first, int(time.time() * 1000))
    except (ApiError, aiohttp.ClientError, TimeoutError) as error:
        print(f"the API does not answer as it should: {error or type(error).__name__}", file=sys.stderr)
        return 1
    console.print(dashboard_report(answer, days))
    return 0


async def _send(url: str, write_key: str, events: Sequence[Event], console: Console) -> Counter[str]:
    columns = (TextColumn("sending events"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    results: Counter[str] = Counter()
    async with Api(url, write_key) as api:
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("events", total=len(events))
            for start in range(0, len(events), _BATCH):
                batch = events[start : start + _BATCH]
                for name, count in (await _send_batch(api, batch)).items():
                    results[name] += count
                progress.advance(task, len(batch))
    return results


async def _send_batch(api: Api, batch: Sequence[Event]) -> dict[str, int]:
    for attempt in range(_TRIES):
        try:
            answer = await api.post("/v1/events:batch", {"events": batch, "sent_at": int(time.time() * 1000)})
        except (ApiError, aiohttp.ClientError) as error:
            # Nothing was promised, or nobody knows: the same batch may be sent again.
            again = not isinstance(error, ApiError) or error.status in (429, 503)
            if not again or attempt == _TRIES - 1:
                raise
            wait = error.retry_after if isinstance(error, ApiError) else None
            await asyncio.sleep(wait or 0.1 * 2**attempt)
        else:
            return {name: answer[name] for name in ("accepted", "duplicate", "dropped", "rejected") if answer[name]}
    raise AssertionError("unreachable: the last attempt returns or raises")


async def _dashboard(url: str, secret_key: str, first_ms: int, sent_ms: int) -> dict[str, object]:
    """The dashboard once the read model has everything that was received by `sent_ms`."""
    deadline = time.monotonic() + _CATCH_UP_SECONDS
    async with Api(url, secret_key) as api:
        while True:
            answer: dict[str, object] = await api.get("/api/analytics/dashboard", {"from": str(first_ms)})
            info = answer.get("info")
            as_of = info.get("as_of", 0) if isinstance(info, dict) else 0
            if as_of >= sent_ms or time.monotonic() > deadline:
                return answer
            await asyncio.sleep(0.2)
