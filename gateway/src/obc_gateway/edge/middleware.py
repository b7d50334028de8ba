"""The middlewares, outermost first: observe (correlation id, access log, metrics), errors, CORS preflights."""

import time

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from obc_common.context import correlation_id_var
from obc_common.errors import DomainError, Internal, InvalidArgument, NotFound, Unimplemented
from obc_common.logs import get_logger
from obc_gateway import metrics
from obc_gateway.edge import correlation, cors
from obc_gateway.edge.cors import CorsPolicy
from obc_gateway.edge.error_answer import error_answer
from obc_gateway.lifecycle import Lifecycle

_access = get_logger("obc.access")
_log = get_logger(__name__)
_UNROUTED = "unrouted"
_PROBES = frozenset({"/livez", "/readyz", "/health"})  # asked every few seconds by every load balancer


def route_name(request: web.Request) -> str:
    """The route's template, for logs and metrics: never the path, which may hold ids."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else _UNROUTED


def observe(lifecycle: Lifecycle) -> Middleware:
    """Correlation id in and out, one log line (no query string, no address), metrics, the count a drain waits for."""

    @web.middleware
    async def observed(request: web.Request, handler: Handler) -> web.StreamResponse:
        correlation_id_var.set(correlation.correlation_id(request.headers.get(correlation.HEADER)))
        route, started = route_name(request), time.perf_counter()
        status, streamed = 499, False  # what is logged when the client is gone before there is an answer
        metrics.HTTP_IN_FLIGHT.inc()
        try:
            with lifecycle.request():
                response = await handler(request)
                status, streamed = response.status, response.prepared
                if lifecycle.leaving and not response.prepared:
                    response.force_close()  # the next request of this client belongs to another process
                return response
        finally:
            seconds = time.perf_counter() - started
            metrics.HTTP_IN_FLIGHT.dec()
            metrics.HTTP_REQUESTS.labels(route, _method(request), str(status)).inc()
            if not streamed:
                metrics.HTTP_SECONDS.labels(route).observe(seconds)
            level = _access.debug if route in _PROBES else _access.warning if status >= 500 else _access.info
            level("http_request", method=_method(request), route=route, status=status, ms=round(seconds * 1000, 1))

    return observed


@web.middleware
async def errors_to_answers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every failure becomes the one error body; an unexpected one is logged and becomes a generic 500."""
    allow: set[str] = set()
    try:
        return await handler(request)
    except DomainError as error:
        failure = error
        if isinstance(error, Internal):
            _log.error("internal_error", reason=error.reason, message=error.message, exc_info=error.__cause__)
    except web.HTTPMethodNotAllowed as error:
        allow = error.allowed_methods
        failure = Unimplemented("METHOD_NOT_ALLOWED", "This address does not know this method.")
    except (web.HTTPNotFound, web.HTTPForbidden):  # forbidden is what aiohttp says of a folder of static files
        failure = NotFound("NO_ROUTE", "There is nothing at this address.")
    except web.HTTPException as error:
        if error.status < 400:
            raise
        # What aiohttp itself refuses: a bad WebSocket handshake, an unknown Expect.
        failure = InvalidArgument("BAD_REQUEST", error.reason)
    except Exception:
        _log.exception("unexpected_error", route=route_name(request))
        failure = Internal("INTERNAL", "internal error")
    if failure.reason == "ORIGIN_NOT_ALLOWED":
        request.pop(cors.ALLOWED_ORIGIN, None)
    metrics.ERRORS.labels(failure.reason).inc()
    return error_answer(failure, correlation_id_var.get(), allow)


def answer_preflights(policy: CorsPolicy) -> Middleware:
    """Answers CORS preflights, and notes which answers a page may read."""

    @web.middleware
    async def preflights(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        refused = request.match_info.http_exception
        if (
            request.method == "OPTIONS"
            and origin is not None
            and "Access-Control-Request-Method" in request.headers
            and isinstance(refused, web.HTTPMethodNotAllowed)
        ):
            return web.Response(status=204, headers=policy.preflight(request.path, origin, refused.allowed_methods))
        allowed = policy.allowed_origin(request.path, origin)
        if allowed is not None:
            request[cors.ALLOWED_ORIGIN] = allowed
        return await handler(request)

    return preflights


def _method(request: web.Request) -> str:
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
    return request.method if request.method in known else "other"
