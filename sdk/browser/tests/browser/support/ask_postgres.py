"""Prints the rows of a query as JSON, one list per row."""

import asyncio
import json
import sys

import asyncpg


async def main(dsn: str, query: str, *values: str) -> None:
    """Asks and prints."""
    connection = await asyncpg.connect(dsn, timeout=20)
    try:
        rows = await connection.fetch(query, *values)
    finally:
        await connection.close()
    print(json.dumps([list(row.values()) for row in rows], default=str))


asyncio.run(main(*sys.argv[1:]))
