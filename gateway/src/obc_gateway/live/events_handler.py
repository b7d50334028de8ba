"""GET /v1/live: the live feed as server-sent events (WHATWG HTML, 9.2).

`Last-Event-ID` is ignored: the feed is about now, and what was missed is in the numbers of the next snapshot.
"""

import asyncio
from collections.abc import Callable

import orjson
from aiohttp import web

from obc.query.v1 import live_pb2
from obc_common.clients import QueryClient
from obc_common.context import Principal
from obc_common.errors import Unavailable
from obc_common.transcoding.decoding import merge_query
from obc_gateway.live.feed import LiveFeed, Update
from obc_gateway.live.relay import relay
from obc_gateway.rest.unary import ApiAccess
from obc_gateway.settings import Settings
from obc_gateway.sockets.admission import SocketAdmission
from obc_gateway.sockets.close_codes import Ending
from obc_gateway.sockets.peer import PeerGoneError
from obc_gateway.sockets.watch import ConnectionWatch

WatchFor = Callable[[Principal], ConnectionWatch]


class LiveEventsHandler:
    """Serves the event stream.

    Args:
        settings: limits.
        client: query.
        access: admits callers.
        admission: bounds open streams.
        watch_for: what can end a caller's stream.
    """

    def __init__(
        self,
        settings: Settings,
        client: QueryClient,
        access: ApiAccess,
        admission: SocketAdmission,
        watch_for: WatchFor,
    ) -> None:
        self._settings = settings
        self._client = client
        self._access = access
        self._admission = admission
        self._watch_for = watch_for

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers one request."""
        with self._admission.admit("sse"):
            principal = await self._access.admit(request)
            wanted = live_pb2.StreamLiveRequest()
            merge_query(wanted, request.query.items())
            feed = LiveFeed(self._client, principal, wanted)
            try:
                # Before the first byte, so that a refusal still has a status.
                first = await feed.first(self._settings.query_deadline_seconds)
                if first is None:
                    raise Unavailable("FEED_ENDED", "the live feed ended before it began", retry_after=1.0)
                response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
                await response.prepare(request)
                stream = _EventStream(request, response, self._settings.socket_send_seconds)
                await relay(
                    feed,
                    first,
                    stream.update,
                    self._watch_for(principal),
                    lambda: stream.heartbeats(self._settings.live_heartbeat_seconds),
                )
            finally:
                feed.close()
        return response


class _EventStream:
    """The client's end."""

    def __init__(self, request: web.Request, response: web.StreamResponse, send_seconds: float) -> None:
        self._request = request
        self._response = response
        self._send_seconds = send_seconds

    async def update(self, update: Update) -> None:
        kind, data = update
        await self._write(b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps(data)))

    async def heartbeats(self, interval: float) -> Ending:
        while True:
            await asyncio.sleep(interval)
            await self._write(b": still here\n\n")

    async def _write(self, chunk: bytes) -> None:
        try:
            async with asyncio.timeout(self._send_seconds):
                await self._response.write(chunk)
        except TimeoutError:
            if self._request.transport is not None:
                self._request.transport.abort()
            raise PeerGoneError from None
        except ConnectionError as error:
            raise PeerGoneError from error
