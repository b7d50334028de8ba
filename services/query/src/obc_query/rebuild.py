"""`python -m obc_query.rebuild`: drops the read model and copies every event into it again.

The embedded engine allows one process per path: stop the service first. With a server, the running projector starts
over by itself when it finds the store changed.
"""

import asyncio
import sys

from pydantic import ValidationError

from obc_common.clock import SystemClock
from obc_common.logs import configure_logging
from obc_common.postgres import create_pool
from obc_common.settings import setting_mistakes
from obc_query.app import open_warehouse
from obc_query.freshness import Freshness
from obc_query.projection.projector import Projector
from obc_query.settings import Settings


async def rebuild(settings: Settings) -> int:
    """Rebuilds the read model of the settings; the number of batches copied."""
    warehouse = await open_warehouse(settings)
    clock = SystemClock()
    dsn = settings.database_url.get_secret_value()
    pool = await create_pool(dsn, role="obc_projector", name="obc-query-rebuild", max_size=1)
    try:
        projector = Projector(
            warehouse, pool, Freshness(clock), clock, poll_seconds=0.1, batch_rows=settings.projector_batch_rows
        )
        return await projector.catch_up(rebuild=True)
    finally:
        await pool.close()


def main() -> int:
    """The command: 0 = done, 2 = wrong settings."""
    try:
        settings = Settings()
    except ValidationError as error:
        print("\n".join(setting_mistakes(error)), file=sys.stderr)
        return 2
    configure_logging("query-rebuild", settings.log_level, settings.log_format)
    print(f"read model rebuilt in {asyncio.run(rebuild(settings))} batches")
    return 0


if __name__ == "__main__":
    sys.exit(main())
