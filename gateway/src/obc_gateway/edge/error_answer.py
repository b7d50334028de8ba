"""The one error body, and the headers that go with it."""

import math
from collections.abc import Iterable

import orjson
from aiohttp import web

from obc_common.errors import DomainError, error_body

_REALM = 'Bearer realm="openbiocure-analytics"'
# What went wrong inside is for the log; outside it would only help an attacker.
_GENERIC = {
    500: "Something went wrong on our side.",
    501: "This operation does not exist.",
    503: "Temporarily unavailable: nothing was promised, try again.",
    504: "It took too long: what was asked for may or may not have happened, try again.",
}


def error_json(error: DomainError, correlation_id: str) -> bytes:
    """The error body (contract 2.2). The message of a 5xx is generic and comes with the correlation id."""
    body = error_body(error)
    if error.http_status >= 500:
        shown = body["error"]
        shown["message"] = _GENERIC.get(error.http_status, _GENERIC[500])
        shown["details"] = [detail for detail in shown["details"] if "retry_after_ms" in detail]
        shown["details"].append({"correlation_id": correlation_id})
    return orjson.dumps(body)


def error_answer(error: DomainError, correlation_id: str, allow: Iterable[str] = ()) -> web.Response:
    """The HTTP answer for an error; `allow` are the methods that a 405 names."""
    response = web.Response(
        body=error_json(error, correlation_id), status=error.http_status, content_type="application/json"
    )
    if error.http_status == 401:
        response.headers["WWW-Authenticate"] = _REALM
    if error.http_status in (429, 503) or error.retry_after is not None:
        response.headers["Retry-After"] = str(retry_after_seconds(error))
    if error.http_status == 405:
        response.headers["Allow"] = ", ".join(sorted(allow))
    if error.http_status in (408, 413):
        response.force_close()  # the rest of the body is unread and stays so
    return response


def retry_after_seconds(error: DomainError) -> int:
    """Whole seconds until a retry makes sense, at least 1."""
    return max(1, math.ceil(error.retry_after or 1.0))
