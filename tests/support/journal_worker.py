"""A worker process whose one job writes a journal.

`python -m tests.support.journal_worker <dsn> <lease seconds> <where>`. Each step is one effect: a row in `journal`, in
the lease's transaction. `where` is where a step takes its time, and a stopped process is therefore found: `inside`
its transaction, or `between` two of them. Prints how it ended.
"""

import asyncio
import sys

from obc_worker.model import JobKey, Work
from tests.support.worker import open_jobs

STEPS = 60
STEP_SECONDS = 0.03


class Journal:
    """The job: STEPS rows, each once, going on where the last worker was."""

    name = "journal"
    shards = ("all",)

    def __init__(self, where: str) -> None:
        self._where = where

    async def run(self, work: Work) -> None:
        first = int(work.progress or "0")
        for step in range(first, STEPS):
            async with work.transaction() as connection:
                await connection.execute(
                    "INSERT INTO journal (step, token) SELECT $1, fence_token FROM obc_jobs.leases "
                    "WHERE job = 'journal'",
                    step,
                )
                await work.save_progress(connection, str(step + 1))
                if self._where == "inside":
                    await asyncio.sleep(STEP_SECONDS)
            if self._where == "between":
                await asyncio.sleep(STEP_SECONDS)


async def main(dsn: str, lease_seconds: float, where: str) -> None:
    """Runs the job once."""
    async with open_jobs(dsn, extra=[Journal(where)], worker_lease_seconds=lease_seconds, owner=where) as jobs:
        ending = await jobs.runner.run(JobKey("journal", "all"))
        print(ending.outcome.value, ending.error, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), sys.argv[3]))
