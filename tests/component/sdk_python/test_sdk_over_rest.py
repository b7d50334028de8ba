"""The Python SDK over REST, through a real gateway to a real ingest service; and when it goes there and back."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import orjson
import pytest
from aiohttp import web

from obc_analytics import AsyncAnalytics, DeliveryProblem, EventResult, FlushTimeout, Options, ServerBusy, Unreachable
from obc_dev.servers.ports import free_ports
from tests.component.sdk_python.conftest import MakeKey
from tests.support.cutting_proxy import cutting_proxy
from tests.support.eventually import eventually
from tests.support.ingest import Ingest

QUICK = Options(
    batch_events=50, batch_seconds=0.01, backoff_seconds=0.05, backoff_max_seconds=0.2, grpc_retry_seconds=0.5
)


async def test_rest_alone_delivers_everything_gzipped(ingest: Ingest, gateway_port: int, write_key: MakeKey) -> None:
    tenant = await ingest.make_tenant(tracking_level="detailed", excluded_events=["noise"])
    told: list[EventResult] = []
    async with AsyncAnalytics(
        await write_key(tenant), rest_url=f"http://127.0.0.1:{gateway_port}", options=QUICK, on_dropped=told.append
    ) as analytics:
        ids = [
            await analytics.track(
                "tick", {"ü": [number, None]}, user_id="u-1", device_info={"os": "Linux"}, consent=True
            )
            for number in range(230)
        ]
        await analytics.track("plain")
        await analytics.track("noise")
        await analytics.flush()
        stats = analytics.stats
        await eventually(lambda: told)
    assert (stats.queued, stats.accepted, stats.dropped, stats.sent) == (232, 231, 1, 232)
    assert (told[0].event_name, told[0].code) == ("noise", "excluded")
    rows = {str(row["event_id"]): row for row in await ingest.stored(tenant)}
    assert rows.keys() >= set(ids)
    last = rows[ids[-1]]
    assert orjson.loads(last["properties"]) == {"ü": [229, None]}
    assert orjson.loads(last["device_info"])["os"] == "Linux"


async def test_answers_lost_after_the_commit_store_nothing_twice(
    ingest: Ingest, gateway_port: int, write_key: MakeKey
) -> None:
    tenant = await ingest.make_tenant()
    async with (
        cutting_proxy(gateway_port, "http") as proxy,
        AsyncAnalytics(await write_key(tenant), rest_url=f"http://127.0.0.1:{proxy.port}", options=QUICK) as analytics,
    ):
        proxy.cut_next(3)
        ids = [await analytics.track("tick") for _ in range(200)]
        await analytics.flush(30)
        stats = analytics.stats
    assert proxy.cuts == 3
    assert stats.accepted + stats.duplicate == 200
    assert stats.duplicate >= 50
    assert Counter(str(row["event_id"]) for row in await ingest.stored(tenant)) == Counter(ids)


async def test_rest_serves_while_grpc_cannot_be_reached_and_no_longer(
    ingest: Ingest, gateway_port: int, write_key: MakeKey
) -> None:
    # Given a gRPC address where nobody listens yet
    tenant = await ingest.make_tenant()
    [grpc_port] = free_ports(1)
    problems: list[DeliveryProblem] = []
    async with (
        AsyncExitStack() as stack,
        cutting_proxy(gateway_port, "http") as rest,
        AsyncAnalytics(
            await write_key(tenant),
            address=f"127.0.0.1:{grpc_port}",
            rest_url=f"http://127.0.0.1:{rest.port}",
            options=QUICK,
            on_error=problems.append,
        ) as analytics,
    ):
        ids = [await analytics.track("tick") for _ in range(120)]
        # Then REST delivers
        await analytics.flush()
        assert analytics.stats.accepted == 120
        assert isinstance(problems[0], Unreachable)

        # When gRPC is there, and REST is not any more
        await stack.enter_async_context(cutting_proxy(ingest.server.port, "grpc", grpc_port))
        rest.cut_next(1000)
        ids += [await analytics.track("tock") for _ in range(120)]
        await analytics.flush(20)
        stats = analytics.stats
    assert stats.accepted + stats.duplicate == 240
    assert Counter(str(row["event_id"]) for row in await ingest.stored(tenant)) == Counter(ids)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, {"error": {"reason": "RATE_LIMITED", "message": "slowly"}}, ServerBusy),
        (503, {"error": {"reason": "UNAVAILABLE", "message": "later"}}, ServerBusy),
        (502, None, DeliveryProblem),
        (404, None, DeliveryProblem),
        (400, None, DeliveryProblem),
        (200, {"results": []}, DeliveryProblem),
        (200, {"hello": "there"}, DeliveryProblem),
    ],
)
async def test_answers_that_promise_nothing_are_asked_again(
    status: int, body: object, kind: type[DeliveryProblem]
) -> None:
    problems: list[DeliveryProblem] = []
    tries = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal tries
        tries += 1
        events = orjson.loads(await request.read())["events"]
        if tries < 3:
            return web.Response(status=status, body=orjson.dumps(body), headers={"Retry-After": "0.01"})
        results = [{"event_id": event["event_id"], "result": "duplicate"} for event in events]
        return web.json_response({"results": results})

    async with _gateway_that(answer) as url:
        analytics = AsyncAnalytics("wk_test", rest_url=url, options=QUICK, on_error=problems.append)
        async with analytics:
            await analytics.track("tick")
            await analytics.flush()
            assert (analytics.stats.duplicate, analytics.stats.sent) == (1, 3)
    assert len(problems) == 2
    assert isinstance(problems[0], kind)


async def test_a_batch_too_large_goes_out_in_halves_and_one_refused_for_good_is_told() -> None:
    told: list[EventResult] = []
    sizes: list[int] = []

    async def answer(request: web.Request) -> web.Response:
        events = orjson.loads(await request.read())["events"]
        sizes.append(len(events))
        if len(events) > 10:
            return web.Response(status=413, text="a proxy's own words")
        if any(event["event_name"] == "poison" for event in events):
            return web.json_response({"error": {"reason": "BAD_JSON", "message": "no"}}, status=400)
        return web.json_response({"results": [{"event_id": e["event_id"], "result": "accepted"} for e in events]})

    async with _gateway_that(answer) as url:
        analytics = AsyncAnalytics("wk_test", rest_url=url, options=QUICK, on_rejected=told.append)
        async with analytics:
            for _ in range(30):
                await analytics.track("tick")
            await analytics.flush()
            poison = await analytics.track("poison")
            await analytics.flush()
            assert (analytics.stats.accepted, analytics.stats.rejected) == (30, 1)
            await eventually(lambda: told)
    assert max(sizes) <= 30
    assert (told[0].event_id, told[0].code) == (poison, "BAD_JSON")


async def test_without_anybody_there_flush_says_so_and_close_gives_up_in_time() -> None:
    [port] = free_ports(1)
    analytics = AsyncAnalytics("wk_test", rest_url=f"http://127.0.0.1:{port}", options=QUICK)
    await analytics.track("tick")
    with pytest.raises(FlushTimeout) as late:
        await analytics.flush(0.3)
    assert isinstance(late.value.problem, Unreachable)
    started = asyncio.get_running_loop().time()
    assert await analytics.close(0.1) is False
    assert asyncio.get_running_loop().time() - started < 3
    assert analytics.stats.evicted == 1


async def test_the_body_is_gzip_and_names_the_sdk() -> None:
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        [event] = orjson.loads(await request.read())["events"]
        return web.json_response({"results": [{"event_id": event["event_id"], "result": "accepted"}]})

    async with _gateway_that(answer) as url:
        analytics = AsyncAnalytics("wk_test", rest_url=f"{url}/prefix/", options=QUICK)
        async with analytics:
            await analytics.track("tick")
            await analytics.flush()
    [request] = seen
    assert request.path == "/prefix/v1/events:batch"
    assert request.headers["Content-Encoding"] == "gzip"
    assert request.headers["Authorization"] == "Bearer wk_test"
    assert request.headers["X-OBC-SDK"].startswith("python/")


@asynccontextmanager
async def _gateway_that(answer: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """A gateway that answers as no gateway of ours can be made to; aiohttp inflates the bodies."""
    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
