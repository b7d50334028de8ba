"""The Python SDK against a real ingest service: what is tracked is stored once, as tracked, and counted right."""

import asyncio
import threading
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from obc_analytics import (
    Analytics,
    AsyncAnalytics,
    CredentialRefused,
    DeliveryProblem,
    EventResult,
    FlushTimeout,
    Options,
    Outcome,
    Stats,
)
from tests.component.sdk_python.conftest import MakeKey
from tests.support.eventually import eventually
from tests.support.ingest import Ingest, new_id, now_ms, running_ingest

QUICK = Options(batch_seconds=0.01, backoff_seconds=0.05, backoff_max_seconds=0.2)


def address_of(ingest: Ingest) -> str:
    return f"127.0.0.1:{ingest.server.port}"


def balanced(stats: Stats) -> bool:
    ended = stats.accepted + stats.duplicate + stats.dropped + stats.rejected + stats.evicted
    return stats.queued == ended + stats.pending


async def test_every_field_arrives_as_tracked(ingest: Ingest, write_key: MakeKey) -> None:
    tenant = await ingest.make_tenant(tracking_level="detailed")
    happened = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    at = now_ms() - 1000
    async with AsyncAnalytics(await write_key(tenant), address=address_of(ingest), options=QUICK) as analytics:
        event_id = await analytics.track(
            "report_exported",
            {"format": "pdf", "pages": 12, "ratio": 0.5, "tags": ["a", "ü"], "deep": {"at": happened}},
            user_id="user-17",
            anonymous_id="device-1",
            session_id="session-1",
            category="reports",
            timestamp=at,
            page_url="https://shop.example/reports",
            referrer="https://search.example/",
            user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            correlation_id="req-42",
            device_info={"screen_width": 1920, "language": "de-AT"},
            consent=True,
        )
        await analytics.flush()
        assert analytics.stats == Stats(1, 1, 1, 0, 0, 0, 0, 0)

    [row] = await ingest.stored(tenant)
    assert str(row["event_id"]) == event_id
    assert (row["event_name"], row["event_category"], row["user_id"]) == ("report_exported", "reports", "user-17")
    assert (row["anonymous_id"], row["session_id"], row["correlation_id"]) == ("device-1", "session-1", "req-42")
    assert row["timestamp"].timestamp() * 1000 == pytest.approx(at)
    assert orjson.loads(row["properties"]) == {
        "format": "pdf",
        "pages": 12,
        "ratio": 0.5,
        "tags": ["a", "ü"],
        "deep": {"at": "2026-01-02T03:04:05+00:00"},
    }
    assert orjson.loads(row["device_info"]).items() >= {"screen_width": 1920, "language": "de-AT"}.items()


async def test_an_event_of_its_name_alone_is_enough(ingest: Ingest, write_key: MakeKey) -> None:
    tenant = await ingest.make_tenant()
    before = now_ms()
    async with AsyncAnalytics(await write_key(tenant), address=address_of(ingest)) as analytics:
        event_id = await analytics.track("ping")
    [row] = await ingest.stored(tenant)
    assert str(row["event_id"]) == event_id
    assert row["event_id"].version == 7
    assert before <= row["timestamp"].timestamp() * 1000 <= now_ms()


async def test_many_threads_track_and_leaving_the_block_delivers_everything(ingest: Ingest, write_key: MakeKey) -> None:
    # Given a client that sends far more batches than the server grants credits at once
    tenant = await ingest.make_tenant()
    key = await write_key(tenant)
    ids: list[str] = []

    def use() -> Stats:
        options = Options(batch_events=20, batch_seconds=0.01, queue_events=500, close_seconds=30, block_seconds=30)
        with Analytics(key, address=address_of(ingest), options=options) as analytics:

            def track_some(thread: int) -> None:
                for number in range(500):
                    ids.append(analytics.track("tick", {"thread": thread, "number": number}))

            threads = [threading.Thread(target=track_some, args=(thread,)) for thread in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return analytics.stats

    stats = await asyncio.to_thread(use)

    # Then each is stored once
    assert (stats.queued, stats.accepted, stats.pending) == (3000, 3000, 0)
    assert balanced(stats)
    assert Counter(str(row["event_id"]) for row in await ingest.stored(tenant)) == Counter(ids)


async def test_the_same_id_twice_is_a_duplicate(ingest: Ingest, write_key: MakeKey) -> None:
    tenant = await ingest.make_tenant()
    event_id = new_id().upper()
    async with AsyncAnalytics(await write_key(tenant), address=address_of(ingest), options=QUICK) as analytics:
        assert await analytics.track("paid", event_id=event_id) == event_id.lower()
        await analytics.flush()
        await analytics.track("paid", event_id=event_id)
        await analytics.flush()
        assert (analytics.stats.accepted, analytics.stats.duplicate) == (1, 1)
    assert len(await ingest.stored(tenant)) == 1


async def test_what_the_server_drops_and_rejects_is_counted_and_told(ingest: Ingest, write_key: MakeKey) -> None:
    # Given a tenant that excludes an event, and an event too old for the server
    tenant = await ingest.make_tenant(excluded_events=["noise*"])
    told: list[EventResult] = []
    async with AsyncAnalytics(
        await write_key(tenant),
        address=address_of(ingest),
        options=QUICK,
        on_rejected=told.append,
        on_dropped=told.append,
    ) as analytics:
        dropped = await analytics.track("noise_1")
        rejected = await analytics.track("ancient", timestamp=now_ms() - 40 * 86_400_000)
        await analytics.track("fine")
        await analytics.flush()
        stats = analytics.stats
        await eventually(lambda: len(told) == 2)
    # Then neither is retried, and each is told with its reason
    assert (stats.sent, stats.accepted, stats.dropped, stats.rejected) == (3, 1, 1, 1)
    by_id = {result.event_id: result for result in told}
    assert (by_id[dropped].outcome, by_id[dropped].code) == (Outcome.DROPPED, "excluded")
    assert (by_id[rejected].outcome, by_id[rejected].code, by_id[rejected].field) == (
        Outcome.REJECTED,
        "too_old",
        "timestamp",
    )


async def test_a_failing_callback_harms_nothing(
    ingest: Ingest, write_key: MakeKey, caplog: pytest.LogCaptureFixture
) -> None:
    tenant = await ingest.make_tenant(excluded_events=["noise"])

    def fail(_: object) -> None:
        raise RuntimeError("planted")

    def use(key: str) -> Stats:
        with Analytics(key, address=address_of(ingest), options=QUICK, on_dropped=fail) as analytics:
            analytics.track("noise")
            analytics.flush()
            analytics.track("fine")
        return analytics.stats

    stats = await asyncio.to_thread(use, await write_key(tenant))
    assert (stats.dropped, stats.accepted) == (1, 1)
    assert "a callback of the application failed" in caplog.text


async def test_a_wrong_key_is_reported_and_nothing_is_lost(ingest: Ingest, tenant_config: Any) -> None:
    # Given a key that the server does not know (yet)
    problems: list[DeliveryProblem] = []
    wrong = "wk_live_" + "0" * 22
    async with AsyncAnalytics(wrong, address=address_of(ingest), options=QUICK, on_error=problems.append) as analytics:
        await analytics.track("signup")
        # Then flush says what is the matter, and the event is kept
        with pytest.raises(FlushTimeout) as late:
            await analytics.flush(0.5)
        assert late.value.pending == 1
        assert isinstance(late.value.problem, CredentialRefused)
        assert wrong not in str(late.value)
        assert isinstance(problems[0], CredentialRefused)
        # And closing says that it gives the event up
        assert await analytics.close(0.1) is False
        assert (analytics.stats.evicted, analytics.stats.pending) == (1, 0)
        assert balanced(analytics.stats)


async def test_a_stream_that_the_server_ends_for_its_age_is_replaced_unnoticed(
    ingest: Ingest, write_key: MakeKey, shared_redis: Any
) -> None:
    tenant = await ingest.make_tenant()
    problems: list[DeliveryProblem] = []
    async with (
        running_ingest(ingest.dsn, shared_redis.url, ingest.tenant_config, stream_max_age_seconds=0.2) as restless,
        AsyncAnalytics(
            await write_key(tenant), address=address_of(restless), options=QUICK, on_error=problems.append
        ) as analytics,
    ):
        await restless.knows(tenant, version=1)
        ended = asyncio.get_running_loop().time() + 2
        while asyncio.get_running_loop().time() < ended:
            await analytics.track("tick")
            await analytics.flush()
        stats = analytics.stats
    assert problems == []
    assert stats.accepted == stats.queued == len(await ingest.stored(tenant))


async def test_a_rate_limit_slows_delivery_down_and_loses_nothing(
    ingest: Ingest, write_key: MakeKey, shared_redis: Any
) -> None:
    # Given a server whose burst is smaller than the client's batches
    tenant = await ingest.make_tenant()
    async with (
        running_ingest(
            ingest.dsn,
            shared_redis.url,
            ingest.tenant_config,
            max_events_per_batch=200,
            ingest_rate_per_second=400,
            ingest_burst=200,
        ) as strict,
        AsyncAnalytics(
            await write_key(tenant),
            address=address_of(strict),
            options=Options(batch_events=500, batch_seconds=0.01, backoff_seconds=0.05, backoff_max_seconds=0.2),
        ) as analytics,
    ):
        await strict.knows(tenant, version=1)
        for _ in range(1000):
            await analytics.track("tick")
        # When everything is delivered at the server's pace
        await analytics.flush(30)
        stats = analytics.stats
    # Then the batches became small enough, and nothing was rejected
    assert (stats.accepted, stats.rejected, stats.evicted) == (1000, 0, 0)
    assert len(await ingest.stored(tenant)) == 1000
