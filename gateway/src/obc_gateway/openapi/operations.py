"""One OpenAPI operation per row of the route table."""

from typing import Any

from obc_common.transcoding.names import json_key
from obc_gateway.openapi.schemas import SchemaBook
from obc_gateway.rest.router import takes_batches
from obc_gateway.transcoding.routes import Route

Operation = dict[str, Any]

_ERROR = {"$ref": "#/components/responses/Error"}
_KEY_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"api_key": []}]
INGEST_SECURITY: list[dict[str, list[str]]] = [*_KEY_SECURITY, {"write_key": []}]

IMPORT_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "first_line",
        "in": "query",
        "required": False,
        "description": "Number of the body's first line: to go on with a file that broke off.",
        "schema": {"type": "integer", "format": "int64", "minimum": 1, "default": 1},
    },
    {
        "name": "results",
        "in": "query",
        "required": False,
        "description": "Which events the answer lists.",
        "schema": {"type": "string", "enum": ["all", "problems", "none"], "default": "all"},
    },
]


def operation(route: Route, book: SchemaBook, operation_id: str) -> Operation:
    """The operation of one route; `operation_id` must be unique in the document."""
    comment = book.describe(route.method.full_name)
    ingest = takes_batches(route)
    described: Operation = {
        "operationId": operation_id,
        "tags": [route.service.rpartition(".")[2].removesuffix("Service")],
        "summary": comment.partition(". ")[0].rstrip("."),
        "description": comment,
        "security": INGEST_SECURITY if ingest else _KEY_SECURITY,
        "parameters": IMPORT_PARAMETERS if route.client_streaming else _parameters(route, book),
        "responses": {"200": _answer(route, book), "default": _ERROR},
        "x-deadline-seconds": None if route.streaming else route.limits.deadline_seconds,
    }
    if route.takes_body:
        described["requestBody"] = _body(route, book)
    return described


def _parameters(route: Route, book: SchemaBook) -> list[dict[str, Any]]:
    fields = route.method.input_type.fields
    parameters = []
    for field in fields:
        in_path = field.name in route.variables
        if not in_path and route.takes_body:
            continue
        schema = book.field(field)
        description = schema.pop("description", "")
        parameters.append(
            {
                "name": field.name if in_path else json_key(field),
                "in": "path" if in_path else "query",
                "required": in_path,
                "description": description,
                "schema": schema,
            }
        )
    return parameters


def _body(route: Route, book: SchemaBook) -> dict[str, Any]:
    if route.client_streaming:
        return {
            "required": True,
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
            "description": (
                "One event per line (schema Event), of any number, gzip or zstd or plain. Read the answer while "
                "sending, or ask for `results=problems`."
            ),
        }
    if takes_batches(route):
        schema = {"$ref": "#/components/schemas/Batch"}
        content = {"application/json": {"schema": schema}, "text/plain": {"schema": schema}}
        return {
            "required": True,
            "content": content,
            "description": f"At most {route.limits.body_bytes} bytes inflated.",
        }
    request = book.reference(route.method.input_type)
    return {"required": True, "content": {"application/json": {"schema": request}}}


def _answer(route: Route, book: SchemaBook) -> dict[str, Any]:
    if route.client_streaming:
        text = "A line per event, as in BatchAnswer's results and with its `line`; `error` if it broke off; `summary`."
        return {"description": text, "content": {"application/x-ndjson": {"schema": {"type": "string"}}}}
    if takes_batches(route):
        schema: dict[str, Any] = {"$ref": "#/components/schemas/BatchAnswer"}
    else:
        schema = book.reference(route.method.output_type, answer=True)
    if route.streaming:
        text = "Server-sent events: `snapshot` and `events`, each with the JSON of that field of the schema."
        return {"description": text, "content": {"text/event-stream": {"schema": schema}}}
    return {"description": "The answer.", "content": {"application/json": {"schema": schema}}}
