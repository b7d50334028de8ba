"""Leases: one worker at a time, and a paused one does no harm. With real processes that are really stopped."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from obc_worker.model import JobKey, LeaseLostError, Work
from tests.support.eventually import eventually
from tests.support.journal_worker import STEPS
from tests.support.worker import execute, fetch, open_jobs

KEY = JobKey("journal", "all")


class Idle:
    """A job that does as it is told."""

    name = "journal"
    shards = ("all",)

    async def run(self, work: Work) -> None:
        raise AssertionError("not run here")


async def make_journal(dsn: str) -> None:
    await execute(dsn, "CREATE TABLE journal (id bigserial PRIMARY KEY, step integer, token bigint)")
    await execute(dsn, "GRANT INSERT ON journal TO obc_worker")
    await execute(dsn, "GRANT USAGE ON SEQUENCE journal_id_seq TO obc_worker")


async def steps(dsn: str) -> int:
    [row] = await fetch(dsn, "SELECT count(*) AS count FROM journal")
    count: int = row["count"]
    return count


@asynccontextmanager
async def journal_worker(dsn: str, where: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.journal_worker", dsn, "1", where, stdout=subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(process: asyncio.subprocess.Process) -> str:
    """The last line it printed."""
    async with asyncio.timeout(30):
        output, _ = await process.communicate()
    return output.decode().strip().splitlines()[-1]


@pytest.mark.parametrize("where", ["between", "inside"])
async def test_a_worker_stopped_past_its_lease_does_nothing_when_it_goes_on(database: str, where: str) -> None:
    await make_journal(database)
    async with journal_worker(database, where) as paused:

        async def has_begun() -> bool:
            return await steps(database) >= 3

        await eventually(has_begun, timeout=60)
        # When it is stopped in the middle of its work and another takes over
        paused.send_signal(signal.SIGSTOP)
        done_by_first = await steps(database)
        assert done_by_first < STEPS

        async def free() -> bool:
            rows = await fetch(
                database,
                "SELECT 1 FROM obc_jobs.leases WHERE job = 'journal' AND lease_until < now() FOR UPDATE SKIP LOCKED",
            )
            return bool(rows)

        await eventually(free, timeout=30)
        async with journal_worker(database, "between") as second:
            await eventually(lambda: _more_than(database, done_by_first), timeout=60)
            # and it goes on while the other works
            paused.send_signal(signal.SIGCONT)
            first_end, second_end = await ended(paused), await ended(second)

    # Then it noticed, and every step was done exactly once, none by the first after the second had begun.
    assert first_end == "fenced"
    assert second_end == "done"
    rows = await fetch(database, "SELECT step, token FROM journal ORDER BY id")
    assert [row["step"] for row in rows] == list(range(STEPS))
    tokens = [row["token"] for row in rows]
    assert tokens == sorted(tokens)
    assert set(tokens) == {1, 2}


async def _more_than(dsn: str, count: int) -> bool:
    return await steps(dsn) > count


async def test_many_who_claim_at_once_make_one_holder(database: str) -> None:
    async with open_jobs(database, extra=[Idle()]) as jobs:
        claims = await asyncio.gather(*(jobs.leases.claim(KEY) for _ in range(20)))

    assert len([claim for claim in claims if claim is not None]) == 1


async def test_an_older_token_changes_nothing(database: str) -> None:
    await make_journal(database)
    async with open_jobs(database, extra=[Idle()]) as jobs:
        old = await jobs.leases.claim(KEY)
        assert old is not None
        await execute(database, "UPDATE obc_jobs.leases SET lease_until = now() - interval '1 second'")
        new = await jobs.leases.claim(KEY)
        assert new is not None
        assert new.fence_token > old.fence_token
        for act in (
            jobs.leases.succeed(old),
            jobs.leases.fail(old, "x"),
            jobs.leases.bury(old, "x", 1),
            jobs.leases.give_back(old),
        ):
            with pytest.raises(LeaseLostError):
                await act
        await jobs.leases.succeed(new)


async def test_an_expired_lease_is_worth_nothing_even_when_nobody_else_wants_it(database: str) -> None:
    async with open_jobs(database, extra=[Idle()]) as jobs:
        lease = await jobs.leases.claim(KEY)
        assert lease is not None
        await execute(database, "UPDATE obc_jobs.leases SET lease_until = now() - interval '1 second'")
        with pytest.raises(LeaseLostError):
            await jobs.leases.succeed(lease)


async def test_nobody_can_claim_while_a_transaction_of_the_holder_is_open(database: str) -> None:
    async with open_jobs(database, extra=[Idle()]) as jobs:
        lease = await jobs.leases.claim(KEY)
        assert lease is not None
        async with jobs.leases.transaction(lease) as connection:
            await connection.execute("SELECT 1")
            assert await jobs.leases.claim(KEY) is None
        # and each transaction makes the lease last
        [row] = await fetch(
            database, "SELECT lease_until > now() + interval '29 s' AS long FROM obc_jobs.leases WHERE job = 'journal'"
        )
        assert row["long"]


async def test_a_database_clock_that_goes_back_an_hour_stops_nothing(database: str) -> None:
    async with open_jobs(database, extra=[Idle()]) as jobs:
        lease = await jobs.leases.claim(KEY)
        assert lease is not None
        # Given a lease as it looks after the clock went back
        await execute(
            database, "UPDATE obc_jobs.leases SET lease_until = now() + interval '1 hour' WHERE job = 'journal'"
        )

        assert KEY in await jobs.leases.due([KEY])
        again = await jobs.leases.claim(KEY)
        assert again is not None
        with pytest.raises(LeaseLostError):
            await jobs.leases.succeed(lease)
