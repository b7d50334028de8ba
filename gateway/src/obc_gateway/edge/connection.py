"""One client connection: aiohttp's, plus what it lacks.

aiohttp waits for the rest of a header for ever, answers malformed HTTP in plain text and logs it with the address, and
takes unmasked WebSocket frames.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http_websocket import WebSocketReader
from aiohttp.web_protocol import RequestHandler

from obc_common.errors import DeadlineExceeded, InvalidArgument
from obc_gateway import metrics
from obc_gateway.edge import correlation
from obc_gateway.edge.answer_headers import STANDING_HEADERS
from obc_gateway.edge.error_answer import error_answer, error_json
from obc_gateway.edge.mask_guard import MaskGuard

_CLOSE_PROTOCOL_ERROR = b"\x88\x02" + (1002).to_bytes(2, "big")


class Connection(RequestHandler):
    """An HTTP/1.1 connection.

    Args:
        server: aiohttp's server.
        header_seconds: from the first byte of a request to the end of its headers.
        options: aiohttp's.
    """

    __slots__ = ("_header_seconds", "_header_timer", "_mask_guard")

    def __init__(self, server: web.Server, *, header_seconds: float, **options: Any) -> None:
        super().__init__(server, **options)
        self._header_seconds = header_seconds
        self._header_timer: asyncio.TimerHandle | None = None
        self._mask_guard: MaskGuard | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        metrics.CONNECTIONS.inc()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        metrics.CONNECTIONS.dec()
        self._stop_header_timer()
        super().connection_lost(exc)

    def set_parser(self, parser: WebSocketReader, data_received_cb: Callable[[], None] | None = None) -> None:
        """aiohttp calls this when the connection becomes a WebSocket."""
        self._mask_guard = MaskGuard()
        if self._message_tail and not self._mask_guard.admit(self._message_tail):
            self._message_tail = b""
            self._close_unmasked()
        super().set_parser(parser, data_received_cb)

    def data_received(self, data: bytes) -> None:
        if self._mask_guard is not None and not self._mask_guard.admit(data):
            self._close_unmasked()
            return
        super().data_received(data)
        # aiohttp waits on `_waiter` exactly while no request is complete: what came now is a part of its headers.
        if self._waiter is None or self._waiter.done():
            self._stop_header_timer()
        elif self._header_timer is None:
            self._header_timer = self._loop.call_later(self._header_seconds, self._headers_late)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answers HTTP that cannot be parsed. Failures of handlers never come here: the middlewares answer them."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        error = InvalidArgument("MALFORMED_REQUEST", "This is not valid HTTP.")
        metrics.ERRORS.labels(error.reason).inc()
        response = error_answer(error, "")
        response.headers.update(STANDING_HEADERS)
        response.headers[correlation.HEADER] = correlation.correlation_id(None)
        response.force_close()
        return response

    def _close_unmasked(self) -> None:
        if self.transport is not None:
            self.transport.write(_CLOSE_PROTOCOL_ERROR)
        self.force_close()

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _headers_late(self) -> None:
        self._header_timer = None
        if self.transport is None:
            return
        error = DeadlineExceeded("BODY_TIMEOUT", "The request's headers did not arrive in time.")
        metrics.CONNECTIONS_REFUSED.labels("header_timeout").inc()
        body = error_json(error, "")
        self.transport.write(
            b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        self.force_close()
