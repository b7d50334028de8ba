"""kill -9 of the ingest process in the middle, answers lost after the commit: every tracked event is stored once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from obc_analytics import AsyncAnalytics, DeliveryProblem, Options, Stats, Unreachable
from obc_dev.servers.redis import RedisServer
from tests.component.sdk_python.conftest import MakeKey
from tests.support.cutting_proxy import cutting_proxy
from tests.support.eventually import eventually
from tests.support.ingest import Ingest
from tests.support.ingest_process import IngestProcess
from tests.support.tenant_config import TenantConfig

IMPATIENT = Options(
    batch_events=50,
    batch_seconds=0.01,
    queue_events=2000,
    block_seconds=60,
    backoff_seconds=0.05,
    backoff_max_seconds=0.3,
    connect_seconds=3,
    ack_seconds=5,
)


@pytest.fixture(scope="module")
async def module_process(
    module_database: str,
    shared_redis: RedisServer,
    tenant_config: TenantConfig,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[IngestProcess]:
    """An ingest process on the module's database."""
    log = tmp_path_factory.mktemp("ingest") / "ingest.log"
    process = IngestProcess(module_database, shared_redis.url, tenant_config, log)
    yield process
    await process.stop()


@pytest.fixture
async def process(module_process: IngestProcess) -> IngestProcess:
    """The module's process, running, whatever the test before did to it."""
    if not module_process.running:
        await module_process.start()
    return module_process


async def track(analytics: AsyncAnalytics, ids: list[str], ending: asyncio.Event) -> None:
    """Tracks without a pause until told to end; a full queue makes it wait."""
    while not ending.is_set():
        for _ in range(20):
            ids.append(await analytics.track("tick", {"number": len(ids)}))
        await asyncio.sleep(0)  # an await that waits for nothing else gives nobody else a turn


async def accepted(analytics: AsyncAnalytics, goal: int) -> None:
    """Waits until as many are accepted."""
    await eventually(lambda: analytics.stats.accepted >= goal, timeout=20)


def sums_up(stats: Stats) -> bool:
    return stats.queued == stats.accepted + stats.duplicate and stats.pending == 0


async def test_killed_and_restarted_in_the_middle_nothing_is_lost_and_nothing_is_there_twice(
    ingest: Ingest, process: IngestProcess, write_key: MakeKey
) -> None:
    tenant = await ingest.make_tenant()
    ids: list[str] = []
    ending = asyncio.Event()
    async with (
        cutting_proxy(process.port, "grpc") as proxy,
        AsyncAnalytics(await write_key(tenant), address=f"127.0.0.1:{proxy.port}", options=IMPATIENT) as analytics,
    ):
        tracking = asyncio.create_task(track(analytics, ids, ending))
        for _ in range(3):
            # Given a stream in full flow, when an answer is lost after its commit
            await accepted(analytics, analytics.stats.accepted + 500)
            proxy.cut_next()
            await eventually(lambda: not proxy.armed, timeout=20)
            # and the process is killed with batches under way, and started again
            await process.kill()
            await eventually(lambda: analytics.stats.pending > 100, timeout=20)
            await process.start()
        ending.set()
        await tracking
        await analytics.flush(60)
        stats = analytics.stats
        assert proxy.cuts == 3

    # Then every tracked event is stored, once, and counted as delivered, once
    assert Counter(str(row["event_id"]) for row in await ingest.stored(tenant)) == Counter(ids)
    assert sums_up(stats)
    assert stats.queued == len(ids)
    assert stats.duplicate > 0, "a lost answer must have made the same events go out again"
    assert stats.sent > stats.queued


async def test_a_drained_server_answers_everything_and_the_next_one_takes_over(
    ingest: Ingest, process: IngestProcess, write_key: MakeKey
) -> None:
    tenant = await ingest.make_tenant()
    ids: list[str] = []
    ending = asyncio.Event()
    async with AsyncAnalytics(await write_key(tenant), address=process.address, options=IMPATIENT) as analytics:
        tracking = asyncio.create_task(track(analytics, ids, ending))
        await accepted(analytics, 300)
        await process.stop()
        await process.start()
        ending.set()
        await tracking
        await analytics.flush(60)
        stats = analytics.stats
    assert Counter(str(row["event_id"]) for row in await ingest.stored(tenant)) == Counter(ids)
    assert sums_up(stats)


async def test_a_server_that_comes_late_gets_everything(
    ingest: Ingest, process: IngestProcess, write_key: MakeKey
) -> None:
    # Given no server at all
    tenant = await ingest.make_tenant()
    key = await write_key(tenant)
    await process.kill()
    async with AsyncAnalytics(key, address=process.address, options=IMPATIENT) as analytics:
        ids = [await analytics.track("early") for _ in range(300)]
        await eventually(lambda: analytics.stats.pending == 300 and analytics.stats.sent == 0)
        # When it comes
        await process.start()
        await analytics.flush(30)
        # Then nothing was counted before, and everything now
        assert analytics.stats.accepted == 300
    assert Counter(str(row["event_id"]) for row in await ingest.stored(tenant)) == Counter(ids)


async def test_answers_lost_again_and_again_store_the_event_once(
    ingest: Ingest, process: IngestProcess, write_key: MakeKey
) -> None:
    # Given a connection that breaks at every answer
    tenant = await ingest.make_tenant()
    async with (
        cutting_proxy(process.port, "grpc") as proxy,
        AsyncAnalytics(await write_key(tenant), address=f"127.0.0.1:{proxy.port}", options=IMPATIENT) as analytics,
    ):
        proxy.cut_next(5)
        event_id = await analytics.track("once")
        await analytics.flush(30)
        assert proxy.cuts == 5
        assert (analytics.stats.sent, analytics.stats.duplicate, analytics.stats.accepted) == (6, 1, 0)
    assert [str(row["event_id"]) for row in await ingest.stored(tenant)] == [event_id]


async def test_a_server_that_falls_silent_is_left_after_the_deadline_of_answers(
    ingest: Ingest, process: IngestProcess, write_key: MakeKey
) -> None:
    # Given an open stream to a process that is then stopped in the middle
    tenant = await ingest.make_tenant()
    problems: list[DeliveryProblem] = []
    options = replace(IMPATIENT, ack_seconds=0.5, connect_seconds=0.5)
    async with AsyncAnalytics(
        await write_key(tenant), address=process.address, options=options, on_error=problems.append
    ) as analytics:
        ids = [await analytics.track("before")]
        await analytics.flush(30)
        process.freeze()
        ids += [await analytics.track("during") for _ in range(100)]
        # Then the client does not wait for it for ever
        await eventually(lambda: len(problems) >= 2, timeout=20)
        assert all(isinstance(problem, Unreachable) for problem in problems)
        assert analytics.stats.accepted == 1
        # And when it goes on, with what it had read before, everything is stored once
        process.thaw()
        await analytics.flush(30)
        assert sums_up(analytics.stats)
    assert Counter(str(row["event_id"]) for row in await ingest.stored(tenant)) == Counter(ids)
