"""A TCP proxy that misbehaves on command: what networks and dying machines do to a connection."""

import asyncio
import random
import socket
import struct
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any

_CHUNK = 64 * 1024
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close() sends RST


class Fault(Enum):
    """What the proxy does to connections while it is broken."""

    DELAY = "delay"  # every piece waits
    RESET = "reset"  # RST to both sides
    HALF_CLOSE = "half-close"  # one side is told that the other has finished, though it has not
    BLACK_HOLE = "black-hole"  # nothing arrives, nobody is told; what waited arrives after the healing
    CUT_REPLY = "cut-reply"  # the server has done it (PostgreSQL has committed), its reply is lost with the connection


IsReply = Callable[[bytes], bool]


class FaultProxy:
    """Forwards 127.0.0.1:`port` to another port; `break_with` and `heal` may be called at any time.

    Args:
        target_port: where to.
        is_reply: recognises the piece of the server's stream that CUT_REPLY drops.
        rng: decides which connection is hit when.
    """

    def __init__(self, target_port: int, is_reply: IsReply, rng: random.Random) -> None:
        self._target_port = target_port
        self._is_reply = is_reply
        self._rng = rng
        self._fault: Fault | None = None
        self._healed = asyncio.Event()
        self._healed.set()
        self._links: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.hits = 0

    async def start(self, port: int = 0) -> None:
        """Listens."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Ends listening and every connection."""
        if self._server is not None:
            self._server.close()
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def break_with(self, fault: Fault) -> None:
        """From now on this happens."""
        self._fault = fault
        self.hits = 0
        self._healed.clear()

    def heal(self) -> None:
        """From now on pieces pass."""
        self._fault = None
        self._healed.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # either side may go at any time; that is what this proxy is about
        finally:
            writer.transport.abort()
            self._links.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._fault is Fault.RESET and self._rng.random() < 0.5:
            self.hits += 1
            _reset(writer)
            return
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        writers = (writer, up_writer)
        try:
            await _both(
                self._pump(reader, up_writer, writers, from_server=False),
                self._pump(up_reader, writer, writers, from_server=True),
            )
        finally:
            up_writer.transport.abort()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        writers: tuple[asyncio.StreamWriter, ...],
        *,
        from_server: bool,
    ) -> None:
        while piece := await source.read(_CHUNK):
            match self._fault:
                case Fault.DELAY:
                    self.hits += 1
                    await asyncio.sleep(self._rng.uniform(0.02, 0.3))
                case Fault.BLACK_HOLE:
                    self.hits += 1
                    await self._healed.wait()
                case Fault.RESET if self._rng.random() < 0.1:
                    self.hits += 1
                    raise _reset(*writers)
                case Fault.HALF_CLOSE if self._rng.random() < 0.1:
                    self.hits += 1
                    break
                case Fault.CUT_REPLY if from_server and self._is_reply(piece) and self._rng.random() < 0.3:
                    self.hits += 1
                    raise _reset(*writers)
                case _:
                    pass
            sink.write(piece)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()


async def _both(first: Coroutine[Any, Any, None], second: Coroutine[Any, Any, None]) -> None:
    """Waits for both directions to finish; the first that fails ends the other."""
    tasks = [asyncio.ensure_future(first), asyncio.ensure_future(second)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _reset(*writers: asyncio.StreamWriter) -> ConnectionResetError:
    for writer in writers:
        connection: socket.socket | None = writer.get_extra_info("socket")
        if connection is not None and connection.fileno() >= 0:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        writer.transport.abort()
    return ConnectionResetError("by order")
