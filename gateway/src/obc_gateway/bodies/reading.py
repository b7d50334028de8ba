"""Reads a request's body: media type, size and time are all bounded before anything is made of it."""

import asyncio
from collections.abc import Collection

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from obc_common.errors import Cancelled, DeadlineExceeded, InvalidArgument
from obc_gateway.bodies.budget import Held
from obc_gateway.bodies.errors import too_large
from obc_gateway.bodies.inflate import open_inflater

JSON = frozenset({"application/json"})
# text/plain is what a beacon sends: it needs no CORS preflight.
JSON_OR_BEACON = frozenset({"application/json", "text/plain"})


async def read_body(
    request: web.BaseRequest, held: Held, *, media_types: Collection[str], limit: int, deadline_seconds: float
) -> bytes:
    """The inflated body.

    Args:
        request: its body must not have been read yet.
        held: counts its bytes as they come.
        media_types: accepted Content-Types; a request without a body needs none.
        limit: most bytes, on the wire and inflated.
        deadline_seconds: from now until the last byte.

    Raises:
        DomainError: UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED_ENCODING, BODY_TOO_LARGE, BAD_ENCODING, BODY_TIMEOUT,
            OVERLOADED.
    """
    if not request.body_exists:
        return b""
    if _media_type(request) not in media_types:
        raise InvalidArgument(
            "UNSUPPORTED_MEDIA_TYPE",
            f"Content-Type must be {' or '.join(sorted(media_types))}.",
            metadata={"supported": ", ".join(sorted(media_types))},
        )
    inflater = open_inflater(",".join(request.headers.getall("Content-Encoding", ())), limit)
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    received = 0
    try:
        async with asyncio.timeout(deadline_seconds):
            async for piece in request.content.iter_any():
                received += len(piece)
                if received > limit:
                    raise too_large(limit)
                inflater.feed(piece)
                held.grow(inflater.size)
    except TimeoutError as error:
        raise DeadlineExceeded("BODY_TIMEOUT", f"The body did not arrive within {deadline_seconds:g} s.") from error
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise InvalidArgument("BAD_BODY", "The body breaks the HTTP framing.") from error
    except ConnectionError as error:
        raise Cancelled("CLIENT_GONE", "The client closed the connection.") from error
    return inflater.finish()


def _media_type(request: web.BaseRequest) -> str:
    # Not request.content_type: it would take a missing header for application/octet-stream and a broken one for text.
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
