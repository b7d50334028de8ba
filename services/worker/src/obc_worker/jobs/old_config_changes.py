"""Forgets announcements of configuration changes that every watcher has read long ago; the newest always stays."""

from obc_common.clock import Clock
from obc_worker.jobs.moment import moment
from obc_worker.metrics import REMOVED_ROWS
from obc_worker.model import Work


class OldConfigChanges:
    """The job. A watcher that was away for longer than a day notices, and reads everything."""

    name = "old_config_changes"
    shards = ("all",)

    def __init__(self, clock: Clock, batch: int) -> None:
        self._clock = clock
        self._batch = batch

    async def run(self, work: Work) -> None:
        """Deletes those older than a day."""
        as_of = moment(self._clock.now_ms())
        removed = self._batch
        while removed >= self._batch:
            async with work.transaction() as connection:
                removed = await connection.fetchval("SELECT obc_prune_config_changes($1, $2)", as_of, self._batch)
            REMOVED_ROWS.labels("config_change").inc(removed)
