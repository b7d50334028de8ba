"""The three ways into the product, written for a load generator: as few layers as the protocol allows."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import grpc

from bench.ingest_events import json_template, typed_template
from obc.ingest.v1 import ingest_service_pb2 as pb

_TEMPLATES = 16
_TIMEOUT = 30.0
_FIRST_SEQ = 1_000_000_000  # every later one has as many digits
_PING, _CLOSE, _TEXT = 9, 8, 1


class Refused(Exception):
    """The product did not accept a whole batch; the text begins with its answer."""


class RestLane(asyncio.Protocol):
    """One kept-alive HTTP/1.1 connection, one request at a time."""

    window = 1

    def __init__(self, url: str, key: str, size: int, first: int) -> None:
        self._url = urlsplit(url)
        self._address = _address(url)
        self._templates = [json_template(first + n * size, size) for n in range(_TEMPLATES)]
        self._head = (
            f"POST /v1/events:batch HTTP/1.1\r\nHost: {self._url.netloc}\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\nUser-Agent: bench\r\nContent-Length: "
        ).encode()
        self._accepted = b'"accepted":%d,' % size
        self._turn = 0
        self._received = bytearray()
        self._answer: asyncio.Future[bytes] | None = None

    async def open(self) -> None:
        """Connects."""
        self._transport, _ = await asyncio.get_running_loop().create_connection(lambda: self, *self._address)

    async def send(self) -> None:
        """Sends a batch and waits for its answer. Raises Refused."""
        self._turn += 1
        body = self._templates[self._turn % _TEMPLATES].fresh()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        async with asyncio.timeout(_TIMEOUT):
            answer = await self._answer
        if not answer.startswith(b"HTTP/1.1 200") or self._accepted not in answer:
            raise Refused(answer[:600].decode(errors="replace"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or self._answer is None:
            return
        at = head.lower().index(b"content-length:") + len(b"content-length:")
        if len(body) >= int(head[at:].split(b"\r\n", 1)[0]):
            self._answer.set_result(bytes(self._received))
            self._received.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Refused("the connection was closed"))

    async def close(self) -> None:
        """Closes."""
        self._transport.close()


class SocketLane(asyncio.Protocol):
    """One WebSocket with a few batches unacknowledged. Frames are masked with zeros, which is a mask like any other."""

    window = 4

    def __init__(self, url: str, key: str, size: int, first: int) -> None:
        self._url = urlsplit(url)
        self._address = _address(url)
        self._key = key
        self._size = size
        self._templates = [json_template(first + n * size, size) for n in range(_TEMPLATES)]
        self._seq = _FIRST_SEQ
        self._answers: dict[int, asyncio.Future[bytes]] = {}
        self._received = bytearray()
        self._upgraded = False

    async def open(self) -> None:
        """Connects and waits for `ready`."""
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        self._transport, _ = await loop.create_connection(lambda: self, *self._address)
        self._transport.write(
            f"GET /v1/stream HTTP/1.1\r\nHost: {self._url.netloc}\r\nX-API-Key: {self._key}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            .encode()
        )  # fmt: skip
        async with asyncio.timeout(_TIMEOUT):
            await self._ready

    async def send(self) -> None:
        """Sends a batch and waits for its ack. Raises Refused."""
        self._seq += 1
        seq = self._seq
        batch = self._templates[seq % _TEMPLATES].fresh()
        payload = b'{"type":"events","seq":%d,%b' % (seq, batch[1:])
        answer = self._answers[seq] = asyncio.get_running_loop().create_future()
        self._write(_TEXT, payload)
        async with asyncio.timeout(_TIMEOUT):
            frame = await answer
        if frame.count(b'"accepted"') != self._size:
            raise Refused(frame[:600].decode(errors="replace"))

    def _write(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        length = b"%c" % (0x80 | size) if size < 126 else struct.pack("!BH", 0xFE, size)
        if size > 0xFFFF:
            length = struct.pack("!BQ", 0xFF, size)
        self._transport.write(b"%c%b\0\0\0\0%b" % (0x80 | opcode, length, payload))

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._upgraded:
            _, found, rest = self._received.partition(b"\r\n\r\n")
            if not found:
                return
            self._upgraded, self._received = True, rest
        while (frame := self._next_frame()) is not None:
            self._take(*frame)

    def _next_frame(self) -> tuple[int, bytes] | None:
        data = self._received
        if len(data) < 2:
            return None
        start, size = 2, data[1] & 0x7F
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(data) < start:
                return None
            size = int.from_bytes(data[2:start], "big")
        if len(data) < start + size:
            return None
        frame = (data[0] & 0x0F, bytes(data[start : start + size]))
        del data[: start + size]
        return frame

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == _PING:
            self._write(_PING + 1, payload)
        elif opcode == _CLOSE:
            self._fail(f"closed: {payload[:100]!r}")
        elif payload.startswith(b'{"type":"ready"'):
            self._ready.set_result(None)
        elif (at := payload.find(b'"seq":')) >= 0:
            seq = int(payload[at + 6 : at + 16])
            self._answers.pop(seq).set_result(payload)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the connection was closed")

    def _fail(self, why: str) -> None:
        for answer in (self._ready, *self._answers.values()):
            if not answer.done():
                answer.set_exception(Refused(why))

    async def close(self) -> None:
        """Closes."""
        self._transport.close()


class GrpcLane:
    """One bidirectional stream with a few batches unacknowledged. Requests are sent encoded already."""

    window = 4

    def __init__(self, target: str, key: str, size: int, first: int) -> None:
        options = [("grpc.service_config", '{"loadBalancingConfig":[{"round_robin":{}}]}'), ("bench.lane", first)]
        self._channel = grpc.aio.insecure_channel(target, options=options)
        self._key = key
        self._size = size
        self._templates = [typed_template(first + n * size, size) for n in range(_TEMPLATES)]
        self._seq = 0
        self._answers: dict[int, asyncio.Future[pb.IngestStreamResponse]] = {}
        self._writing = asyncio.Lock()

    async def open(self) -> None:
        """Opens the stream and waits for `ready`."""
        method: grpc.aio.StreamStreamMultiCallable[bytes, pb.IngestStreamResponse] = self._channel.stream_stream(
            "/obc.ingest.v1.IngestService/IngestStream", response_deserializer=pb.IngestStreamResponse.FromString
        )
        self._call = method(metadata=(("authorization", f"Bearer {self._key}"),))
        async with asyncio.timeout(_TIMEOUT):
            await self._call.read()
        self._reader = asyncio.create_task(self._read())

    async def send(self) -> None:
        """Sends a batch and waits for its ack. Raises Refused."""
        self._seq += 1
        seq = self._seq
        batch = self._templates[seq % _TEMPLATES].fresh()
        answer = self._answers[seq] = asyncio.get_running_loop().create_future()
        async with self._writing:
            # The fields of IngestStreamRequest: seq (1), typed (2, with its length).
            await self._call.write(b"\x08%b\x12%b%b" % (_varint(seq), _varint(len(batch)), batch))
        async with asyncio.timeout(_TIMEOUT):
            response = await answer
        accepted = sum(result.result == pb.EVENT_OUTCOME_ACCEPTED for result in response.ack.results)
        if accepted != self._size:
            raise Refused(str(response)[:600])

    async def _read(self) -> None:
        while isinstance(response := await self._call.read(), pb.IngestStreamResponse):
            kind = response.WhichOneof("message")
            if kind in ("ack", "retry"):
                self._answers.pop(getattr(response, kind).seq).set_result(response)

    async def close(self) -> None:
        """Closes."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        self._call.cancel()
        await self._channel.close()


Lane = RestLane | SocketLane | GrpcLane
WAYS: dict[str, type[RestLane] | type[SocketLane] | type[GrpcLane]] = {
    "rest": RestLane,
    "ws": SocketLane,
    "grpc": GrpcLane,
}


@contextlib.asynccontextmanager
async def open_lanes(way: str, target: str, key: str, lanes: int, size: int) -> AsyncIterator[list[Lane]]:
    """Opens connections that send batches of `size` events."""
    opened: list[Lane] = []
    try:
        for number in range(lanes):
            lane = WAYS[way](target, key, size, number * _TEMPLATES * size)
            await lane.open()
            opened.append(lane)
        yield opened
    finally:
        for lane in opened:
            await lane.close()


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
