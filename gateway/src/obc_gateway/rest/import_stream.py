"""One import: the client's bytes to ingest in chunks of lines, ingest's answers back as they come.

Both directions flow at once and both are bounded: a few chunks are under way, and whoever is slow (the client, ingest,
the database) makes the others wait.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from obc.ingest.v1 import ingest_service_pb2 as pb
from obc_common.errors import Cancelled, DeadlineExceeded, DomainError, InvalidArgument, Unavailable, from_rpc_error
from obc_gateway.bodies.inflate_stream import StreamInflater
from obc_gateway.bodies.lines import Chunk, LineChunks

CHUNK_LINES = 2000
CHUNK_BYTES = 1024 * 1024
LINE_BYTES = 65_536
CHUNKS_UNDER_WAY = 3

Call = grpc.aio.StreamStreamCall[pb.ImportEventsRequest, pb.ImportEventsResponse]


@dataclass(slots=True)
class Tally:
    """What the last line of the answer says."""

    next_line: int
    counts: dict[str, int] = field(default_factory=lambda: {"accepted": 0, "duplicate": 0, "dropped": 0, "rejected": 0})

    def add(self, answer: pb.ImportEventsResponse) -> None:
        """Counts an answer."""
        self.next_line = answer.next_line
        for name in self.counts:
            self.counts[name] += getattr(answer, name)

    def line(self, *, complete: bool) -> bytes:
        """The summary. `next_line` is where an incomplete import goes on."""
        summary: dict[str, Any] = {"complete": complete, "next_line": self.next_line, **self.counts}
        return orjson.dumps({"summary": summary}, option=orjson.OPT_APPEND_NEWLINE)


class ImportStream:
    """Moves one import.

    Args:
        request: its body must not have been read yet.
        call: to ingest; the owner cancels it at the end.
        inflater: of the body.
        first_line: number of the body's first line.
        results: which events the answer lists.
        idle_seconds: longest wait for the client's next bytes.
        draining: set when the process is about to end.

    Attributes:
        failure: why the import ended early; None = it did not.
    """

    def __init__(
        self,
        request: web.BaseRequest,
        call: Call,
        inflater: StreamInflater,
        *,
        first_line: int,
        results: pb.ImportResults.ValueType,
        idle_seconds: float,
        draining: asyncio.Event,
    ) -> None:
        self._request = request
        self._call = call
        self._inflater = inflater
        self._results = results
        self._idle_seconds = idle_seconds
        self._draining = draining
        self._lines = LineChunks(first_line, most_lines=CHUNK_LINES, most_bytes=CHUNK_BYTES, line_bytes=LINE_BYTES)
        self._slots = asyncio.Semaphore(CHUNKS_UNDER_WAY)
        self.failure: DomainError | None = None

    async def answers(self) -> AsyncIterator[pb.ImportEventsResponse]:
        """Ingest's answers, in order, until everything that was whole is answered; see `failure` then.

        Raises:
            Cancelled: the client is gone.
        """
        sending = asyncio.create_task(self._send(), name="import")
        try:
            while True:
                answer = await self._call.read()
                if not isinstance(answer, pb.ImportEventsResponse):
                    break
                self._slots.release()
                yield answer
            await sending
        except grpc.aio.AioRpcError as error:
            self.failure = self.failure or from_rpc_error(error)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send(self) -> None:
        try:
            async for chunk in self._chunks():
                await self._slots.acquire()
                await self._call.write(
                    pb.ImportEventsRequest(first_line=chunk.first_line, lines=chunk.lines, results=self._results)
                )
            await self._call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # ingest has ended the call: reading it says why
        except BaseException:
            self._call.cancel()  # or nobody would end the wait for answers
            raise

    async def _chunks(self) -> AsyncIterator[Chunk]:
        try:
            async for piece in self._pieces():
                for inflated in self._inflater.feed(piece):
                    for chunk in self._lines.feed(inflated):
                        yield chunk
            for chunk in self._lines.feed(self._inflater.finish()):
                yield chunk
            last = self._lines.finish()
        except Cancelled:
            raise
        except DomainError as error:
            # What came whole is stored all the same; the answer ends with the error and the line to go on with.
            self.failure = error
            last = self._lines.whole()
        if last is not None:
            yield last

    async def _pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises DomainError: BODY_TIMEOUT, BAD_BODY, DRAINING, CLIENT_GONE."""
        content = self._request.content
        draining = asyncio.create_task(self._draining.wait(), name="import draining")
        try:
            while not content.at_eof():
                reading = asyncio.ensure_future(content.readany())
                try:
                    await asyncio.wait(
                        {reading, draining}, timeout=self._idle_seconds, return_when=asyncio.FIRST_COMPLETED
                    )
                    if draining.done():
                        raise Unavailable("DRAINING", "this process is about to end", retry_after=1.0)
                    if not reading.done():
                        raise DeadlineExceeded(
                            "BODY_TIMEOUT", f"The next bytes did not arrive within {self._idle_seconds:g} s."
                        )
                    yield reading.result()
                except (web.RequestPayloadError, HttpProcessingError) as error:
                    raise InvalidArgument("BAD_BODY", "The body breaks the HTTP framing.") from error
                except ConnectionError as error:
                    raise Cancelled("CLIENT_GONE", "The client closed the connection.") from error
                finally:
                    reading.cancel()
        finally:
            draining.cancel()
