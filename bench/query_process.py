"""The query process of a run, and a side door to its engine.

The embedded engine lets one process use a store, so a hand-written statement can only be timed inside it. The process
is the shipped one (`obc_query.app.build`); beside it this reads statements from standard input, one JSON object a line,
runs them through a handle of the same warehouse, and answers with the milliseconds they took and their rows.
"""

import asyncio
import sys
import time

import orjson
import uvloop

from obc_common.logs import configure_logging
from obc_query.app import build
from obc_query.settings import Settings
from obc_query.warehouse import Handle, Warehouse


async def main() -> None:
    """Serves until standard input ends."""
    settings = Settings()
    configure_logging("query", "error", "console")
    async with build(settings) as server:
        warehouse = Warehouse(settings.warehouse_url.get_secret_value(), settings.warehouse_database)
        handle = await asyncio.to_thread(warehouse.connect)
        _say({"port": server.port})
        while line := await asyncio.to_thread(sys.stdin.buffer.readline):
            _say(await asyncio.to_thread(_run, handle, orjson.loads(line), settings.query_max_memory_bytes))
        handle.close()


def _run(handle: Handle, statements: list[str], max_memory_bytes: int) -> dict[str, object]:
    settings = {"max_memory_usage": max_memory_bytes, "json_type_escape_dots_in_keys": 1}
    started = time.perf_counter()
    rows = [handle.query(sql, None, settings) for sql in statements]
    return {"ms": (time.perf_counter() - started) * 1000, "rows": [[list(row) for row in found] for found in rows]}


def _say(message: dict[str, object]) -> None:
    sys.stdout.buffer.write(orjson.dumps(message, default=str, option=orjson.OPT_NON_STR_KEYS) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(main())
