"""WebSocket ingest through a real gateway (contract 2.3, bad-inputs 26 and 28-31)."""

import asyncio
import contextlib
import os
import struct
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import WSMsgType

from obc.ingest.v1 import ingest_service_pb2 as pb
from obc_common.errors import PermissionDenied, Unavailable
from tests.component.gateway.conftest import Edge, StartEdge
from tests.support.eventually import eventually
from tests.support.fake_services import TENANT_A, TENANT_B

URLS = ("/v1/stream", "/ws/analytics", f"/ws/analytics/{TENANT_A}")
EVENT = {"event_id": "0190a000-0000-7000-8000-000000000001", "event_name": "page_view", "timestamp": 1_700_000_000_000}


class Socket:
    """A client that reads one JSON frame at a time."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def send(self, frame: Any) -> None:
        await self.ws.send_str(frame if isinstance(frame, str) else orjson.dumps(frame).decode())

    async def next(self) -> Any:
        message = await self.ws.receive(timeout=5)
        assert message.type is WSMsgType.TEXT, message
        return orjson.loads(message.data)

    async def close_code(self) -> int | None:
        """Reads to the end, and answers how it ended."""
        while not self.ws.closed:
            await self.ws.receive(timeout=8)
        return self.ws.close_code


@contextlib.asynccontextmanager
async def connect(edge: Edge, path: str = "/v1/stream", **options: Any) -> AsyncIterator[Socket]:
    async with edge.http.ws_connect(path, **options) as ws:
        yield Socket(ws)


@contextlib.asynccontextmanager
async def ready_socket(edge: Edge, path: str = "/v1/stream", **options: Any) -> AsyncIterator[Socket]:
    """A socket that has said auth and heard ready."""
    async with connect(edge, path, **options) as socket:
        await socket.send({"type": "auth", "token": edge.suite.tenant_config.make_key("write")})
        assert (await socket.next())["type"] == "ready"
        yield socket


@pytest.mark.parametrize("path", URLS)
async def test_auth_ready_events_ack(edge: Edge, path: str) -> None:
    async with connect(edge, path, headers={"X-OBC-SDK": "js/1"}) as socket:
        await socket.send({"type": "auth", "token": edge.suite.tenant_config.make_key("write")})
        ready = await socket.next()
        assert (ready["type"], ready["credits"], ready["config"]["sampling_rate"]) == ("ready", 8, 1)
        assert "server_time" in ready
        await socket.send({"type": "events", "seq": 41, "sent_at": 1, "events": [EVENT, {}]})
        assert await socket.next() == {
            "type": "ack",
            "seq": 41,
            "results": [
                {"event_id": EVENT["event_id"], "result": "accepted"},
                {"event_id": "", "result": "rejected", "code": "bad_event_id"},
            ],
            "credits": 8,
        }
    call = edge.suite.ingest.recorder.last
    assert (call.method, call.principal.tenant_id, call.info.transport, call.info.sdk) == (
        "IngestStream",
        TENANT_A,
        "ws",
        "js/1",
    )


async def test_the_seeds_bare_events_count_as_batches_of_one_with_numbers_of_ours(edge: Edge) -> None:
    async with ready_socket(edge) as socket:
        for expected in (-1, -2):
            await socket.send(EVENT)
            ack = await socket.next()
            assert (ack["type"], ack["seq"], len(ack["results"])) == ("ack", expected, 1)


@pytest.mark.parametrize("way", ["header", "x-api-key", "query", "subprotocol"])
async def test_every_way_to_authenticate_at_the_upgrade(edge: Edge, way: str) -> None:
    key = edge.suite.tenant_config.make_key("write")
    path = "/ws/analytics"
    options: dict[str, Any] = {}
    if way == "header":
        options = {"headers": {"Authorization": f"Bearer {key}"}}
    elif way == "x-api-key":
        options = {"headers": {"X-API-Key": key}}
    elif way == "query":
        path += f"?key={key}"
    else:
        options = {"protocols": ("obc.v1", f"obc.key.{key}")}
    async with connect(edge, path, **options) as socket:
        assert (await socket.next())["type"] == "ready"
        assert socket.ws.protocol == ("obc.v1" if way == "subprotocol" else None)
        await socket.send({"type": "auth", "token": key})  # said again: harmless
        await socket.send(EVENT)
        assert (await socket.next())["type"] == "ack"


async def test_a_heartbeat_is_echoed_with_the_servers_time(edge: Edge) -> None:
    async with ready_socket(edge) as socket:
        await socket.send({"type": "heartbeat", "timestamp": 1_700_000_000_123})
        echo = await socket.next()
        assert (echo["type"], echo["timestamp"]) == ("heartbeat", 1_700_000_000_123)
        assert echo["server_time"] > 1_700_000_000_000


async def test_line_29_without_a_first_message_it_closes_4401(start_edge: StartEdge) -> None:
    edge = await start_edge(socket_auth_seconds=0.2)
    async with connect(edge) as socket:
        assert await socket.close_code() == 4401


@pytest.mark.parametrize(
    "first", ['{"type":"auth","token":"nonsense"}', '{"type":"auth"}', '{"type":"heartbeat"}', "{", orjson.dumps(EVENT)]
)
async def test_line_29_a_bad_first_frame_closes_4401(edge: Edge, first: str | bytes) -> None:
    async with connect(edge) as socket:
        await socket.send(first if isinstance(first, str) else first.decode())
        assert await socket.close_code() == 4401


async def test_line_26_a_path_header_or_auth_frame_that_names_another_tenant_is_refused(edge: Edge) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connect(edge, f"/ws/analytics/{TENANT_B}", headers=edge.key("write")):
            pass
    assert refused.value.status == 403
    for path, extra in ((f"/ws/analytics/{TENANT_B}", {}), ("/v1/stream", {"tenant_id": TENANT_B})):
        async with connect(edge, path) as socket:
            await socket.send({"type": "auth", "token": edge.suite.tenant_config.make_key("write")} | extra)
            assert await socket.close_code() == 4403
    assert not edge.suite.ingest.recorder.calls


async def test_line_25_a_key_without_the_scope_is_refused(edge: Edge) -> None:
    reader = edge.suite.tenant_config.make_key("secret", scopes=("query",))
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connect(edge, headers={"X-API-Key": reader}):
            pass
    assert refused.value.status == 403


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://app.example.com", True),
        ("https://evil.example", False),
        ("null", False),
        ("https://app.example.com.evil.io", False),
        ("https://sub.app.example.com", False),
        ("https://app.example.com:8443", False),
        (None, False),
    ],
)
async def test_line_28_origins_of_a_key_with_a_list(edge: Edge, origin: str | None, allowed: bool) -> None:
    key = edge.suite.tenant_config.make_key("write", origins=("https://app.example.com",))
    headers = {"Origin": origin} if origin else {}
    if allowed:
        async with connect(edge, f"/v1/stream?key={key}", headers=headers) as socket:
            assert (await socket.next())["type"] == "ready"
        return
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connect(edge, f"/v1/stream?key={key}", headers=headers):
            pass
    assert refused.value.status == 403
    if origin != "null":
        async with connect(edge, headers=headers) as socket:
            await socket.send({"type": "auth", "token": key})
            assert await socket.close_code() == 4403


async def test_line_30_binary_closes_1003_and_a_2_mb_frame_1009(edge: Edge) -> None:
    async with ready_socket(edge) as socket:
        await socket.ws.send_bytes(b"{}")
        assert await socket.close_code() == 1003
    async with ready_socket(edge) as socket:
        await socket.send(" " * 2_000_000)
        assert await socket.close_code() == 1009


async def test_line_30_a_deflate_bomb_is_refused_because_compression_is_not_negotiated(edge: Edge) -> None:
    async with ready_socket(edge, compress=15) as socket:
        assert not socket.ws.compress


@contextlib.asynccontextmanager
async def _raw_upgrade(edge: Edge) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    key = edge.suite.tenant_config.make_key("write")
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(
        f"GET /v1/stream?key={key} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    try:
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def _frame(opcode: int, payload: bytes, mask: bool = True) -> bytes:
    head = bytes([0x80 | opcode])
    length = len(payload)
    sized = bytes([length]) if length < 126 else b"\x7e" + struct.pack("!H", length)
    if not mask:
        return head + sized + payload
    key = os.urandom(4)
    body = bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))
    return head + bytes([sized[0] | 0x80]) + sized[1:] + key + body


async def _close_code_of(reader: asyncio.StreamReader) -> int:
    """Reads server frames up to the close frame."""
    async with asyncio.timeout(8):
        while True:
            first, second = await reader.readexactly(2)
            length = second & 0x7F
            if length == 126:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
            payload = await reader.readexactly(length)
            if first & 0x0F == 8:
                return int.from_bytes(payload[:2], "big")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (_frame(1, b'{"event_id":"\xff\xfe"}'), 1007),
        (_frame(1, b"{}", mask=False), 1002),
    ],
)
async def test_line_30_invalid_utf8_and_unmasked_frames(edge: Edge, frame: bytes, code: int) -> None:
    async with _raw_upgrade(edge) as (reader, writer):
        writer.write(frame)
        assert await _close_code_of(reader) == code


async def test_line_30_a_flood_of_empty_frames_closes_4429(edge: Edge) -> None:
    async with _raw_upgrade(edge) as (reader, writer):
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                writer.write(_frame(1, b"") * 1000)
                await writer.drain()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):  # a reset may overtake the close frame
            assert await _close_code_of(reader) == 4429
    await eventually(lambda: edge.suite.ingest.stream_ends == 1)


async def test_a_client_that_floods_and_reads_hears_4429(edge: Edge) -> None:
    async with ready_socket(edge) as socket:
        for _ in range(60):
            await socket.send("{")
        assert await socket.close_code() == 4429


async def test_a_bad_frame_is_an_error_and_the_socket_goes_on(edge: Edge) -> None:
    async with ready_socket(edge) as socket:
        for bad, reason in (
            ("{", "BAD_JSON"),
            ("[]", "NOT_OBJECT"),
            ('{"type":"dance"}', "UNKNOWN_FRAME"),
            ('{"type":"events","seq":-1,"events":[]}', "BAD_SEQ"),
            ('{"type":"events","seq":"1","events":[]}', "BAD_SEQ"),
        ):
            await socket.send(bad)
            error = await socket.next()
            assert (error["type"], error["reason"]) == ("error", reason)
        await socket.send(EVENT)
        assert (await socket.next())["type"] == "ack"


async def test_without_credits_the_socket_is_not_read(edge: Edge) -> None:
    ingest = edge.suite.ingest
    ingest.credits = 2
    ingest.ack_gate.clear()
    async with ready_socket(edge) as socket:
        for seq in range(6):
            await socket.send({"type": "events", "seq": seq, "events": [EVENT]})
        await socket.send({"type": "heartbeat", "timestamp": 7})
        await eventually(lambda: len(ingest.stream_requests) >= 1)
        with pytest.raises(TimeoutError):
            await socket.ws.receive(timeout=0.3)  # no echo: what stands before the heartbeat is not read
        assert len(ingest.stream_requests) <= 2
        ingest.ack_gate.set()
        frames = [await socket.next() for _ in range(7)]
        assert [frame["seq"] for frame in frames if frame["type"] == "ack"] == [0, 1, 2, 3, 4, 5]


async def test_a_seq_that_is_still_unanswered_may_not_be_used_again(edge: Edge) -> None:
    edge.suite.ingest.ack_gate.clear()
    async with ready_socket(edge) as socket:
        await socket.send({"type": "events", "seq": 5, "events": [EVENT]})
        await socket.send({"type": "events", "seq": 5, "events": [EVENT]})
        assert (await socket.next())["reason"] == "DUPLICATE_SEQ"
        edge.suite.ingest.ack_gate.set()
        assert (await socket.next())["type"] == "ack"
        await socket.send({"type": "events", "seq": 5, "events": [EVENT]})
        assert (await socket.next())["type"] == "ack"


async def test_what_ingest_pushes_reaches_the_client(edge: Edge) -> None:
    async with ready_socket(edge) as socket:
        config = pb.ClientConfig(enabled=False, tracking_level="minimal", version=2)
        await edge.suite.ingest.pushes.put(pb.IngestStreamResponse(config=config))
        pushed = await socket.next()
        assert (pushed["type"], pushed["config"]["enabled"], pushed["config"]["version"]) == ("config", False, 2)
        retry = pb.StreamRetry(seq=3, retry_after_ms=250, reason="RATE_LIMITED")
        await edge.suite.ingest.pushes.put(pb.IngestStreamResponse(retry=retry))
        frame = await socket.next()
        assert (frame["type"], frame["seq"], frame["retry_after_ms"], frame["reason"], frame["permanent"]) == (
            "retry",
            3,
            250,
            "RATE_LIMITED",
            False,
        )


async def test_when_ingest_asks_to_reconnect_the_acks_come_first_and_then_1012(edge: Edge) -> None:
    edge.suite.ingest.ack_gate.clear()
    async with ready_socket(edge) as socket:
        await socket.send({"type": "events", "seq": 1, "events": [EVENT]})
        await eventually(lambda: edge.suite.ingest.stream_requests)
        reconnect = pb.IngestStreamResponse(reconnect=pb.StreamReconnect(reason="draining"))
        await edge.suite.ingest.pushes.put(reconnect)
        assert await socket.next() == {"type": "reconnect", "reason": "draining"}
        edge.suite.ingest.ack_gate.set()
        assert (await socket.next())["seq"] == 1
        assert await socket.close_code() == 1012


async def test_an_old_socket_is_asked_to_reconnect_and_then_closed_1012(start_edge: StartEdge) -> None:
    edge = await start_edge(
        socket_max_age_seconds=0.3, socket_age_jitter_seconds=0, socket_reconnect_seconds=0.3, live_heartbeat_seconds=1
    )
    async with ready_socket(edge) as socket:
        assert await socket.next() == {"type": "reconnect", "reason": "max_age"}
        await socket.send(EVENT)  # still served meanwhile
        assert (await socket.next())["type"] == "ack"
        assert await socket.close_code() == 1012


async def test_a_stream_that_breaks_becomes_retries_and_1012(edge: Edge) -> None:
    edge.suite.ingest.ack_gate.clear()
    async with ready_socket(edge) as socket:
        await socket.send({"type": "events", "seq": 9, "events": [EVENT]})
        await eventually(lambda: edge.suite.ingest.stream_requests)
        await edge.suite.servers["ingest"].stop()
        retry = await socket.next()
        assert (retry["type"], retry["seq"], retry["permanent"]) == ("retry", 9, False)
        assert await socket.close_code() == 1012


@pytest.mark.parametrize(
    ("failure", "code"),
    [(Unavailable("OVERLOADED", "busy"), 1012), (PermissionDenied("SCOPE_MISSING", "no"), 4403)],
)
async def test_a_stream_that_cannot_be_opened_closes_the_socket(edge: Edge, failure: Any, code: int) -> None:
    edge.suite.ingest.failure = failure
    async with connect(edge, headers=edge.key("write")) as socket:
        assert await socket.close_code() == code


async def test_line_25_a_revoked_key_closes_its_open_socket_with_4403(edge: Edge) -> None:
    key = edge.suite.tenant_config.make_key("write")
    async with connect(edge, f"/v1/stream?key={key}") as socket:
        assert (await socket.next())["type"] == "ready"
        edge.suite.tenant_config.make_key("write")  # a change that is none of its business
        await socket.send(EVENT)
        assert (await socket.next())["type"] == "ack"
        edge.suite.tenant_config.revoke(key)
        assert await socket.close_code() == 4403


async def test_what_was_sent_just_before_the_client_left_is_still_stored(edge: Edge) -> None:
    edge.suite.ingest.ack_gate.clear()
    async with ready_socket(edge) as socket:
        await socket.send(EVENT)
        await eventually(lambda: edge.suite.ingest.stream_requests)
        await socket.ws.close()
    assert not edge.suite.ingest.events
    edge.suite.ingest.ack_gate.set()
    await eventually(lambda: edge.suite.ingest.events == [EVENT])
    await eventually(lambda: edge.suite.ingest.stream_ends == 1)


async def test_line_31_a_client_that_never_reads_is_dropped_and_memory_is_bounded(start_edge: StartEdge) -> None:
    edge = await start_edge(socket_send_seconds=0.5, socket_idle_frames_burst=10**9)
    # Nothing is read from here on; heartbeats make the server answer until its buffers are full.
    heartbeat = _frame(1, b'{"type":"heartbeat","timestamp":1}') * 500
    async with _raw_upgrade(edge) as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # typed as a write transport only
        with contextlib.suppress(ConnectionError):
            while writer.transport.get_write_buffer_size() < 8_000_000 and not edge.suite.ingest.stream_ends:
                writer.write(heartbeat)
                await asyncio.sleep(0)
        await eventually(lambda: edge.suite.ingest.stream_ends == 1, timeout=15)


async def test_more_sockets_than_allowed_get_503(start_edge: StartEdge) -> None:
    edge = await start_edge(max_sockets=1)
    async with ready_socket(edge):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with connect(edge):
                pass
        assert refused.value.status == 503


async def test_line_55_a_drain_ends_sockets_with_1012_after_the_last_ack(edge: Edge) -> None:
    edge.suite.ingest.ack_gate.clear()
    async with ready_socket(edge) as socket:
        await socket.send({"type": "events", "seq": 4, "events": [EVENT]})
        await eventually(lambda: edge.suite.ingest.stream_requests)
        drain = asyncio.create_task(edge.gateway.drain())
        await eventually(lambda: edge.gateway._lifecycle.draining.is_set())
        edge.suite.ingest.ack_gate.set()
        assert (await socket.next())["seq"] == 4
        assert await socket.close_code() == 1012
        async with asyncio.timeout(5):
            await drain


async def test_a_plain_get_of_a_socket_address_is_400(edge: Edge) -> None:
    async with edge.http.get("/v1/stream", headers=edge.key("write")) as answer:
        assert (answer.status, (await answer.json())["error"]["reason"]) == (400, "BAD_REQUEST")
