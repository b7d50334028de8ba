"""The job queue in PostgreSQL (pgqueuer): rounds put every share that is due into it, workers take them out.

The library wakes workers by NOTIFY, gives each entry to one of them, repeats what a dead worker left behind and what
failed. It does not fence: that is `leases`, and nothing here is trusted to happen only once.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg
from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Job as QueuedJob
from pgqueuer.domain.types import Channel
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries

from obc_common.logs import get_logger
from obc_worker.model import Job, JobKey
from obc_worker.queue_schema import QUEUE_SETTINGS
from obc_worker.runner import Ending, Outcome

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Pool = asyncpg.Pool

_log = get_logger(__name__)
_ROLE = "obc_worker"
_CONNECT_TIMEOUT = 5.0
_COMMAND_TIMEOUT = 30.0
_CLOSE_TIMEOUT = 5.0
_IDLE_POLL = timedelta(seconds=5)
# One connection listens, the others take entries out, put entries in and beat.
_CONNECTIONS = 4

Handler = Callable[[JobKey], Awaitable[Ending]]
Round = Callable[[], Awaitable[Sequence[JobKey]]]


class DeadLetterError(Exception):
    """A job has failed for good; makes the library's log say so too."""


class JobQueue:
    """This process's end of the queue.

    Args:
        dsn: PostgreSQL.
        jobs: what may be in the queue.
        handler: runs one share.
        due: what is to be put in, asked once a round.
        stopping: set when the process ends.
        interval: seconds between two rounds.
        heartbeat: seconds after which a silent worker's entries are given to another.
        concurrent: entries worked on at once.
    """

    def __init__(
        self,
        dsn: str,
        jobs: Sequence[Job],
        handler: Handler,
        due: Round,
        stopping: asyncio.Event,
        *,
        interval: float,
        heartbeat: float,
        concurrent: int,
    ) -> None:
        self._dsn = dsn
        self._jobs = jobs
        self._handler = handler
        self._due = due
        self._stopping = stopping
        self._interval = interval
        self._heartbeat = timedelta(seconds=heartbeat)
        self._slots = asyncio.Semaphore(concurrent)
        self._concurrent = concurrent
        # It logs every failure with its traceback; `runner` has said what people need.
        logging.getLogger("pgqueuer").setLevel(logging.CRITICAL)

    async def run(self) -> None:
        """Takes part until `stopping` is set. To be owned by `tasks.background`; a lost database ends it."""
        # A pool of its own per run: the library leaves a listening connection behind when the database goes away, and
        # its jsonb values are text.
        pool = await asyncpg.create_pool(
            self._dsn,
            min_size=1,
            max_size=_CONNECTIONS,
            timeout=_CONNECT_TIMEOUT,
            command_timeout=_COMMAND_TIMEOUT,
            server_settings={"role": _ROLE, "application_name": "obc-worker-queue", "timezone": "UTC"},
        )
        try:
            await self._take_part(pool)
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await pool.close()
        finally:
            pool.terminate()

    async def _take_part(self, pool: Pool) -> None:
        queries = _queries(pool)
        manager = QueueManager(queries, channel=Channel(QUEUE_SETTINGS.channel))
        for job in self._jobs:
            manager.entrypoint(job.name, accepts_context=False)(self._entry)

        async def end() -> None:
            await self._stopping.wait()
            manager.shutdown.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(end(), name="queue end")
            group.create_task(self._rounds(queries), name="queue rounds")
            group.create_task(
                manager.run(
                    dequeue_timeout=_IDLE_POLL,
                    batch_size=self._concurrent,
                    max_concurrent_tasks=2 * self._concurrent,
                    shutdown_on_listener_failure=True,
                    heartbeat_timeout=self._heartbeat,
                ),
                name="queue manager",
            )

    async def _rounds(self, queries: Queries) -> None:
        while not self._stopping.is_set():
            keys = await self._due()
            if keys:
                await queries.enqueue(
                    [key.job for key in keys],
                    [key.shard.encode() for key in keys],
                    [0 for _ in keys],
                    # One entry a share, whoever's round it is.
                    dedupe_key=[f"{key.job}/{key.shard}" for key in keys],
                    on_conflict="skip",
                )
            try:
                async with asyncio.timeout(self._interval * random.uniform(0.9, 1.1)):  # noqa: S311  # jitter
                    await self._stopping.wait()
            except TimeoutError:
                continue

    async def _entry(self, entry: QueuedJob) -> None:
        async with self._slots:
            ending = await self._handler(JobKey(str(entry.entrypoint), (entry.payload or b"").decode()))
        if ending.outcome is Outcome.FAILED:
            raise RetryRequested(timedelta(seconds=ending.retry_seconds), ending.error)
        if ending.outcome is Outcome.DEAD:
            raise DeadLetterError(ending.error)


def _queries(pool: Pool) -> Queries:
    return Queries(
        AsyncpgPoolDriver(pool),
        QueryBuilderEnvironment(QUEUE_SETTINGS),
        QueryQueueBuilder(QUEUE_SETTINGS),
        QuerySchedulerBuilder(QUEUE_SETTINGS),
    )
