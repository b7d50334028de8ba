"""A WebSocket client of a gateway under test."""

import asyncio
import contextlib
import os
import struct
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
from aiohttp import WSMsgType

from tests.component.gateway.conftest import Edge

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


@contextlib.asynccontextmanager
async def raw_upgrade(edge: Edge) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A socket of which the test writes every byte."""
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


def raw_frame(opcode: int, payload: bytes, mask: bool = True) -> bytes:
    """A final frame of up to 65,535 bytes."""
    head = bytes([0x80 | opcode])
    length = len(payload)
    sized = bytes([length]) if length < 126 else b"\x7e" + struct.pack("!H", length)
    if not mask:
        return head + sized + payload
    key = os.urandom(4)
    body = bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))
    return head + bytes([sized[0] | 0x80]) + sized[1:] + key + body


async def close_code_of(reader: asyncio.StreamReader) -> int:
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
