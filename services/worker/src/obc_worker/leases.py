"""Leases: one worker at a time works on one share of a job, and one that was paused past its lease can do nothing.

Every claim raises the share's fence token. Every transaction of a job begins by taking the row of its lease under its
token: it finds none if another has claimed the share meanwhile, and nobody can claim it until the transaction ends.
All times are the database's, so that workers' clocks do not matter.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from obc_common.postgres import Connection, Pool
from obc_worker.model import JobKey, Lease, LeaseLostError

_ACQUIRE_TIMEOUT = 5.0
# Jobs are more than connections: a transaction waits for its turn.
_TURN_TIMEOUT = 20.0

_MAKE = """
INSERT INTO obc_jobs.leases (job, shard) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING
"""
_DUE = """
SELECT job, shard FROM obc_jobs.leases JOIN unnest($1::text[], $2::text[]) AS known (job, shard) USING (job, shard)
WHERE not_before <= now() AND NOT (lease_until BETWEEN now() AND now() + interval '10 minutes')
"""
# A lease that ends in more than ten minutes was given before the database's clock went back: it is worth nothing.
_CLAIM = """
UPDATE obc_jobs.leases SET
    owner = $3, lease_until = clock_timestamp() + $4 * interval '1 second', fence_token = fence_token + 1,
    attempts = attempts + 1
WHERE (job, shard) IN (
    SELECT job, shard FROM obc_jobs.leases
    WHERE job = $1 AND shard = $2
      AND NOT (lease_until BETWEEN clock_timestamp() AND clock_timestamp() + interval '10 minutes')
    FOR UPDATE SKIP LOCKED
)
RETURNING fence_token, attempts, last_error, progress
"""
# Takes the row's lock, as FOR UPDATE does, and makes the lease last while the job makes headway.
_HOLD = """
UPDATE obc_jobs.leases SET lease_until = clock_timestamp() + $4 * interval '1 second'
WHERE job = $1 AND shard = $2 AND fence_token = $3 AND lease_until > clock_timestamp()
RETURNING set_config('idle_in_transaction_session_timeout', $5, true), set_config('statement_timeout', $6, true)
"""
_SAVE_PROGRESS = "UPDATE obc_jobs.leases SET progress = $3 WHERE job = $1 AND shard = $2"
_SUCCEED = """
UPDATE obc_jobs.leases SET
    lease_until = '-infinity', attempts = 0, last_error = '', not_before = '-infinity',
    last_success_at = clock_timestamp()
WHERE job = $1 AND shard = $2
"""
_RESOLVE = "UPDATE obc_jobs.dead_letters SET resolved_at = now() WHERE job = $1 AND shard = $2 AND resolved_at IS NULL"
_FAIL = "UPDATE obc_jobs.leases SET lease_until = '-infinity', last_error = $3 WHERE job = $1 AND shard = $2"
_GIVE_BACK = """
UPDATE obc_jobs.leases SET lease_until = '-infinity', attempts = attempts - 1 WHERE job = $1 AND shard = $2
"""
_BURY = """
WITH buried AS (
    UPDATE obc_jobs.leases SET
        lease_until = '-infinity', last_error = $3, attempts = 0, not_before = now() + $5 * interval '1 second'
    WHERE job = $1 AND shard = $2
)
INSERT INTO obc_jobs.dead_letters (job, shard, attempts, error) VALUES ($1, $2, $4, $3)
"""


class Leases:
    """The leases of one worker.

    Args:
        pool: acts as obc_worker.
        owner: this process, for people who look.
        seconds: how long a lease lasts after its last transaction.
    """

    def __init__(self, pool: Pool, owner: str, seconds: float) -> None:
        self._pool = pool
        self._owner = owner
        self._seconds = seconds
        # A worker that is paused inside a transaction loses its connection before its lease ends.
        self._idle_ms, self._statement_ms = str(round(seconds * 300)), str(round(seconds * 600))

    async def make(self, keys: Sequence[JobKey]) -> None:
        """Makes the rows of shares that have none."""
        async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT) as connection:
            await connection.execute(_MAKE, [key.job for key in keys], [key.shard for key in keys])

    async def due(self, keys: Sequence[JobKey]) -> list[JobKey]:
        """Those that nobody works on and that are not parked as dead letters."""
        async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT) as connection:
            rows = await connection.fetch(_DUE, [key.job for key in keys], [key.shard for key in keys])
        return [JobKey(row["job"], row["shard"]) for row in rows]

    async def claim(self, key: JobKey) -> Lease | None:
        """Takes a share and counts the attempt, before any work; None = another worker has it."""
        async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT) as connection:
            row = await connection.fetchrow(_CLAIM, key.job, key.shard, self._owner, self._seconds)
        if row is None:
            return None
        return Lease(key, row["fence_token"], row["attempts"], row["last_error"], row["progress"])

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection without a lease, to read only."""
        async with self._pool.acquire(timeout=_TURN_TIMEOUT) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self, lease: Lease) -> AsyncIterator[Connection]:
        """A transaction that only the holder of the lease can have. Raises LeaseLostError."""
        async with self._pool.acquire(timeout=_TURN_TIMEOUT) as connection, connection.transaction():
            await self._hold(connection, lease)
            yield connection

    async def save_progress(self, connection: Connection, lease: Lease, progress: str) -> None:
        """Remembers where to go on; in the lease's transaction."""
        await connection.execute(_SAVE_PROGRESS, lease.key.job, lease.key.shard, progress)

    async def succeed(self, lease: Lease) -> None:
        """Ends the lease well. Raises LeaseLostError, as the others that end it do."""
        async with self.transaction(lease) as connection:
            await connection.execute(_SUCCEED, lease.key.job, lease.key.shard)
            await connection.execute(_RESOLVE, lease.key.job, lease.key.shard)

    async def fail(self, lease: Lease, error: str) -> None:
        """Ends the lease with an error; the share is tried again."""
        async with self.transaction(lease) as connection:
            await connection.execute(_FAIL, lease.key.job, lease.key.shard, error)

    async def give_back(self, lease: Lease) -> None:
        """Ends the lease as if it had not been taken: the process stops, and that is nobody's failure."""
        async with self.transaction(lease) as connection:
            await connection.execute(_GIVE_BACK, lease.key.job, lease.key.shard)

    async def bury(self, lease: Lease, error: str, retry_seconds: float) -> None:
        """Ends the lease with a dead letter; the share is left alone for a while."""
        async with self.transaction(lease) as connection:
            await connection.execute(_BURY, lease.key.job, lease.key.shard, error, lease.attempts, retry_seconds)

    async def _hold(self, connection: Connection, lease: Lease) -> None:
        held = await connection.fetchrow(
            _HOLD,
            lease.key.job,
            lease.key.shard,
            lease.fence_token,
            self._seconds,
            self._idle_ms,
            self._statement_ms,
        )
        if held is None:
            raise LeaseLostError(f"{lease.key.job}/{lease.key.shard} is another worker's")
