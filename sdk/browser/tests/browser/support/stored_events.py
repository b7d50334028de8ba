"""Prints how often each event of a name is in PostgreSQL, by its property `n`, as JSON: [[n, count], ...]."""

import asyncio
import json
import sys

import asyncpg


async def main(dsn: str, event_name: str) -> None:
    """Asks and prints."""
    connection = await asyncpg.connect(dsn, timeout=20)
    try:
        rows = await connection.fetch(
            "SELECT (properties->>'n')::int AS n, count(*) AS times FROM analytics_events WHERE event_name = $1 GROUP BY 1",
            event_name,
        )
    finally:
        await connection.close()
    print(json.dumps([[row["n"], row["times"]] for row in rows]))  # noqa: T201  # this is its answer


asyncio.run(main(*sys.argv[1:]))
