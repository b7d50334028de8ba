"""What a socket may not say (contract 2.3, bad-inputs 30)."""

import asyncio
import contextlib

import pytest

from tests.component.gateway.conftest import Edge
from tests.support.eventually import eventually
from tests.support.gateway_socket import EVENT, close_code_of, raw_frame, raw_upgrade, ready_socket


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


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (raw_frame(1, b'{"event_id":"\xff\xfe"}'), 1007),
        (raw_frame(1, b"{}", mask=False), 1002),
    ],
)
async def test_line_30_invalid_utf8_and_unmasked_frames(edge: Edge, frame: bytes, code: int) -> None:
    async with raw_upgrade(edge) as (reader, writer):
        writer.write(frame)
        assert await close_code_of(reader) == code


async def test_line_30_a_flood_of_empty_frames_closes_4429(edge: Edge) -> None:
    async with raw_upgrade(edge) as (reader, writer):
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                writer.write(raw_frame(1, b"") * 1000)
                await writer.drain()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):  # a reset may overtake the close frame
            assert await close_code_of(reader) == 4429
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
