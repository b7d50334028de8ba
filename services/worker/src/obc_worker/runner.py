"""Runs one share of a job: claims it, counts the attempt, works, and writes down how it ended."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

import asyncpg

from obc_common.clock import Clock
from obc_common.logs import get_logger
from obc_common.postgres import Connection
from obc_worker.leases import Leases
from obc_worker.metrics import JOB_RUNS, JOB_SECONDS
from obc_worker.model import Job, JobKey, Lease, LeaseLostError, StoppedError

_log = get_logger(__name__)

MOST_ATTEMPTS = 5
_LONGEST_RETRY_SECONDS = 300.0
_DATABASE_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
_LONGEST_ERROR = 2000


class Outcome(StrEnum):
    """How a run ended."""

    DONE = "done"
    FAILED = "failed"
    DEAD = "dead"
    FENCED = "fenced"
    STOPPED = "stopped"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended.

    Attributes:
        outcome: in a word.
        error: why it failed or died.
        retry_seconds: pause before a failed run is tried again.
    """

    outcome: Outcome
    error: str = ""
    retry_seconds: float = 0.0


class Runner:
    """Runs jobs by name.

    Args:
        jobs: every job.
        leases: this process's.
        clock: measures.
        stopping: set when the process ends; a job then ends at its next transaction.
        retry_seconds: pause after a first failure.
        dead_letter_retry_seconds: pause after the last.
    """

    def __init__(
        self,
        jobs: Mapping[str, Job],
        leases: Leases,
        clock: Clock,
        stopping: asyncio.Event,
        *,
        retry_seconds: float,
        dead_letter_retry_seconds: float,
    ) -> None:
        self._jobs = jobs
        self._leases = leases
        self._clock = clock
        self._stopping = stopping
        self._retry_seconds = retry_seconds
        self._dead_letter_retry_seconds = dead_letter_retry_seconds

    async def run(self, key: JobKey) -> Ending:
        """Runs one share. Raises what asyncpg raises when it cannot even be claimed."""
        lease = await self._leases.claim(key)
        if lease is None:
            JOB_RUNS.labels(key.job, Outcome.BUSY).inc()
            return Ending(Outcome.BUSY)
        began = self._clock.monotonic()
        try:
            ending = await self._run(lease)
        except LeaseLostError:
            # Paused or cut off for longer than the lease: another worker has it, and nothing was done twice.
            ending = Ending(Outcome.FENCED)
        seconds = self._clock.monotonic() - began
        JOB_SECONDS.labels(key.job).observe(seconds)
        JOB_RUNS.labels(key.job, ending.outcome).inc()
        if ending.outcome not in (Outcome.DONE, Outcome.STOPPED):
            _log.warning(
                "job_not_done",
                job=key.job,
                shard=key.shard,
                outcome=ending.outcome.value,
                attempt=lease.attempts,
                error=ending.error,
                seconds=round(seconds, 3),
            )
        return ending

    async def _run(self, lease: Lease) -> Ending:
        if lease.attempts > MOST_ATTEMPTS:
            # Its workers died one after the other, before they could say why.
            return await self._end_badly(lease, lease.last_error or "the worker died while it worked on this")
        try:
            await self._jobs[lease.key.job].run(_FencedWork(self._leases, lease, self._stopping))
            await self._leases.succeed(lease)
        except LeaseLostError:
            raise
        except StoppedError:
            await self._leases.give_back(lease)
            return Ending(Outcome.STOPPED)
        except Exception as error:  # a job may fail in any way; none of them ends the worker
            return await self._end_badly(lease, f"{type(error).__name__}: {error}"[:_LONGEST_ERROR])
        return Ending(Outcome.DONE)

    async def _end_badly(self, lease: Lease, error: str) -> Ending:
        pause = min(self._retry_seconds * 2 ** (lease.attempts - 1), _LONGEST_RETRY_SECONDS)
        try:
            if lease.attempts >= MOST_ATTEMPTS:
                await self._leases.bury(lease, error, self._dead_letter_retry_seconds)
                return Ending(Outcome.DEAD, error)
            await self._leases.fail(lease, error)
        except _DATABASE_ERRORS as lost:
            # The database is away: the lease runs out by itself, and the attempt is counted already.
            _log.warning("job_ending_not_written", job=lease.key.job, shard=lease.key.shard, error=str(lost))
        return Ending(Outcome.FAILED, error, pause)


class _FencedWork:
    """What a job is given; see `model.Work`."""

    def __init__(self, leases: Leases, lease: Lease, stopping: asyncio.Event) -> None:
        self._leases = leases
        self._lease = lease
        self._stopping = stopping

    @property
    def shard(self) -> str:
        return self._lease.key.shard

    @property
    def progress(self) -> str:
        return self._lease.progress

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        if self._stopping.is_set():
            raise StoppedError
        async with self._leases.connection() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        if self._stopping.is_set():
            raise StoppedError
        async with self._leases.transaction(self._lease) as connection:
            yield connection

    async def save_progress(self, connection: Connection, progress: str) -> None:
        await self._leases.save_progress(connection, self._lease, progress)
