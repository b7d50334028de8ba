"""CORS: which pages may send events, and which may read the API. Credentials (cookies) are never allowed.

A preflight carries no key, so it cannot be checked against a key's origins: for ingest any real origin passes, unless
the operator restricts them. The request itself is checked against that list and against its key (`access.checks`).
"""

from collections.abc import Collection, Iterable, Mapping

from aiohttp import web

from obc_common.errors import PermissionDenied
from obc_gateway.edge.origins import is_same_origin, normal_origin

_ALLOWED_HEADERS = ", ".join(
    (
        "Authorization",
        "Content-Encoding",
        "Content-Type",
        "Last-Event-ID",
        "X-API-Key",
        "X-Correlation-ID",
        "X-OBC-SDK",
        "X-Tenant-ID",
    )
)
_EXPOSED_HEADERS = "Retry-After, X-Correlation-ID"
_MAX_AGE = "600"

ALLOWED_ORIGIN = web.RequestKey("allowed_origin", str)
"""Set on a request whose answer the page may read."""


class CorsPolicy:
    """Decides for every request.

    Args:
        ingest_paths: exact paths that browsers of customers call.
        origins: what ANALYTICS_CORS_ORIGINS lists.
    """

    def __init__(self, ingest_paths: Collection[str], origins: Iterable[str]) -> None:
        self._ingest_paths = frozenset(ingest_paths)
        self._origins = frozenset(origin for text in origins if (origin := normal_origin(text)))

    def allowed_origin(self, path: str, origin_header: str | None) -> str | None:
        """The origin to reflect, or None when the page may not read the answer."""
        origin = normal_origin(origin_header or "")
        if origin is None:
            return None
        if path in self._ingest_paths and not self._origins:
            return origin
        return origin if origin in self._origins else None

    def is_listed(self, origin: str) -> bool:
        """True when the operator lists the origin."""
        return origin in self._origins

    def check_sender(self, origin_header: str | None, host: str) -> None:
        """Raises PermissionDenied(ORIGIN_NOT_ALLOWED) when a page sends events that the operator does not list.

        A beacon and a WebSocket have no preflight, so the list must be looked at again here. Pages of our own may send;
        what is no browser names no origin and is left to its key.
        """
        if origin_header is None or not self._origins:
            return
        origin = normal_origin(origin_header)
        if origin is None or not (origin in self._origins or is_same_origin(origin, host)):
            raise PermissionDenied("ORIGIN_NOT_ALLOWED", "Pages of this origin may not send events.")

    def preflight(self, path: str, origin_header: str | None, methods: Iterable[str]) -> Mapping[str, str]:
        """The headers of a preflight's answer.

        Raises:
            PermissionDenied: ORIGIN_NOT_ALLOWED.
        """
        origin = self.allowed_origin(path, origin_header)
        if origin is None:
            raise PermissionDenied("ORIGIN_NOT_ALLOWED", "Pages of this origin may not call this address.")
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": ", ".join(sorted(methods)),
            "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
            "Access-Control-Max-Age": _MAX_AGE,
        }


def reflect(request: web.Request, response: web.StreamResponse) -> None:
    """Adds the CORS headers of an actual answer."""
    response.headers.add("Vary", "Origin")
    origin = request.get(ALLOWED_ORIGIN)
    if origin:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
