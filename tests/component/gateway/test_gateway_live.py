"""The live feed through a real gateway: server-sent events and WebSocket."""

import asyncio
import contextlib
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import WSMsgType

from obc.query.v1 import live_pb2
from obc_common.errors import FailedPrecondition
from tests.component.gateway.conftest import Edge, StartEdge
from tests.support.eventually import eventually

SNAPSHOT = live_pb2.StreamLiveResponse(snapshot=live_pb2.LiveSnapshot(live_users=3, at_ms=9))
EVENTS = live_pb2.StreamLiveResponse(
    events=live_pb2.LiveEvents(events=[live_pb2.LiveEvent(event_id="e", event_time_ms=5)], skipped=2)
)


async def next_event(answer: aiohttp.ClientResponse) -> tuple[str, Any]:
    """The next server-sent event; comments are skipped."""
    kind, data = "", ""
    async with asyncio.timeout(5):
        while True:
            line = (await answer.content.readline()).decode()
            if not line:
                return "end", None
            if line.startswith("event: "):
                kind = line[7:].strip()
            elif line.startswith("data: "):
                data = line[6:]
            elif line == "\n" and kind:
                return kind, orjson.loads(data)


async def test_server_sent_events(edge: Edge) -> None:
    updates = edge.suite.query.updates
    await updates.put(SNAPSHOT)
    headers = edge.key("secret") | {"Last-Event-ID": "77"}
    async with edge.http.get("/v1/live", headers=headers) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        assert answer.headers["Cache-Control"] == "no-store"
        kind, snapshot = await next_event(answer)
        assert (kind, snapshot["live_users"], snapshot["at"]) == ("snapshot", 3, 9)
        await updates.put(EVENTS)
        kind, events = await next_event(answer)
        assert (kind, events["skipped"], events["events"][0]["event_time"]) == ("events", 2, 5)
        await updates.put(None)
        assert await next_event(answer) == ("end", None)


async def test_heartbeat_comments_keep_the_stream_open(start_edge: StartEdge) -> None:
    edge = await start_edge(live_heartbeat_seconds=0.1)
    await edge.suite.query.updates.put(SNAPSHOT)
    async with edge.http.get("/v1/live", headers=edge.key("secret")) as answer, asyncio.timeout(5):
        while (await answer.content.readline()) != b": still here\n":
            pass


async def test_a_refusal_before_the_first_byte_has_a_status(edge: Edge) -> None:
    for headers, status in (({}, 401), (edge.key("write"), 403)):
        async with edge.http.get("/v1/live", headers=headers) as answer:
            assert answer.status == status
    edge.suite.query.failure = FailedPrecondition("REAL_TIME_DISABLED", "off")
    async with edge.http.get("/v1/live", headers=edge.key("secret")) as answer:
        assert (answer.status, (await answer.json())["error"]["reason"]) == (400, "REAL_TIME_DISABLED")


async def test_a_subscriber_that_leaves_ends_the_subscription(start_edge: StartEdge) -> None:
    edge = await start_edge(live_heartbeat_seconds=0.1)
    await edge.suite.query.updates.put(SNAPSHOT)
    async with edge.http.get("/v1/live", headers=edge.key("secret")) as answer:
        await next_event(answer)
        answer.close()
    await eventually(lambda: edge.suite.query.live_streams == 0)


async def test_a_drain_and_a_revoked_key_end_the_stream(edge: Edge) -> None:
    for end in ("revoke", "drain"):
        key = edge.suite.tenant_config.make_key("secret")
        await edge.suite.query.updates.put(SNAPSHOT)
        async with edge.http.get("/v1/live", headers={"X-API-Key": key}) as answer:
            await next_event(answer)
            if end == "revoke":
                edge.suite.tenant_config.revoke(key)
                assert await next_event(answer) == ("end", None)
                await eventually(lambda: edge.suite.query.live_streams == 0)
            else:
                drain = asyncio.create_task(edge.gateway.drain())
                assert await next_event(answer) == ("end", None)
                await drain


async def next_frame(ws: aiohttp.ClientWebSocketResponse) -> Any:
    message = await ws.receive(timeout=5)
    assert message.type is WSMsgType.TEXT, message
    return orjson.loads(message.data)


async def close_code(ws: aiohttp.ClientWebSocketResponse) -> int | None:
    while not ws.closed:
        await ws.receive(timeout=5)
    return ws.close_code


@pytest.mark.parametrize("way", ["first frame", "header", "subprotocol"])
async def test_the_same_messages_on_a_socket(edge: Edge, way: str) -> None:
    key = edge.suite.tenant_config.make_key("secret")
    options: dict[str, Any] = {}
    if way == "header":
        options = {"headers": {"Authorization": f"Bearer {key}"}}
    elif way == "subprotocol":
        options = {"protocols": ("obc.v1", f"obc.key.{key}")}
    await edge.suite.query.updates.put(SNAPSHOT)
    await edge.suite.query.updates.put(EVENTS)
    async with edge.http.ws_connect("/v1/live/ws", **options) as ws:
        if way == "first frame":
            await ws.send_json({"type": "auth", "token": key})
        snapshot, events = await next_frame(ws), await next_frame(ws)
        assert (snapshot["type"], snapshot["live_users"]) == ("snapshot", 3)
        assert (events["type"], events["skipped"]) == ("events", 2)
        await ws.send_json({"type": "heartbeat", "timestamp": 1})
        assert (await next_frame(ws))["type"] == "heartbeat"
        await edge.suite.query.updates.put(None)
        assert await close_code(ws) == 1012
    await eventually(lambda: edge.suite.query.live_streams == 0)


async def test_who_may_not_read_is_told_by_the_close_code(edge: Edge) -> None:
    write = edge.suite.tenant_config.make_key("write")
    for token, code in (("nonsense", 4401), (write, 4403)):
        async with edge.http.ws_connect("/v1/live/ws") as ws:
            await ws.send_json({"type": "auth", "token": token})
            assert await close_code(ws) == code


async def test_line_28_a_page_of_a_foreign_site_may_not_open_the_socket(start_edge: StartEdge) -> None:
    edge = await start_edge(cors_origins=("https://dash.example",))
    own = f"http://127.0.0.1:{edge.port}"
    for origin, opens in (
        (own, True),
        ("https://dash.example", True),
        ("https://evil.example", False),
        ("null", False),
    ):
        attempt = edge.http.ws_connect("/v1/live/ws", headers={"Origin": origin})
        with contextlib.nullcontext() if opens else pytest.raises(aiohttp.WSServerHandshakeError):
            async with attempt:
                pass


async def test_a_revoked_key_and_a_drain_close_the_socket(edge: Edge) -> None:
    for end, code in (("revoke", 4403), ("drain", 1012)):
        key = edge.suite.tenant_config.make_key("secret")
        await edge.suite.query.updates.put(SNAPSHOT)
        async with edge.http.ws_connect("/v1/live/ws", headers={"X-API-Key": key}) as ws:
            await next_frame(ws)
            if end == "revoke":
                edge.suite.tenant_config.revoke(key)
                assert await close_code(ws) == code
                await eventually(lambda: edge.suite.query.live_streams == 0)
            else:
                drain = asyncio.create_task(edge.gateway.drain())
                assert await close_code(ws) == code
                await drain
