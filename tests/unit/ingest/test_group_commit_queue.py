"""The writer's queue, with a flusher that waits for the test. Real transactions are tested in the component tests."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from obc_common.errors import Internal, ResourceExhausted, Unavailable
from obc_ingest.flush import Flusher, Verdict
from obc_ingest.limits import Limits
from obc_ingest.model import BadRow, Event, Outcome
from obc_ingest.validate import Reception, validate
from obc_ingest.writer import GroupCommitWriter, WriterLimits
from tests.support.eventually import eventually

TENANT = "0190a0a0-0000-7000-8000-000000000001"
NOW = 1_750_000_000_000


def events(count: int) -> list[Event]:
    reception, limits = Reception(TENANT, NOW, 0, 0), Limits()
    return [
        validate({"event_id": str(uuid4()), "event_name": "x", "timestamp": NOW}, reception, limits)
        for _ in range(count)
    ]


class GatedFlusher(Flusher):
    """Accepts everything once the gate is open; raises what it was told to."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.flushes: list[int] = []
        self.error: Exception | None = None

    async def flush(self, events: Sequence[Event], bad_rows: Sequence[BadRow]) -> list[Verdict]:
        self.flushes.append(len(events))
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return [Outcome.ACCEPTED for _ in events]


@asynccontextmanager
async def running(flusher: GatedFlusher, limits: WriterLimits, stored: list[Event]) -> AsyncIterator[GroupCommitWriter]:
    writer = GroupCommitWriter(flusher, limits, stored.extend)
    task = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        writer.close()


async def test_batches_that_come_together_share_a_flush_and_get_their_own_answers() -> None:
    flusher, stored = GatedFlusher(), list[Event]()
    flusher.gate.set()
    async with running(flusher, WriterLimits(flush_interval=0.05), stored) as writer:
        answers = await asyncio.gather(*(writer.submit(TENANT, events(n), ()) for n in (1, 2, 3)))

    assert [len(answer) for answer in answers] == [1, 2, 3]
    assert flusher.flushes == [6]
    assert len(stored) == 6


async def test_a_full_flush_does_not_wait_for_company() -> None:
    flusher = GatedFlusher()
    flusher.gate.set()
    async with running(flusher, WriterLimits(flush_events=10, flush_interval=60), []) as writer:
        async with asyncio.timeout(5):
            await writer.submit(TENANT, events(10), ())


async def test_more_than_the_queue_holds_is_refused_at_once_and_room_comes_back() -> None:
    flusher = GatedFlusher()
    limits = WriterLimits(flush_events=10, flush_interval=0, flushes_in_flight=1, queue_events=25, tenant_share=1)
    async with running(flusher, limits, []) as writer:
        waiting = [asyncio.create_task(writer.submit(TENANT, events(10), ())) for _ in range(2)]
        await eventually(lambda: flusher.flushes == [10])

        with pytest.raises(Unavailable) as refused:
            await writer.submit(TENANT, events(10), ())
        assert refused.value.reason == "OVERLOADED"
        assert refused.value.retry_after is not None

        flusher.gate.set()
        await asyncio.gather(*waiting)
        assert len(await writer.submit(TENANT, events(10), ())) == 10


async def test_bytes_are_bounded_too() -> None:
    flusher = GatedFlusher()
    async with running(flusher, WriterLimits(queue_bytes=1000), []) as writer:
        with pytest.raises(Unavailable):
            await writer.submit(TENANT, events(50), ())
        with pytest.raises(Unavailable):
            writer.check_room(TENANT, 1, 1001)


async def test_at_most_so_many_flushes_are_in_flight() -> None:
    flusher = GatedFlusher()
    limits = WriterLimits(flush_events=1, flush_interval=0, flushes_in_flight=3)
    async with running(flusher, limits, []) as writer:
        waiting = [asyncio.create_task(writer.submit(TENANT, events(1), ())) for _ in range(10)]
        await eventually(lambda: len(flusher.flushes) == 3)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(flusher.flushes) == 3
        flusher.gate.set()
        await asyncio.gather(*waiting)
    assert sum(flusher.flushes) == 10


@pytest.mark.parametrize(("error", "expected"), [(OSError("gone"), Unavailable), (RuntimeError("defect"), Internal)])
async def test_a_failed_flush_answers_everybody_in_it_and_the_next_one_runs(
    error: Exception, expected: type[Exception]
) -> None:
    flusher = GatedFlusher()
    flusher.error = error
    flusher.gate.set()
    async with running(flusher, WriterLimits(flush_interval=0.02), []) as writer:
        answers = await asyncio.gather(
            *(writer.submit(TENANT, events(1), ()) for _ in range(5)), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [expected] * 5
        flusher.error = None
        assert await writer.submit(TENANT, events(1), ()) == [Outcome.ACCEPTED]


async def test_a_flush_that_takes_too_long_is_given_up() -> None:
    async with running(GatedFlusher(), WriterLimits(flush_timeout=0.05), []) as writer:
        with pytest.raises(Unavailable) as refused:
            await writer.submit(TENANT, events(1), ())
    assert refused.value.reason == "DATABASE_UNAVAILABLE"


async def test_a_caller_that_goes_away_does_not_disturb_the_others() -> None:
    flusher = GatedFlusher()
    async with running(flusher, WriterLimits(flush_interval=0.02), []) as writer:
        leaving, staying = (asyncio.create_task(writer.submit(TENANT, events(1), ())) for _ in range(2))
        await eventually(lambda: flusher.flushes == [2])
        leaving.cancel()
        flusher.gate.set()
        assert await staying == [Outcome.ACCEPTED]


async def test_nobody_is_left_waiting_when_the_writer_ends() -> None:
    flusher = GatedFlusher()
    limits = WriterLimits(flush_events=1, flush_interval=0, flushes_in_flight=1)
    async with running(flusher, limits, []) as writer:
        waiting = [asyncio.create_task(writer.submit(TENANT, events(1), ())) for _ in range(3)]
        await eventually(lambda: flusher.flushes == [1])

    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 3


async def test_a_flush_takes_from_tenants_in_turn() -> None:
    flusher = GatedFlusher()
    limits = WriterLimits(flush_events=20, flush_interval=0, flushes_in_flight=1)
    async with running(flusher, limits, []) as writer:
        first = asyncio.create_task(writer.submit("flood", events(10), ()))
        await eventually(lambda: flusher.flushes == [10])
        flood = [asyncio.create_task(writer.submit("flood", events(10), ())) for _ in range(5)]
        await asyncio.sleep(0)
        calm = asyncio.create_task(writer.submit("calm", events(10), ()))
        await asyncio.sleep(0)
        flusher.gate.set()
        await asyncio.gather(first, calm)
        assert sum(task.done() for task in flood) == 1
        await asyncio.gather(*flood)


async def test_a_tenant_that_floods_is_refused_while_others_are_not() -> None:
    flusher = GatedFlusher()
    limits = WriterLimits(flush_events=10, flush_interval=0, queue_events=40)
    async with running(flusher, limits, []) as writer:
        waiting = [asyncio.create_task(writer.submit("flood", events(10), ())) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ResourceExhausted) as refused:
            await writer.submit("flood", events(1), ())
        assert refused.value.reason == "TENANT_BUSY"
        assert refused.value.retry_after is not None
        waiting.append(asyncio.create_task(writer.submit("calm", events(10), ())))
        await asyncio.sleep(0)
        flusher.gate.set()
        await asyncio.gather(*waiting)
