"""The service over gRPC: freshness of cached answers, the live feed, rights, and what is refused."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import grpc
import pytest
from redis.asyncio import Redis

from obc.query.v1 import dashboard_pb2, live_pb2, metrics_pb2, stored_event_pb2
from obc_common.errors import DomainError, from_rpc_error
from obc_common.live import LiveEvent, encode, live_channel
from obc_dev.servers.redis import RedisServer
from obc_query.warehouse import Warehouse
from tests.support.eventually import eventually
from tests.support.query_service import QueryService, principal, run_query_service
from tests.support.stored_events import Stored, insert_events


@pytest.fixture
async def service(warehouse: Warehouse, database: str, redis_url: str) -> AsyncIterator[QueryService]:
    async with run_query_service(warehouse, database, redis_url) as running:
        yield running


if TYPE_CHECKING:
    LiveCall = grpc.aio.UnaryStreamCall[live_pb2.StreamLiveRequest, live_pb2.StreamLiveResponse]
else:
    LiveCall = grpc.aio.UnaryStreamCall


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def metrics(service: QueryService, tenant_id: str, **arguments: object) -> metrics_pb2.GetMetricsResponse:
    request = metrics_pb2.GetMetricsRequest(**{"metrics": ["events"], **arguments})  # type: ignore[arg-type]  # by name
    return await service.client.get_metrics(request, principal=principal(tenant_id), timeout=20)


async def total(service: QueryService, tenant_id: str) -> float:
    return (await metrics(service, tenant_id)).series[0].total


async def wait_until_in(service: QueryService, tenant_id: str, count: int) -> None:
    def readable() -> bool:
        rows = service.model.rows(f"SELECT count() FROM events WHERE tenant_id = '{tenant_id}'")
        return int(rows[0][0]) >= count

    await eventually(readable, timeout=10)


async def test_a_stored_event_is_answered_within_a_second(service: QueryService, tenant_id: str) -> None:
    assert await total(service, tenant_id) == 0
    await insert_events(service.model.dsn, tenant_id, [Stored(now_ms())])
    started = time.monotonic()
    while await total(service, tenant_id) != 1:
        assert time.monotonic() - started < 1
        await asyncio.sleep(0.01)


async def test_an_answer_from_the_cache_is_never_stale(service: QueryService, tenant_id: str) -> None:
    at = now_ms() - 3_600_000
    arguments = {"from_time": str(at - 1000), "to_time": str(at + 60_000), "interval": "minute"}
    for count in range(1, 4):
        await insert_events(service.model.dsn, tenant_id, [Stored(at)])
        version = (await metrics(service, tenant_id, **arguments)).info.data_version

        async def is_newer(known: str = version, wanted: int = count) -> bool:
            answer = await metrics(service, tenant_id, **arguments)
            return answer.info.data_version != known or answer.series[0].total == wanted

        await eventually(is_newer)
        fresh = await metrics(service, tenant_id, **arguments)
        again = await metrics(service, tenant_id, **arguments)
        assert (fresh.series[0].total, again.series[0].total) == (count, count)
        assert again.info.cached
        assert again.info.data_version == fresh.info.data_version
        # What it cost is told, also of an answer that costs nothing now.
        assert fresh.info.rows_read >= count
        assert fresh.info.bytes_read > fresh.info.rows_read
        assert (again.info.rows_read, again.info.bytes_read) == (fresh.info.rows_read, fresh.info.bytes_read)


async def test_the_same_question_asked_at_once_is_computed_once(service: QueryService, tenant_id: str) -> None:
    await insert_events(service.model.dsn, tenant_id, [Stored(now_ms())])
    await wait_until_in(service, tenant_id, 1)
    answers = await asyncio.gather(*(metrics(service, tenant_id) for _ in range(10)))
    assert len({answer.info.elapsed_ms for answer in answers}) <= 2


async def test_redis_away_only_costs_the_cache(
    warehouse: Warehouse, database: str, redis_server: RedisServer, tenant_id: str
) -> None:
    async with run_query_service(warehouse, database, redis_server.url) as service:
        redis_server.stop()
        await insert_events(service.model.dsn, tenant_id, [Stored(now_ms() - 1000)])
        await wait_until_in(service, tenant_id, 1)
        answer = await metrics(service, tenant_id)
        assert (answer.series[0].total, answer.info.cached) == (1, False)


async def test_list_and_dashboard_answer(service: QueryService, tenant_id: str) -> None:
    event = Stored(
        now_ms() - 1000,
        user="u",
        session="s",
        properties={"a": [1, {"b": None}]},
        device={"os": "iOS", "screen_width": 390},
    )
    await insert_events(service.model.dsn, tenant_id, [event])
    await wait_until_in(service, tenant_id, 1)
    listed = await service.client.list_events(
        stored_event_pb2.ListEventsRequest(), principal=principal(tenant_id), timeout=20
    )
    [found] = listed.events
    assert (found.event_id, found.event_time_ms, found.user_id) == (str(event.event_id), event.at, "u")
    assert found.properties_json == b'{"a": [1, {"b": null}]}'
    assert (found.device_info.os, found.device_info.screen_width) == ("iOS", 390)
    answer = await service.client.get_dashboard(
        dashboard_pb2.GetDashboardRequest(), principal=principal(tenant_id), timeout=20
    )
    assert answer.user_engagement.users.value == 1
    assert answer.tenant_analytics.live_users == 1
    assert answer.previous_from_ms == 2 * answer.from_ms - answer.to_ms


@pytest.mark.parametrize(
    ("arguments", "reason", "field"),
    [
        ({"metrics": ["nope"]}, "UNKNOWN_METRIC", "metrics"),
        ({"interval": "fortnight"}, "UNKNOWN_INTERVAL", "interval"),
        ({"timezone": "Foo/Bar"}, "BAD_TIMEZONE", "timezone"),
        ({"from_time": "2000", "to_time": "1000"}, "BAD_RANGE", "to"),
        ({"from_time": "soon"}, "BAD_TIME", "from"),
        ({"from_time": "0", "interval": "hour"}, "TOO_MANY_BUCKETS", "interval"),
        ({"breakdown": "tenant_id"}, "UNKNOWN_FIELD", "breakdown"),
        ({"filter": ["properties.a:like:b"]}, "UNKNOWN_OPERATOR", "filter[0]"),
        ({"week_start": "friday"}, "UNKNOWN_WEEK_START", "week_start"),
    ],
)
async def test_mistakes_are_named(service: QueryService, arguments: dict[str, object], reason: str, field: str) -> None:
    with pytest.raises(DomainError) as refused:
        await metrics(service, str(uuid.uuid4()), **arguments)
    assert (refused.value.reason, refused.value.field, refused.value.http_status) == (reason, field, 400)


async def test_the_scope_query_is_needed(service: QueryService, tenant_id: str) -> None:
    with pytest.raises(DomainError) as refused:
        await service.client.get_metrics(
            metrics_pb2.GetMetricsRequest(metrics=["events"]), principal=principal(tenant_id, "ingest"), timeout=5
        )
    assert refused.value.reason == "SCOPE_MISSING"


async def read_until(call: LiveCall, kind: str) -> live_pb2.StreamLiveResponse:
    async with asyncio.timeout(10):
        while True:
            message = await call.read()
            assert isinstance(message, live_pb2.StreamLiveResponse)
            if message.WhichOneof("message") == kind:
                return message


def live_event(n: int = 0) -> LiveEvent:
    return LiveEvent(str(uuid.uuid4()), f"event_{n}", "general", "u", "/", now_ms(), now_ms())


async def test_live_shows_numbers_and_events(service: QueryService, tenant_id: str, redis_url: str) -> None:
    await insert_events(service.model.dsn, tenant_id, [Stored(now_ms() - 1000, user=user) for user in ("a", "a", "b")])
    await wait_until_in(service, tenant_id, 3)
    call = service.client.stream_live(live_pb2.StreamLiveRequest(), principal=principal(tenant_id))
    snapshot = (await read_until(call, "snapshot")).snapshot
    assert (snapshot.live_users, snapshot.events_last_minute, snapshot.errors) == (2, 3, 0)
    assert not snapshot.health.degraded
    redis = Redis.from_url(redis_url)
    started = time.monotonic()
    await redis.publish(live_channel(str(uuid.uuid4())), encode([live_event()]))
    await redis.publish(live_channel(tenant_id), encode([live_event(7)], skipped=2))
    await redis.aclose()
    events = (await read_until(call, "events")).events
    assert ([event.event_name for event in events.events], events.skipped) == (["event_7"], 2)
    assert time.monotonic() - started < 1
    call.cancel()


async def test_live_says_degraded_while_redis_is_away_and_recovers(
    warehouse: Warehouse, database: str, redis_server: RedisServer, tenant_id: str
) -> None:
    async with run_query_service(warehouse, database, redis_server.url) as service:
        call = service.client.stream_live(live_pb2.StreamLiveRequest(), principal=principal(tenant_id))

        async def health() -> live_pb2.SystemHealth:
            return (await read_until(call, "snapshot")).snapshot.health

        assert not (await health()).degraded
        redis_server.stop()

        async def degraded() -> bool:
            seen = await health()
            return seen.degraded and list(seen.unhealthy) == ["redis"]

        await eventually(degraded, timeout=10)
        redis_server.start()

        async def recovered() -> bool:
            return not (await health()).degraded

        await eventually(recovered, timeout=10)
        redis = Redis.from_url(redis_server.url)

        async def heard() -> int:
            return int(await redis.publish(live_channel(tenant_id), encode([live_event(1)])))

        await eventually(heard)
        await redis.aclose()
        assert (await read_until(call, "events")).events.events[0].event_name == "event_1"
        call.cancel()


async def drained(call: LiveCall) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def ended_with(call: LiveCall) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        async with asyncio.timeout(10):
            await drained(call)
    return from_rpc_error(ended.value).reason


async def test_live_is_refused_and_ended_where_it_is_switched_off(service: QueryService, tenant_id: str) -> None:
    call = service.client.stream_live(live_pb2.StreamLiveRequest(), principal=principal(tenant_id))
    await read_until(call, "snapshot")
    service.rules.set_real_time(tenant_id, False)
    assert await ended_with(call) == "REAL_TIME_DISABLED"
    again = service.client.stream_live(live_pb2.StreamLiveRequest(), principal=principal(tenant_id))
    assert await ended_with(again) == "REAL_TIME_DISABLED"


async def test_live_ends_when_its_key_is_revoked(service: QueryService, tenant_id: str) -> None:
    caller = principal(tenant_id)
    call = service.client.stream_live(live_pb2.StreamLiveRequest(), principal=caller)
    await read_until(call, "snapshot")
    service.rules.dead_keys.add(caller.key_id)
    assert await ended_with(call) == "BAD_CREDENTIAL"


async def test_live_streams_end_when_the_server_drains(service: QueryService, tenant_id: str) -> None:
    call = service.client.stream_live(live_pb2.StreamLiveRequest(), principal=principal(tenant_id))
    await read_until(call, "snapshot")
    service.server.draining.set()
    async with asyncio.timeout(5):
        await drained(call)
    assert await call.code() is grpc.StatusCode.OK
