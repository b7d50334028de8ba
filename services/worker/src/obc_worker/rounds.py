"""What each round begins with: which shares are due, and how far behind every job is."""

from collections.abc import Sequence
from dataclasses import dataclass

from obc_common.clock import Clock
from obc_common.postgres import Pool
from obc_worker.leases import Leases
from obc_worker.metrics import DEAD_LETTERS, JOB_LAG_SECONDS
from obc_worker.model import Job, JobKey

_ACQUIRE_TIMEOUT = 5.0
_LATE_ROUNDS = 5.0
_LATE_SECONDS = 60.0

_STATE = """
SELECT job,
       extract(epoch FROM now() - min(coalesce(last_success_at, known_since)))::float8 AS lag,
       (SELECT count(*) FROM obc_jobs.dead_letters dead WHERE dead.job = lease.job AND resolved_at IS NULL) AS dead
FROM obc_jobs.leases lease JOIN unnest($1::text[], $2::text[]) AS known (job, shard) USING (job, shard)
GROUP BY job
"""


@dataclass(frozen=True, slots=True)
class JobState:
    """A job as all workers together have it.

    Attributes:
        lag: seconds since its slowest share last succeeded.
        dead_letters: open ones.
    """

    lag: float
    dead_letters: int


class NotWellError(Exception):
    """Something does not get done; says what."""


class Rounds:
    """The rounds of this process.

    Args:
        pool: acts as obc_worker.
        leases: knows who works on what.
        jobs: every job.
        clock: measures.
        interval: seconds between two rounds.
    """

    def __init__(self, pool: Pool, leases: Leases, jobs: Sequence[Job], clock: Clock, interval: float) -> None:
        self._pool = pool
        self._leases = leases
        self._keys = [JobKey(job.name, shard) for job in jobs for shard in job.shards]
        self._clock = clock
        self._late = max(_LATE_ROUNDS * interval, _LATE_SECONDS)
        self._began_at: float | None = None
        self._states: dict[str, JobState] = {}

    async def due(self) -> list[JobKey]:
        """Begins a round: measures, and answers what is to be done."""
        await self._leases.make(self._keys)
        await self._measure()
        due = await self._leases.due(self._keys)
        self._began_at = self._clock.monotonic()
        return due

    async def check_rounds(self) -> None:
        """Health: raises while rounds do not begin."""
        if self._began_at is None:
            raise NotWellError("no round has begun yet")
        age = self._clock.monotonic() - self._began_at
        if age > self._late:
            raise NotWellError(f"the last round began {age:.0f} s ago")

    async def check_jobs(self) -> None:
        """Health: raises while a job has dead letters or was not done for long."""
        dead = sorted(job for job, state in self._states.items() if state.dead_letters)
        late = sorted(job for job, state in self._states.items() if state.lag > self._late and job not in dead)
        if dead or late:
            parts = [f"dead letters: {', '.join(dead)}"] * bool(dead) + [f"late: {', '.join(late)}"] * bool(late)
            raise NotWellError("; ".join(parts))

    async def _measure(self) -> None:
        async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT) as connection:
            rows = await connection.fetch(_STATE, [key.job for key in self._keys], [key.shard for key in self._keys])
        self._states = {row["job"]: JobState(row["lag"], row["dead"]) for row in rows}
        for job, state in self._states.items():
            JOB_LAG_SECONDS.labels(job).set(state.lag)
            DEAD_LETTERS.labels(job).set(state.dead_letters)
