"""Prints every event of a session that is in PostgreSQL, whole, as a JSON list in the order of their times."""

import asyncio
import sys

import asyncpg


async def main(dsn: str, session_id: str) -> None:
    """Asks and prints."""
    connection = await asyncpg.connect(dsn, timeout=20)
    try:
        rows = await connection.fetchval(
            """SELECT coalesce(json_agg(to_jsonb(e) ORDER BY event_time), '[]')::text
               FROM analytics_events e WHERE session_id = $1""",
            session_id,
        )
    finally:
        await connection.close()
    print(rows)  # this is its answer


asyncio.run(main(*sys.argv[1:]))
