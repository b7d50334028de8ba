"""Attempts are counted before the work; a job that goes on failing becomes a dead letter that people can see."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from obc_worker.dead_letters import show
from obc_worker.model import JobKey, Work
from obc_worker.runner import MOST_ATTEMPTS
from tests.support.worker import execute, fetch, open_jobs, worker_settings

KEY = JobKey("moody", "all")


class Moody:
    """A job that fails while it is told to."""

    name = "moody"
    shards = ("all",)

    def __init__(self) -> None:
        self.failing = True
        self.runs = 0

    async def run(self, work: Work) -> None:
        self.runs += 1
        if self.failing:
            raise ValueError(f"run {self.runs}")


def gauge(name: str) -> float:
    value = REGISTRY.get_sample_value(name, {"job": "moody"})
    assert value is not None
    return value


async def open_letters(dsn: str) -> list[tuple[str, int, str]]:
    rows = await fetch(dsn, "SELECT * FROM obc_jobs.dead_letters WHERE resolved_at IS NULL ORDER BY id")
    return [(f"{row['job']}/{row['shard']}", row["attempts"], row["error"]) for row in rows]


async def test_a_job_that_fails_five_times_is_a_dead_letter_and_a_later_success_resolves_it(database: str) -> None:
    moody = Moody()
    async with open_jobs(database, extra=[moody], worker_dead_letter_retry_seconds=3600) as jobs:
        endings = [await jobs.runner.run(KEY) for _ in range(MOST_ATTEMPTS)]

        assert [ending.outcome.value for ending in endings] == ["failed"] * 4 + ["dead"]
        pauses = [ending.retry_seconds for ending in endings[:4]]
        assert pauses == [0.05, 0.1, 0.2, 0.4]
        assert await open_letters(database) == [("moody/all", 5, "ValueError: run 5")]
        # Then it is left alone, seen by health, by metrics and by the command
        assert KEY not in await jobs.rounds.due()
        assert gauge("obc_worker_dead_letters") == 1
        with pytest.raises(Exception, match="dead letters: moody"):
            await jobs.rounds.check_jobs()
        [line] = await show(worker_settings(database), retry=True)
        assert "moody/all\t5 attempts\tValueError: run 5" in line
        # and once somebody has it tried again, and it works, all is well
        assert KEY in await jobs.rounds.due()
        moody.failing = False
        assert (await jobs.runner.run(KEY)).outcome.value == "done"
        await jobs.rounds.due()
        await jobs.rounds.check_jobs()
        assert gauge("obc_worker_dead_letters") == 0
    assert await open_letters(database) == []
    assert await show(worker_settings(database), retry=False) == []


async def test_a_dead_letter_is_tried_again_by_itself(database: str) -> None:
    moody = Moody()
    async with open_jobs(database, extra=[moody], worker_dead_letter_retry_seconds=3600) as jobs:
        for _ in range(MOST_ATTEMPTS):
            await jobs.runner.run(KEY)
        # When its pause is over
        await execute(database, "UPDATE obc_jobs.leases SET not_before = not_before - interval '3600 s'")
        moody.failing = False

        assert KEY in await jobs.rounds.due()
        assert (await jobs.runner.run(KEY)).outcome.value == "done"


async def test_workers_that_die_before_they_can_say_why_make_a_dead_letter_too(database: str) -> None:
    moody = Moody()
    async with open_jobs(database, extra=[moody]) as jobs:
        for _ in range(MOST_ATTEMPTS):
            # Given workers that claim and are never heard of again
            assert await jobs.leases.claim(KEY) is not None
            await execute(database, "UPDATE obc_jobs.leases SET lease_until = now() - interval '1 second'")

        assert (await jobs.runner.run(KEY)).outcome.value == "dead"
    # Then the sixth does not touch it
    assert moody.runs == 0
    assert await open_letters(database) == [("moody/all", 6, "the worker died while it worked on this")]


async def test_a_success_forgets_earlier_failures(database: str) -> None:
    moody = Moody()
    async with open_jobs(database, extra=[moody]) as jobs:
        for _ in range(3):
            for _ in range(MOST_ATTEMPTS - 1):
                assert (await jobs.runner.run(KEY)).outcome.value == "failed"
            moody.failing = False
            assert (await jobs.runner.run(KEY)).outcome.value == "done"
            moody.failing = True
    assert await open_letters(database) == []


async def test_a_stop_is_nobodys_failure(database: str) -> None:
    class Steps:
        name = "moody"
        shards = ("all",)

        async def run(self, work: Work) -> None:
            for step in range(2):
                async with work.transaction() as connection:
                    await work.save_progress(connection, str(step))
                stopping.set()

    stopping = asyncio.Event()
    async with open_jobs(database, extra=[Steps()]) as jobs:
        stopping = jobs.stopping
        assert (await jobs.runner.run(KEY)).outcome.value == "stopped"
        [row] = await fetch(
            database, "SELECT attempts, progress, lease_until < now() AS free FROM obc_jobs.leases WHERE job = 'moody'"
        )
    assert (row["attempts"], row["progress"], row["free"]) == (0, "0", True)


async def test_a_job_that_is_not_done_shows_as_lag(database: str) -> None:
    moody = Moody()
    async with open_jobs(database, extra=[moody]) as jobs:
        await execute(database, "UPDATE obc_jobs.leases SET known_since = now() - interval '1 hour'")
        await jobs.rounds.due()
        assert gauge("obc_worker_job_lag_seconds") == pytest.approx(3600, abs=30)
        with pytest.raises(Exception, match=r"late: .*moody"):
            await jobs.rounds.check_jobs()
