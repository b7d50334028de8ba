"""WebSocket ingest through a real gateway: acks, credits, pushes and ends (contract 2.3, bad-inputs 25, 31 and 55)."""

import asyncio
import contextlib
from typing import Any

import aiohttp
import pytest

from obc.ingest.v1 import ingest_service_pb2 as pb
from obc_common.errors import PermissionDenied, Unavailable
from tests.component.gateway.conftest import Edge, StartEdge
from tests.support.eventually import eventually
from tests.support.fake_services.recorder import TENANT_A
from tests.support.gateway_socket import EVENT, connect, raw_frame, raw_upgrade, ready_socket

URLS = ("/v1/stream", "/ws/analytics", f"/ws/analytics/{TENANT_A}")


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


async def test_a_heartbeat_is_echoed_with_the_servers_time(edge: Edge) -> None:
    async with ready_socket(edge) as socket:
        await socket.send({"type": "heartbeat", "timestamp": 1_700_000_000_123})
        echo = await socket.next()
        assert (echo["type"], echo["timestamp"]) == ("heartbeat", 1_700_000_000_123)
        assert echo["server_time"] > 1_700_000_000_000


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
    heartbeat = raw_frame(1, b'{"type":"heartbeat","timestamp":1}') * 500
    async with raw_upgrade(edge) as (_, writer):
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
