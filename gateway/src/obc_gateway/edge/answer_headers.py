"""Headers that every answer has, sockets and streams included."""

from aiohttp import web

from obc_common.context import current_correlation_id
from obc_gateway.edge import correlation, cors

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'"
)
STANDING_HEADERS = {
    "Content-Security-Policy": _CSP,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # aiohttp would name itself and Python with their versions.
    "Server": "openbiocure-analytics",
}


async def add_answer_headers(request: web.Request, response: web.StreamResponse) -> None:
    """An `on_response_prepare` signal."""
    response.headers.update(STANDING_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers[correlation.HEADER] = current_correlation_id()
    cors.reflect(request, response)
