"""POST of a batch: the inflated body goes to ingest as it is, and ingest's JSON comes back as it is."""

from aiohttp import web

from obc.ingest.v1 import ingest_service_pb2 as pb
from obc_common.clients import IngestClient
from obc_common.context import Principal
from obc_common.errors import Internal
from obc_gateway.access import credentials
from obc_gateway.access.callers import Callers
from obc_gateway.access.checks import check_origin, check_tenant
from obc_gateway.bodies.budget import UNKNOWN_CALLER, BodyBudget
from obc_gateway.bodies.reading import JSON_OR_BEACON, read_body
from obc_gateway.edge.cors import CorsPolicy
from obc_gateway.edge.request_info import RequestReader
from obc_gateway.rest.tenant_slots import TenantSlots
from obc_gateway.transcoding.routes import RouteLimits


class BatchHandler:
    """Takes batches.

    Args:
        client: ingest.
        callers: identifies the sender.
        reader: what is passed on about the request.
        cors: knows which pages may send.
        budget: bytes of all bodies under way.
        slots: batches of each tenant that are passed on at once.
        limits: body size and deadline.
        body_seconds: deadline of the upload.
    """

    def __init__(
        self,
        client: IngestClient,
        callers: Callers,
        reader: RequestReader,
        cors: CorsPolicy,
        budget: BodyBudget,
        slots: TenantSlots,
        limits: RouteLimits,
        body_seconds: float,
    ) -> None:
        self._client = client
        self._callers = callers
        self._reader = reader
        self._cors = cors
        self._budget = budget
        self._slots = slots
        self._limits = limits
        self._body_seconds = body_seconds

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers one request."""
        self._cors.check_sender(request.headers.get("Origin"), request.host)
        credential = credentials.from_headers(request.headers) or credentials.from_query(request.query)
        # Whoever shows a credential early is checked before the body is read.
        principal = await self._identify(request, credential) if credential else None
        owner = UNKNOWN_CALLER if principal is None else principal.tenant_id or principal.subject
        with self._budget.hold(owner) as held:
            body = await read_body(
                request,
                held,
                media_types=JSON_OR_BEACON,
                limit=self._limits.body_bytes,
                deadline_seconds=self._body_seconds,
            )
            if principal is None:
                principal = await self._identify(request, credentials.from_body(body))
            async with self._slots.slot(principal.tenant_id):
                answer = await self._client.ingest_batch(
                    pb.IngestBatchRequest(json=body),
                    principal=principal,
                    timeout=self._limits.deadline_seconds,
                    info=self._reader.info(request, "rest"),
                )
        if not answer.json:
            raise Internal("EMPTY_ANSWER", "ingest answered a JSON batch without JSON")
        return web.Response(body=answer.json, content_type="application/json")

    async def _identify(self, request: web.Request, credential: credentials.Credential | None) -> Principal:
        principal = await self._callers.identify(credential, self._reader.client_ip(request))
        check_origin(principal, request.headers.get("Origin"))
        check_tenant(principal, request.headers.get("X-Tenant-ID"))
        principal.require_scope("ingest")
        return principal
