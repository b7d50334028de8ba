"""The listening socket, with a cap on open connections."""

import asyncio
import logging
import socket

from aiohttp import web

from obc_gateway import metrics
from obc_gateway.edge.connection import Connection
from obc_gateway.settings import Settings

_BACKLOG = 1024
# After an answer to a half-read request the rest is read for so long, so that the client sees the answer, not a reset.
_LINGER_SECONDS = 1.0
_MAX_HEADERS = 100
_MAX_LINE = 8190


class _Refusal(asyncio.Protocol):
    """A connection over the cap: closed before it costs anything."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        metrics.CONNECTIONS_REFUSED.labels("too_many").inc()
        transport.close()


class Listener:
    """Accepts connections for an aiohttp runner.

    Args:
        runner: set up already; it is cleaned up by its owner.
        settings: address and limits.
    """

    def __init__(self, runner: web.AppRunner, settings: Settings) -> None:
        assert runner.server is not None
        self._manager = runner.server
        self._settings = settings
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listens, and answers the port. Raises OSError naming the port when it is taken."""
        settings = self._settings
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._accept, settings.host, settings.port, backlog=_BACKLOG, reuse_address=True
            )
        except OSError as error:
            raise OSError(f"gateway: cannot listen on {settings.host}:{settings.port}: {error}") from error
        listening: socket.socket = self._server.sockets[0]
        port: int = listening.getsockname()[1]
        return port

    def stop(self) -> None:
        """Accepts no more; open connections go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def _accept(self) -> asyncio.Protocol:
        settings = self._settings
        if len(self._manager.connections) >= settings.max_connections:
            return _Refusal()
        return Connection(
            self._manager,
            loop=asyncio.get_running_loop(),
            header_seconds=settings.header_seconds,
            keepalive_timeout=settings.keepalive_seconds,
            # Our own middleware logs, without addresses and query strings.
            access_log=None,
            # Bodies are inflated by our own bounded inflater.
            auto_decompress=False,
            lingering_time=_LINGER_SECONDS,
            max_line_size=_MAX_LINE,
            max_field_size=_MAX_LINE,
            max_headers=_MAX_HEADERS,
            logger=logging.getLogger("aiohttp.server"),
        )
