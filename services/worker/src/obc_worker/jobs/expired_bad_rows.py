"""Deletes bad rows that nobody will replay any more."""

from uuid import UUID

from obc_common.clock import Clock
from obc_worker.jobs.moment import moment
from obc_worker.jobs.tenants import SHARDS, each, is_in
from obc_worker.metrics import REMOVED_ROWS
from obc_worker.model import Work


class ExpiredBadRows:
    """The job; they are kept `keep_days`, and never longer than their tenant's events."""

    name = "expired_bad_rows"
    shards = SHARDS

    def __init__(self, clock: Clock, keep_days: int, batch: int) -> None:
        self._clock = clock
        self._keep_days = keep_days
        self._batch = batch

    async def run(self, work: Work) -> None:
        """Deletes until nothing is expired."""
        as_of = moment(self._clock.now_ms())
        async with work.read() as connection:
            rows = await connection.fetch(
                "SELECT obc_tenants_with_expired_bad_rows($1, $2) AS tenant_id", self._keep_days, as_of
            )

        async def delete(tenant_id: UUID) -> None:
            removed = self._batch
            while removed >= self._batch:
                async with work.transaction() as connection:
                    removed = await connection.fetchval(
                        "SELECT obc_delete_expired_bad_rows($1, $2, $3, $4)",
                        tenant_id,
                        self._keep_days,
                        as_of,
                        self._batch,
                    )
                REMOVED_ROWS.labels("bad_row").inc(removed)

        await each([row["tenant_id"] for row in rows if is_in(work.shard, row["tenant_id"])], delete)
