"""One ingest WebSocket after authentication: one gRPC stream carries it, frame by frame.

Three tasks work on it: one reads the socket and writes the stream, one reads the stream and writes the socket, one
watches for reasons to end. The first that finds a reason decides the ending; then reading stops, the batches that were
received get their answers (when the ending allows it), and only then the socket is closed. No queue lies between the
two sides: a client that does not read stops being answered, ingest that does not read stops being written to, and a
client without credits is not read.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc
from aiohttp import WSMsgType

from obc.ingest.v1 import ingest_service_pb2 as pb
from obc_common.clock import Clock
from obc_common.errors import DomainError, from_rpc_error
from obc_common.logs import get_logger
from obc_gateway import metrics
from obc_gateway.sockets import answers
from obc_gateway.sockets.close_codes import CLIENT_GONE, Close, Ending, ending_for
from obc_gateway.sockets.flood import FloodGate
from obc_gateway.sockets.frames import Auth, Bad, Events, Heartbeat, parse_frame
from obc_gateway.sockets.peer import Peer, PeerGoneError
from obc_gateway.sockets.watch import ConnectionWatch
from obc_gateway.sockets.window import Window

_log = get_logger(__name__)

Call = grpc.aio.StreamStreamCall[pb.IngestStreamRequest, pb.IngestStreamResponse]
_BROKEN_STREAM = (grpc.aio.AioRpcError, asyncio.InvalidStateError, grpc.aio.UsageError)
_RETRY_AFTER_MS = 1000
_KNOWN_CODES = frozenset({1000, 1001, 1005, 1006, 1007, 1009, *Close})


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """How long things may take, seconds."""

    open_seconds: float
    max_age_seconds: float
    reconnect_seconds: float
    ack_seconds: float


class IngestSession:
    """Runs one socket to its end.

    Args:
        peer: the client.
        call: the stream, just opened.
        watch: reasons to end from outside.
        flood: bounds frames without events.
        clock: for heartbeats.
        times: limits.
    """

    def __init__(
        self, peer: Peer, call: Call, watch: ConnectionWatch, flood: FloodGate, clock: Clock, times: SessionTimes
    ) -> None:
        self._peer = peer
        self._call = call
        self._watch = watch
        self._flood = flood
        self._clock = clock
        self._times = times
        self._window = Window(1)
        self._stopping = False
        self._interruptible = False
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Serves until the end; afterwards socket and stream are closed."""
        try:
            if await self._open():
                await self._serve()
        finally:
            self._call.cancel()

    async def _open(self) -> bool:
        try:
            async with asyncio.timeout(self._times.open_seconds):
                first = await self._call.read()
            if not isinstance(first, pb.IngestStreamResponse) or not first.HasField("ready"):
                raise TimeoutError  # it ended before it began; to the client that is the same
        except grpc.aio.AioRpcError as error:
            await self._refuse(ending_for(from_rpc_error(error)))
            return False
        except TimeoutError:
            await self._refuse(Ending(Close.RESTART, "UNAVAILABLE"))
            return False
        self._window = Window(max(1, first.ready.credits))
        try:
            await self._peer.send(answers.ready(first.ready))
        except PeerGoneError:
            return False
        return True

    async def _refuse(self, ending: Ending) -> None:
        if ending.code is not None:
            await self._peer.close(ending.code, ending.reason)

    async def _serve(self) -> None:
        reader = asyncio.create_task(self._until_end(self._read_socket), name="socket-reader")
        responder = asyncio.create_task(self._until_end(self._read_stream), name="socket-responder")
        watchers = [
            asyncio.create_task(self._until_end(self._watch.ending), name="socket-watch"),
            asyncio.create_task(self._until_end(self._grow_old), name="socket-age"),
        ]
        try:
            ending = await self._ending
            await self._stop_reading(reader)
            if ending.wait_for_acks:
                await self._finish_stream(responder)
            if ending.code is not None:
                await self._peer.close(ending.code, ending.reason)
            else:
                metrics.SOCKET_CLOSES.labels(_bounded(self._peer.socket.close_code)).inc()
        finally:
            for task in (reader, responder, *watchers):
                task.cancel()
            await asyncio.gather(reader, responder, *watchers, return_exceptions=True)

    async def _until_end(self, body: Callable[[], Awaitable[Ending | None]]) -> None:
        """Runs a task of this session; what it returns is the ending, unless there is one already."""
        try:
            ending = await body()
        except PeerGoneError:
            ending = CLIENT_GONE
        except Exception:
            _log.exception("socket_task_failed")
            ending = Ending(Close.RESTART, "INTERNAL", wait_for_acks=False)
        if ending is not None:
            self._end(ending)

    def _end(self, ending: Ending) -> None:
        if not self._ending.done():
            self._ending.set_result(ending)

    async def _stop_reading(self, reader: asyncio.Task[None]) -> None:
        # A reader that writes to the stream must not be cancelled: that would cancel the call and its acks.
        self._stopping = True
        if self._interruptible:
            reader.cancel()
        await asyncio.wait({reader}, timeout=self._times.ack_seconds)

    async def _finish_stream(self, responder: asyncio.Task[None]) -> None:
        try:
            async with asyncio.timeout(self._times.ack_seconds):
                await self._call.done_writing()
                await asyncio.wait({responder})
        except (TimeoutError, *_BROKEN_STREAM):
            pass
        try:
            for frame in answers.retry_all(self._window.unacked, _RETRY_AFTER_MS):
                await self._peer.send(frame)
        except PeerGoneError:
            pass

    async def _read_socket(self) -> Ending | None:
        while not self._stopping:
            self._interruptible = True
            await self._window.has_room()
            message = await self._peer.socket.receive()
            self._interruptible = False
            if message.type is WSMsgType.TEXT:
                ending = await self._take(message.data)
                if ending is not None:
                    return ending
            elif message.type is WSMsgType.BINARY:
                return Ending(Close.NOT_TEXT, "TEXT_FRAMES_ONLY")
            else:
                return CLIENT_GONE
        return None

    async def _take(self, text: str) -> Ending | None:
        frame = parse_frame(text)
        metrics.SOCKET_FRAMES.labels(type(frame).__name__.lower()).inc()
        if isinstance(frame, Events):
            if frame.seq is None or frame.seq not in self._window:
                await self._forward(frame)
                return None
            frame = Bad("DUPLICATE_SEQ", "A batch with this seq has no answer yet.")
        if not self._flood.admit():
            return Ending(Close.FLOODING, "FLOODING", wait_for_acks=False)
        if isinstance(frame, Heartbeat):
            await self._peer.send(answers.heartbeat(frame.timestamp, self._clock.now_ms()))
        elif isinstance(frame, Bad):
            await self._peer.send(answers.error(frame.reason, frame.message))
        else:
            assert isinstance(frame, Auth)  # a client that authenticated in the URL may say it again: harmless
        return None

    async def _forward(self, frame: Events) -> None:
        seq = self._window.open(frame.seq)
        try:
            await self._call.write(pb.IngestStreamRequest(seq=seq, json=frame.json))
        except _BROKEN_STREAM:
            self._stopping = True  # the responder learns why the stream broke, and decides the ending

    async def _read_stream(self) -> Ending:
        while True:
            try:
                message = await self._call.read()
            except grpc.aio.AioRpcError as error:
                return self._broken(from_rpc_error(error))
            if not isinstance(message, pb.IngestStreamResponse):
                return Ending(Close.RESTART, "STREAM_ENDED")
            match message.WhichOneof("message"):
                case "ack":
                    self._window.close(message.ack.seq, message.ack.credits)
                    await self._answer(answers.ack(message.ack))
                case "retry":
                    self._window.close(message.retry.seq)
                    await self._answer(answers.retry(message.retry))
                case "config":
                    await self._answer(answers.config(message.config))
                case "reconnect":
                    await self._answer(answers.reconnect(message.reconnect.reason))
                    self._end(Ending(Close.RESTART, "RECONNECT"))
                case _:
                    continue  # a kind that a newer ingest has

    async def _answer(self, frame: bytes) -> None:
        """Sends, unless the client is gone already: then the stream is still followed, so that batches are stored."""
        if self._ending.done() and self._ending.result().code is None:
            return
        try:
            await self._peer.send(frame)
        except PeerGoneError:
            self._end(CLIENT_GONE)

    def _broken(self, error: DomainError) -> Ending:
        _log.info("ingest_stream_broke", reason=error.reason)
        ending = ending_for(error)
        return Ending(ending.code, ending.reason) if ending.code is Close.RESTART else ending

    async def _grow_old(self) -> Ending:
        await asyncio.sleep(self._times.max_age_seconds)
        await self._peer.send(answers.reconnect("max_age"))
        await asyncio.sleep(self._times.reconnect_seconds)
        return Ending(Close.RESTART, "MAX_AGE")


def _bounded(code: int | None) -> str:
    """A close code as a metric label: clients may send any number."""
    return str(code) if code in _KNOWN_CODES else "other"


def with_jitter(seconds: float, jitter: float) -> float:
    """An age that differs between sockets, so that they do not all reconnect at once."""
    return seconds + random.uniform(0, jitter)  # noqa: S311  # jitter, no secret
