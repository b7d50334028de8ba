"""Drops partitions that are wholly older than retention: a month when it is for every tenant, and a tenant's own."""

from uuid import UUID

from obc_common.clock import Clock
from obc_common.logs import get_logger
from obc_worker.jobs.moment import moment
from obc_worker.jobs.tenants import each
from obc_worker.metrics import DROPPED_PARTITIONS
from obc_worker.model import Work

_log = get_logger(__name__)


class ExpiredPartitions:
    """The job. What is expired is the database's to say, and it is asked again for each drop."""

    name = "expired_partitions"
    shards = ("all",)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def run(self, work: Work) -> None:
        """Drops what may be dropped, one partition a transaction."""
        as_of = moment(self._clock.now_ms())
        async with work.read() as connection:
            rows = await connection.fetch("SELECT month_name, tenant_id FROM obc_expired_partitions($1)", as_of)

        async def drop(partition: tuple[str, UUID | None]) -> None:
            month_name, tenant_id = partition
            async with work.transaction() as connection:
                dropped = await connection.fetchval(
                    "SELECT obc_drop_expired_partition($1, $2, $3)", month_name, tenant_id, as_of
                )
            if dropped:
                DROPPED_PARTITIONS.labels("month" if tenant_id is None else "tenant").inc()
                _log.info("partition_dropped", month=month_name, tenant_id=str(tenant_id or ""))

        await each([(row["month_name"], row["tenant_id"]) for row in rows], drop)
