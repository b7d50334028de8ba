"""Deletes events older than their tenant's retention where a whole partition cannot go: in the month that the retention
ends in, and in months that a tenant shares with others who keep theirs for longer.
"""

from uuid import UUID

from obc_common.clock import Clock
from obc_worker.jobs.moment import moment
from obc_worker.jobs.tenants import SHARDS, each, is_in
from obc_worker.metrics import REMOVED_ROWS
from obc_worker.model import Work


class ExpiredEvents:
    """The job, `batch` rows a transaction."""

    name = "expired_events"
    shards = SHARDS

    def __init__(self, clock: Clock, batch: int) -> None:
        self._clock = clock
        self._batch = batch

    async def run(self, work: Work) -> None:
        """Deletes until nothing is expired."""
        as_of = moment(self._clock.now_ms())
        async with work.read() as connection:
            rows = await connection.fetch("SELECT obc_tenants_with_expired_events($1) AS tenant_id", as_of)

        async def delete(tenant_id: UUID) -> None:
            removed = self._batch
            while removed >= self._batch:
                async with work.transaction() as connection:
                    removed = await connection.fetchval(
                        "SELECT obc_delete_expired_events($1, $2, $3)", tenant_id, as_of, self._batch
                    )
                REMOVED_ROWS.labels("event").inc(removed)

        await each([row["tenant_id"] for row in rows if is_in(work.shard, row["tenant_id"])], delete)
