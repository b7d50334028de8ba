"""Every other REST route: request -> message -> RPC -> message -> JSON, as the route table says."""

from aiohttp import web

from obc_common.clients import ServiceClient
from obc_common.context import Principal
from obc_common.ratelimit import RateLimiter
from obc_common.transcoding.decoding import merge_body, merge_path, merge_query, parse_object, refuse_query
from obc_gateway.access import credentials
from obc_gateway.access.callers import Callers
from obc_gateway.access.checks import check_tenant
from obc_gateway.bodies.budget import BodyBudget
from obc_gateway.bodies.reading import JSON, read_body
from obc_gateway.edge.request_info import RequestReader
from obc_gateway.transcoding.encoding import encode_message
from obc_gateway.transcoding.routes import Route


class ApiAccess:
    """Who may call the API, and how often: shared by all routes but ingest's.

    Args:
        callers: identifies the caller.
        limiter: shared rate limits.
        reader: reads the caller's address.
        rate_per_second: requests of one key.
        burst: requests of one key at once.
    """

    def __init__(
        self, callers: Callers, limiter: RateLimiter, reader: RequestReader, *, rate_per_second: float, burst: int
    ) -> None:
        self._callers = callers
        self._limiter = limiter
        self._reader = reader
        self._rate_per_second = rate_per_second
        self._burst = burst

    async def admit(self, request: web.Request) -> Principal:
        """The caller, by header. Raises DomainError: no credential, another tenant named, or too many requests."""
        principal = await self.identify(request, credentials.from_headers(request.headers))
        await self.count(principal)
        return principal

    async def identify(self, request: web.Request, credential: credentials.Credential | None) -> Principal:
        """The caller, by a credential found elsewhere; not counted yet."""
        principal = await self._callers.identify(credential, self._reader.client_ip(request))
        check_tenant(principal, request.headers.get("X-Tenant-ID"))
        return principal

    async def count(self, principal: Principal) -> None:
        """Takes one request from the caller's rate."""
        bucket = f"api:{principal.tenant_id}:{principal.key_id or principal.subject}"
        await self._limiter.take(bucket, 1, self._rate_per_second, self._burst)


class UnaryHandler:
    """Serves one row of the route table.

    Args:
        route: the row.
        client: the service behind it.
        access: admits callers.
        reader: what is passed on about the request.
        budget: bytes of all bodies under way.
        body_seconds: deadline of the upload.
    """

    def __init__(
        self,
        route: Route,
        client: ServiceClient,
        access: ApiAccess,
        reader: RequestReader,
        budget: BodyBudget,
        body_seconds: float,
    ) -> None:
        self._route = route
        self._client = client
        self._access = access
        self._reader = reader
        self._budget = budget
        self._body_seconds = body_seconds

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers one request."""
        route = self._route
        principal = await self._access.admit(request)
        message = route.request_class()
        if not route.takes_body:
            merge_query(message, request.query.items())
        else:
            refuse_query(request.query)
            body = parse_object(await self._read(request, principal))
            named = body.get("tenant_id")
            if "tenant_id" in message.DESCRIPTOR.fields_by_name and isinstance(named, str):
                check_tenant(principal, named)
            merge_body(message, body)
        merge_path(message, request.match_info)
        answer = await self._client.call(
            route.rpc,
            message,
            principal=principal,
            timeout=route.limits.deadline_seconds,
            info=self._reader.info(request, "rest"),
        )
        return web.Response(body=encode_message(answer), content_type="application/json")

    async def _read(self, request: web.Request, principal: Principal) -> bytes:
        limit = self._route.limits.body_bytes
        with self._budget.hold(principal.tenant_id or principal.subject) as held:
            return await read_body(request, held, media_types=JSON, limit=limit, deadline_seconds=self._body_seconds)
