"""Puts the OpenAPI document together."""

from collections import Counter
from collections.abc import Iterable
from importlib import metadata

import orjson

from obc_gateway.openapi import handmade
from obc_gateway.openapi.comments import load_comments
from obc_gateway.openapi.operations import operation
from obc_gateway.openapi.schemas import SchemaBook
from obc_gateway.transcoding.routes import Route

_INTRODUCTION = (
    "Events in, answers out. JSON is snake_case; counts and times (unix milliseconds) are numbers; lists come with a "
    "next_page_token; an unknown field is a 400 that names it. Every answer carries X-Correlation-ID."
)


def build_document(routes: Iterable[Route]) -> bytes:
    """The document as JSON."""
    book = SchemaBook(load_comments())
    handmade.add_schemas(book)
    seen: Counter[str] = Counter()
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        name = route.rpc[0].lower() + route.rpc[1:]
        seen[name] += 1
        operation_id = name if seen[name] == 1 else f"{name}{seen[name]}"
        paths.setdefault(route.template, {})[route.http_method.lower()] = operation(route, book, operation_id)
    paths.update(handmade.paths())
    return orjson.dumps(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "OpenBioCure Analytics",
                "version": metadata.version("openbiocure-analytics"),
                "description": _INTRODUCTION,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "paths": paths,
            "components": {
                "schemas": dict(sorted(book.schemas.items())),
                "responses": {"Error": handmade.ERROR_RESPONSE},
                "securitySchemes": handmade.SECURITY_SCHEMES,
            },
        }
    )
