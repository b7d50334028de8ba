"""Runs the projector in a process of its own that kills itself at a step: `python -m ... <dsn> <url> <step>`."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from obc_common.clock import SystemClock
from obc_common.postgres import create_pool
from obc_query.freshness import Freshness
from obc_query.projection import log
from obc_query.projection import projector as projector_module
from obc_query.projection.projector import Projector
from obc_query.projection.writer import insert_rows
from obc_query.warehouse import Warehouse


def die() -> None:
    """What a crash, an OOM kill or a power cut of the process is."""
    os.kill(os.getpid(), signal.SIGKILL)


def after(action: Callable[..., Any]) -> Callable[..., None]:
    """The action, then the end."""

    def dying(*arguments: object) -> None:
        action(*arguments)
        die()

    return dying


def during(action: Callable[..., Any], seconds: float) -> Callable[..., None]:
    """The end, somewhere inside the action."""

    def dying(*arguments: object) -> None:
        threading.Timer(seconds, die).start()
        action(*arguments)
        die()

    return dying


async def run(dsn: str, url: str) -> None:
    """Copies everything there is, if it lives long enough."""
    warehouse = Warehouse(url, "obc")
    warehouse.create_database()
    pool = await create_pool(dsn, role="obc_projector", name="dying", max_size=1)
    clock = SystemClock()
    projector = Projector(warehouse, pool, Freshness(clock), clock, poll_seconds=0.02, batch_rows=20_000)
    await projector.catch_up()
    await pool.close()
    handle = warehouse.connect()
    print(*handle.query("SELECT count(), uniqExact(tenant_id, event_id) FROM events")[0])
    handle.close()


if __name__ == "__main__":
    _, dsn, url, step = sys.argv
    if step == "intent":
        log.write_intent = after(log.write_intent)
    elif step == "insert":
        vars(projector_module)["insert_rows"] = after(insert_rows)
    elif step == "done":
        log.write_done = after(log.write_done)
    elif step.startswith("inside:"):
        vars(projector_module)["insert_rows"] = during(insert_rows, float(step.removeprefix("inside:")))
    asyncio.run(run(dsn, url))
