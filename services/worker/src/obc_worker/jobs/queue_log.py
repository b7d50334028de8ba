"""Keeps the job queue's own log short: the library adds to it with every entry and never removes anything."""

from datetime import timedelta

from obc_common.clock import Clock
from obc_worker.jobs.moment import moment
from obc_worker.metrics import REMOVED_ROWS
from obc_worker.model import Work

_KEPT = timedelta(days=2)
_STATEMENTS = (
    """WITH gone AS (DELETE FROM obc_jobs.pgqueuer_log WHERE id = ANY (ARRAY(
           SELECT id FROM obc_jobs.pgqueuer_log WHERE created < $1 LIMIT $2)) RETURNING 1)
       SELECT count(*) FROM gone""",
    """WITH gone AS (DELETE FROM obc_jobs.pgqueuer_statistics WHERE id = ANY (ARRAY(
           SELECT id FROM obc_jobs.pgqueuer_statistics WHERE created < $1 LIMIT $2)) RETURNING 1)
       SELECT count(*) FROM gone""",
)


class QueueLog:
    """The job; two days are kept."""

    name = "queue_log"
    shards = ("all",)

    def __init__(self, clock: Clock, batch: int) -> None:
        self._clock = clock
        self._batch = batch

    async def run(self, work: Work) -> None:
        """Deletes what is older."""
        before = moment(self._clock.now_ms()) - _KEPT
        for statement in _STATEMENTS:
            removed = self._batch
            while removed >= self._batch:
                async with work.transaction() as connection:
                    removed = await connection.fetchval(statement, before, self._batch)
                REMOVED_ROWS.labels("queue_log").inc(removed)
