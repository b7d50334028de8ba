"""The three ways in as a client that must survive anything uses them: lazily opened, thrown away when in doubt.

Several batches may be under way at once. Every send has a deadline; whatever goes wrong is one `SendError`.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

import aiohttp
import grpc
import orjson

from obc.ingest.v1 import ingest_service_pb2 as pb
from obc.ingest.v1 import ingest_service_pb2_grpc as pb_grpc
from tests.support.product import OUTCOMES, Event, Result, typed_event

# Longer than the gateway's own deadline for a batch: the product has to answer first.
_TIMEOUT = 20.0
_OPEN_TIMEOUT = 8.0
# 500 is none of them: no crash of another process is a reason for an unexpected error.
_TRY_AGAIN = (429, 503, 504)
_UNEXPECTED = ("INTERNAL", "DATABASE_ERROR")


class SendError(Exception):
    """Nothing is known of the batch; send the same ids again. The text is a short reason."""


class Connection(Protocol):
    """One client."""

    way: str

    async def send(self, events: Sequence[Event]) -> list[Result]:
        """One batch; its results in order. Raises SendError."""
        ...

    async def close(self) -> None:
        """Lets everything go."""
        ...


class RestConnection:
    """`POST /v1/events:batch`."""

    way = "rest"

    def __init__(self, url: str, key: str) -> None:
        self._url = f"{url}/v1/events:batch"
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT),
        )

    async def send(self, events: Sequence[Event]) -> list[Result]:
        """See Connection."""
        body = orjson.dumps({"events": events, "sent_at": int(time.time() * 1000)})
        try:
            async with self._session.post(self._url, data=body) as response:
                content = await response.read()
                if response.status == 200:
                    results: list[Result] = orjson.loads(content)["results"]
                    return results
                if response.status not in _TRY_AGAIN:
                    raise AssertionError(f"a good batch was refused: {response.status} {content[:300]!r}")
                if response.status != 504 and not response.headers.get("Retry-After", "").isdigit():
                    raise AssertionError(f"{response.status} does not say when to try again: {content[:300]!r}")
                raise SendError(str(response.status))
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise SendError(type(error).__name__) from error

    async def close(self) -> None:
        """See Connection."""
        await self._session.close()


class _Stream(ABC):
    """What both stream clients share: answers find their batch by number, and an end fails all that wait."""

    way = ""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[list[Result]]] = {}
        self._seq = 0
        self._opening = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None

    async def send(self, events: Sequence[Event]) -> list[Result]:
        """See Connection."""
        self._seq += 1
        seq = self._seq
        answer: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(_TIMEOUT):
                async with self._opening:
                    if self._reader is None or self._reader.done():
                        await self.close()
                        async with asyncio.timeout(_OPEN_TIMEOUT):
                            await self._open()
                        self._reader = asyncio.create_task(self._read_to_the_end())
                    self._waiting[seq] = answer
                    await self._write(seq, events)  # a gRPC stream takes one write at a time
                return await answer
        except asyncio.CancelledError:
            # A gRPC call that another batch gave up says so with this; somebody who cancels us means us.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise SendError("given up") from None
        except (aiohttp.ClientError, OSError, grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            if isinstance(error, TimeoutError):
                await self.close()  # an answer that is this late never comes
            raise SendError(type(error).__name__) from error
        finally:
            self._waiting.pop(seq, None)
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # seen, also when the write failed first

    async def _read_to_the_end(self) -> None:
        reason = "ended"
        try:
            await self._read()
        except (aiohttp.ClientError, OSError, grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            reason = type(error).__name__
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(SendError(reason))

    def _answer(self, seq: int, results: list[Result]) -> None:
        answer = self._waiting.get(seq)
        if answer is not None and not answer.done():
            answer.set_result(results)

    def _retry(self, seq: int, reason: str, *, permanent: bool) -> None:
        answer = self._waiting.get(seq)
        if answer is not None and not answer.done():
            if permanent or reason in _UNEXPECTED:
                answer.set_exception(AssertionError(f"a good batch was refused: {reason}"))
            else:
                answer.set_exception(SendError(f"retry {reason}"))

    async def close(self) -> None:
        """See Connection."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
            self._reader = None
        await self._close()

    @abstractmethod
    async def _open(self) -> None: ...

    @abstractmethod
    async def _write(self, seq: int, events: Sequence[Event]) -> None: ...

    @abstractmethod
    async def _read(self) -> None: ...

    @abstractmethod
    async def _close(self) -> None: ...


class SocketConnection(_Stream):
    """WebSocket `/v1/stream`."""

    way = "ws"

    def __init__(self, url: str, key: str) -> None:
        super().__init__()
        self._url = url.replace("http", "ws", 1) + "/v1/stream"
        self._key = key
        self._session: aiohttp.ClientSession | None = None

    async def _open(self) -> None:
        self._session = aiohttp.ClientSession()
        self._socket = await self._session.ws_connect(self._url, timeout=aiohttp.ClientWSTimeout(ws_close=2))
        await self._socket.send_json({"type": "auth", "token": self._key})
        first = await self._socket.receive()
        if first.type is not aiohttp.WSMsgType.TEXT or orjson.loads(first.data)["type"] != "ready":
            raise ConnectionError("not ready")

    async def _write(self, seq: int, events: Sequence[Event]) -> None:
        frame = {"type": "events", "seq": seq, "sent_at": int(time.time() * 1000), "events": events}
        await self._socket.send_str(orjson.dumps(frame).decode())

    async def _read(self) -> None:
        async for message in self._socket:
            frame: dict[str, Any] = orjson.loads(message.data)
            if frame["type"] == "ack":
                self._answer(frame["seq"], frame["results"])
            elif frame["type"] == "retry":
                self._retry(frame["seq"], frame.get("reason", ""), permanent=frame.get("permanent", False))

    async def _close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


class GrpcConnection(_Stream):
    """`IngestStream`."""

    way = "grpc"

    def __init__(self, address: str, key: str) -> None:
        super().__init__()
        self._address = address
        self._metadata = (("authorization", f"Bearer {key}"),)
        self._channel: grpc.aio.Channel | None = None

    async def _open(self) -> None:
        # A channel that has failed waits longer and longer before it tries again; this client decides that itself.
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 200))
        self._channel = grpc.aio.insecure_channel(self._address, options=options)
        stub: pb_grpc.IngestServiceAsyncStub = pb_grpc.IngestServiceStub(self._channel)
        self._call = stub.IngestStream(metadata=self._metadata)
        first = await self._call.read()
        if not isinstance(first, pb.IngestStreamResponse) or not first.HasField("ready"):
            raise ConnectionError("not ready")

    async def _write(self, seq: int, events: Sequence[Event]) -> None:
        batch = pb.EventBatch(events=map(typed_event, events), sent_at_ms=int(time.time() * 1000))
        await self._call.write(pb.IngestStreamRequest(seq=seq, typed=batch))

    async def _read(self) -> None:
        while isinstance(message := await self._call.read(), pb.IngestStreamResponse):
            match message.WhichOneof("message"):
                case "ack":
                    results = [{"event_id": r.event_id, "result": OUTCOMES[r.result]} for r in message.ack.results]
                    self._answer(message.ack.seq, results)
                case "retry":
                    self._retry(message.retry.seq, message.retry.reason, permanent=message.retry.permanent)
                case "reconnect":
                    await self._call.done_writing()
                case _:
                    continue

    async def _close(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()
