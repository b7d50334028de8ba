"""/v1/live/ws: the live feed on a WebSocket.

`{"type":"snapshot", ...}` and `{"type":"events", ...}`, the same objects as on the event stream. Browsers cannot set
headers on a WebSocket, so the first frame (or the subprotocol) may carry the credential.
"""

import orjson
from aiohttp import WSMsgType, web

from obc.query.v1 import live_pb2
from obc_common.clients import QueryClient
from obc_common.clock import Clock
from obc_common.context import Principal
from obc_common.errors import DomainError, PermissionDenied
from obc_gateway.access import credentials
from obc_gateway.edge.cors import CorsPolicy
from obc_gateway.edge.origins import is_same_origin, normal_origin
from obc_gateway.live.events_handler import WatchFor
from obc_gateway.live.feed import LiveFeed, Update
from obc_gateway.live.relay import relay
from obc_gateway.rest.unary import ApiAccess
from obc_gateway.settings import Settings
from obc_gateway.sockets import answers
from obc_gateway.sockets.admission import SocketAdmission
from obc_gateway.sockets.close_codes import CLIENT_GONE, Close, Ending, ending_for
from obc_gateway.sockets.first_frame import first_auth_frame
from obc_gateway.sockets.flood import FloodGate
from obc_gateway.sockets.frames import Heartbeat, parse_frame
from obc_gateway.sockets.peer import Peer


class LiveSocketHandler:
    """Serves the feed on WebSockets.

    Args:
        settings: limits.
        client: query.
        access: admits callers.
        cors: knows which pages may read the API.
        clock: for heartbeats.
        admission: bounds open sockets.
        watch_for: what can end a caller's socket.
    """

    def __init__(
        self,
        settings: Settings,
        client: QueryClient,
        access: ApiAccess,
        cors: CorsPolicy,
        clock: Clock,
        admission: SocketAdmission,
        watch_for: WatchFor,
    ) -> None:
        self._settings = settings
        self._client = client
        self._access = access
        self._cors = cors
        self._clock = clock
        self._admission = admission
        self._watch_for = watch_for

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers one request."""
        self._check_page(request)
        with self._admission.admit("live"):
            credential = credentials.from_headers(request.headers) or credentials.from_subprotocols(
                request.headers.get("Sec-WebSocket-Protocol", "")
            )
            principal = await self._access.identify(request, credential) if credential else None
            socket = web.WebSocketResponse(
                protocols=(credentials.SUBPROTOCOL,),
                heartbeat=self._settings.socket_ping_seconds,
                compress=False,
                max_msg_size=16 * 1024,  # a client has nothing to say here but its credential
                timeout=2.0,
            )
            await socket.prepare(request)
            peer = Peer(socket, request, self._settings.socket_send_seconds)
            ending = await self._run(request, peer, principal)
            if ending.code is not None:
                await peer.close(ending.code, ending.reason)
        return socket

    def _check_page(self, request: web.Request) -> None:
        """A page of a foreign site may not open this socket, whatever it knows (cross-site WebSocket hijacking)."""
        header = request.headers.get("Origin")
        if header is None:
            return
        origin = normal_origin(header)
        if origin is None or not (is_same_origin(origin, request.host) or self._cors.is_listed(origin)):
            raise PermissionDenied("ORIGIN_NOT_ALLOWED", "Pages of this origin may not open this socket.")

    async def _run(self, request: web.Request, peer: Peer, principal: Principal | None) -> Ending:
        feed: LiveFeed | None = None
        try:
            if principal is None:
                auth = await first_auth_frame(peer.socket, self._settings.socket_auth_seconds)
                if auth is None:
                    return CLIENT_GONE
                principal = await self._access.identify(request, credentials.Credential(auth.token))
            await self._access.count(principal)
            feed = LiveFeed(self._client, principal, live_pb2.StreamLiveRequest())
            return await relay(
                feed,
                None,
                lambda update: peer.send(_frame(update)),
                self._watch_for(principal),
                lambda: self._listen(peer),
            )
        except DomainError as error:
            return ending_for(error)
        finally:
            if feed is not None:
                feed.close()

    async def _listen(self, peer: Peer) -> Ending:
        """Reads what the client says: heartbeats are echoed, the rest is ignored, too much of it is flooding."""
        settings = self._settings
        flood = FloodGate(self._clock, settings.socket_idle_frames_burst, settings.socket_idle_frames_per_second)
        while True:
            message = await peer.socket.receive()
            if message.type is WSMsgType.BINARY:
                return Ending(Close.NOT_TEXT, "TEXT_FRAMES_ONLY")
            if message.type is not WSMsgType.TEXT:
                return CLIENT_GONE
            if not flood.admit():
                return Ending(Close.FLOODING, "FLOODING")
            frame = parse_frame(message.data)
            if isinstance(frame, Heartbeat):
                await peer.send(answers.heartbeat(frame.timestamp, self._clock.now_ms()))


def _frame(update: Update) -> bytes:
    kind, data = update
    return orjson.dumps({"type": kind, **data})
