"""A TCP proxy that loses exactly the answer: the server has committed, the client never hears of it."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

_FRAME_HEADER = 9
_DATA_FRAME = 0


class CuttingProxy:
    """Forwards connections to one address; `cut_next` makes it swallow an answer and reset its connection.

    Attributes:
        port: where it listens.
        armed: answers still to be lost.
        cuts: answers lost so far.
    """

    def __init__(self, target: tuple[str, int], speaks: Literal["grpc", "http"]) -> None:
        self._target = target
        self._speaks = speaks
        self.port = 0
        self.armed = 0
        self.cuts = 0

    def cut_next(self, answers: int = 1) -> None:
        """The next answers are lost, each with its connection."""
        self.armed += answers

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            up_reader, up_writer = await asyncio.wait_for(asyncio.open_connection(*self._target), 5)
        except (OSError, TimeoutError):
            writer.transport.abort()
            return
        ways = [
            asyncio.create_task(_copy(reader, up_writer)),
            asyncio.create_task(self._answers(up_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.transport.abort()
            up_writer.transport.abort()

    async def _answers(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Forwards answers until one is to be lost. Of gRPC, the first DATA frame (`ready`) always passes."""
        data_frames = 0
        while chunk := await self._read(source):
            is_answer = self._speaks == "http"
            if self._speaks == "grpc" and chunk[3] == _DATA_FRAME:
                data_frames += 1
                is_answer = data_frames > 1
            if is_answer and self.armed:
                self.armed -= 1
                self.cuts += 1
                return
            sink.write(chunk)
            await sink.drain()

    async def _read(self, source: asyncio.StreamReader) -> bytes:
        """One HTTP/2 frame, or whatever there is of HTTP/1; empty at the end."""
        if self._speaks == "http":
            return await source.read(65536)
        try:
            header = await source.readexactly(_FRAME_HEADER)
            (length,) = struct.unpack(">I", b"\0" + header[:3])
            return header + await source.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while chunk := await source.read(65536):
            sink.write(chunk)
            await sink.drain()
    except ConnectionError:
        return


@asynccontextmanager
async def cutting_proxy(port: int, speaks: Literal["grpc", "http"], listen: int = 0) -> AsyncIterator[CuttingProxy]:
    """A proxy before a port of this machine, on a port (0 = any free one), while the context is open."""
    proxy = CuttingProxy(("127.0.0.1", port), speaks)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", listen)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
