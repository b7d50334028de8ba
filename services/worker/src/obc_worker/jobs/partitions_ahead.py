"""Makes month partitions before anybody needs them. Ingest makes one itself only for a month that is not ahead."""

from obc_common.logs import get_logger
from obc_worker.metrics import PARTITIONS_MADE
from obc_worker.model import Work

_log = get_logger(__name__)


class PartitionsAhead:
    """The job; `months` after the present one."""

    name = "partitions_ahead"
    shards = ("all",)

    def __init__(self, months: int) -> None:
        self._months = months

    async def run(self, work: Work) -> None:
        """Makes what is missing."""
        async with work.transaction() as connection:
            made = await connection.fetchval(
                "SELECT obc_ensure_partitions(now(), now() + make_interval(months => $1))", self._months
            )
        if made:
            PARTITIONS_MADE.inc(made)
            _log.info("partitions_made", months=made)
