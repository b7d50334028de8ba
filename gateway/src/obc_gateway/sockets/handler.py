"""The WebSocket endpoints: who may upgrade, who may send, then a session."""

import asyncio

from aiohttp import web

from obc_common.clients import IngestClient
from obc_common.clock import Clock
from obc_common.context import Principal
from obc_common.directory import TenantDirectory
from obc_common.errors import DomainError
from obc_gateway.access import credentials
from obc_gateway.access.callers import Callers
from obc_gateway.access.checks import check_origin, check_tenant, refuse_null_origin
from obc_gateway.edge.cors import CorsPolicy
from obc_gateway.edge.request_info import RequestReader
from obc_gateway.settings import Settings
from obc_gateway.sockets.admission import SocketAdmission
from obc_gateway.sockets.close_codes import Close, ending_for
from obc_gateway.sockets.first_frame import first_auth_frame
from obc_gateway.sockets.flood import FloodGate
from obc_gateway.sockets.peer import Peer
from obc_gateway.sockets.session import IngestSession, SessionTimes, with_jitter
from obc_gateway.sockets.watch import ConnectionWatch


class IngestSocketHandler:
    """Serves `/ws/analytics`, `/ws/analytics/{tenant_id}` and `/v1/stream`.

    Args:
        settings: limits.
        client: ingest.
        callers: identifies the sender.
        reader: what is passed on about the request.
        cors: knows which pages may send.
        directory: knows which keys are live.
        clock: time.
        admission: bounds open sockets.
        draining: set when the process is about to end.
    """

    def __init__(
        self,
        settings: Settings,
        client: IngestClient,
        callers: Callers,
        reader: RequestReader,
        cors: CorsPolicy,
        directory: TenantDirectory,
        clock: Clock,
        admission: SocketAdmission,
        draining: asyncio.Event,
    ) -> None:
        self._settings = settings
        self._client = client
        self._callers = callers
        self._reader = reader
        self._cors = cors
        self._directory = directory
        self._clock = clock
        self._admission = admission
        self._draining = draining

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers one request."""
        self._cors.check_sender(request.headers.get("Origin"), request.host)
        with self._admission.admit("ingest"):
            principal = await self._principal_at_upgrade(request)
            socket = web.WebSocketResponse(
                protocols=(credentials.SUBPROTOCOL,),
                heartbeat=self._settings.socket_ping_seconds,
                compress=False,
                max_msg_size=self._settings.socket_frame_bytes,
                timeout=2.0,
            )
            await socket.prepare(request)
            peer = Peer(socket, request, self._settings.socket_send_seconds)
            if principal is None:
                principal = await self._principal_on_socket(request, peer)
            if principal is not None:
                await self._session(request, peer, principal).run()
        return socket

    async def _principal_at_upgrade(self, request: web.Request) -> Principal | None:
        """The sender, when the upgrade request names one. Whoever may not send gets an HTTP error, and no socket."""
        credential = (
            credentials.from_headers(request.headers)
            or credentials.from_query(request.query)
            or credentials.from_subprotocols(request.headers.get("Sec-WebSocket-Protocol", ""))
        )
        if credential is None:
            refuse_null_origin(request.headers.get("Origin"))
            return None
        return await self._principal(request, credential, "")

    async def _principal_on_socket(self, request: web.Request, peer: Peer) -> Principal | None:
        """The sender, from the first frame; None when the socket was closed instead."""
        try:
            auth = await first_auth_frame(peer.socket, self._settings.socket_auth_seconds)
            if auth is None:
                return None
            return await self._principal(request, credentials.Credential(auth.token), auth.tenant_id)
        except DomainError as error:
            ending = ending_for(error)
            await peer.close(ending.code or Close.RESTART, ending.reason)
            return None

    async def _principal(
        self, request: web.Request, credential: credentials.Credential, tenant_in_frame: str
    ) -> Principal:
        principal = await self._callers.identify(credential, self._reader.client_ip(request))
        check_origin(principal, request.headers.get("Origin"))
        for named in (request.match_info.get("tenant_id"), request.headers.get("X-Tenant-ID"), tenant_in_frame):
            check_tenant(principal, named)
        principal.require_scope("ingest")
        return principal

    def _session(self, request: web.Request, peer: Peer, principal: Principal) -> IngestSession:
        settings = self._settings
        return IngestSession(
            peer,
            self._client.stream(principal=principal, info=self._reader.info(request, "ws")),
            ConnectionWatch(principal, self._directory, self._clock, self._draining),
            FloodGate(self._clock, settings.socket_idle_frames_burst, settings.socket_idle_frames_per_second),
            self._clock,
            SessionTimes(
                open_seconds=settings.ingest_deadline_seconds,
                max_age_seconds=with_jitter(settings.socket_max_age_seconds, settings.socket_age_jitter_seconds),
                reconnect_seconds=settings.socket_reconnect_seconds,
                ack_seconds=settings.socket_ack_seconds,
            ),
        )
