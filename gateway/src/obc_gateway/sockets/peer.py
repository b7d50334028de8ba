"""The client's end of a WebSocket: sending and closing never take longer than they may."""

import asyncio

from aiohttp import WSMsgType, web

from obc_common.logs import get_logger
from obc_gateway import metrics

_log = get_logger(__name__)
_CLOSE_SECONDS = 5.0


class PeerGoneError(Exception):
    """The client is gone, or reads nothing."""


class Peer:
    """Wraps an accepted socket.

    Args:
        socket: prepared.
        request: its upgrade request.
        send_seconds: a client that takes no bytes for this long is cut off.
    """

    def __init__(self, socket: web.WebSocketResponse, request: web.BaseRequest, send_seconds: float) -> None:
        self._socket = socket
        self._transport = request.transport
        self._send_seconds = send_seconds

    @property
    def socket(self) -> web.WebSocketResponse:
        """For reading."""
        return self._socket

    async def send(self, frame: bytes) -> None:
        """Sends a text frame. Memory is bounded: it waits while the client does not read.

        Raises:
            PeerGoneError: and the connection is cut.
        """
        if self._socket.closed:
            raise PeerGoneError
        try:
            async with asyncio.timeout(self._send_seconds):
                await self._socket.send_frame(frame, WSMsgType.TEXT)
        except TimeoutError:
            _log.info("socket_client_reads_nothing")
            self.cut()
            raise PeerGoneError from None
        except (ConnectionError, RuntimeError) as error:  # aiohttp says RuntimeError for a socket that just closed
            raise PeerGoneError from error

    async def close(self, code: int, reason: str) -> None:
        """Closes with a code; a client that does not answer is cut off."""
        metrics.SOCKET_CLOSES.labels(str(code)).inc()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._socket.close(code=code, message=reason.encode())
        except (TimeoutError, ConnectionError):
            self.cut()

    def cut(self) -> None:
        """Drops the connection and whatever is still buffered for it."""
        if self._transport is not None:
            self._transport.abort()
