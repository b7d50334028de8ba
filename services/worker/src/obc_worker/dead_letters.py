"""`python -m obc_worker.dead_letters [--retry]`: lists jobs that failed for good, or has them tried again now."""

import argparse
import asyncio
import sys

from pydantic import ValidationError

from obc_common.postgres import create_pool
from obc_worker.settings import Settings

_LIST = """
SELECT id, job, shard, attempts, died_at, error FROM obc_jobs.dead_letters WHERE resolved_at IS NULL ORDER BY id
"""
_RETRY = """
UPDATE obc_jobs.leases SET not_before = '-infinity', attempts = 0
WHERE (job, shard) IN (SELECT job, shard FROM obc_jobs.dead_letters WHERE resolved_at IS NULL)
  AND lease_until < now()
"""


async def show(settings: Settings, *, retry: bool) -> list[str]:
    """One line per open dead letter; with `retry` the next round tries them again."""
    dsn = settings.database_url.get_secret_value()
    pool = await create_pool(dsn, role="obc_worker", name="obc-worker-dead-letters", max_size=1)
    try:
        async with pool.acquire(timeout=5) as connection:
            rows = await connection.fetch(_LIST)
            if retry:
                await connection.execute(_RETRY)
    finally:
        await pool.close()
    return [
        f"{row['id']}\t{row['died_at']:%Y-%m-%dT%H:%M:%SZ}\t{row['job']}/{row['shard']}\t"
        f"{row['attempts']} attempts\t{row['error']}"
        for row in rows
    ]


def main() -> int:
    """The command: 0 = done, 2 = wrong settings."""
    parser = argparse.ArgumentParser(prog="python -m obc_worker.dead_letters", description=__doc__)
    parser.add_argument("--retry", action="store_true", help="try them again in the next round")
    options = parser.parse_args()
    try:
        settings = Settings()
    except ValidationError as error:
        print(error, file=sys.stderr)
        return 2
    lines = asyncio.run(show(settings, retry=options.retry))
    print("\n".join(lines) or "no dead letters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
