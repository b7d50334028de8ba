"""The parts of the document that no proto describes: the batch as JSON, errors, sockets, probes."""

from typing import Any

from obc.common.v1 import event_pb2
from obc.ingest.v1 import ingest_service_pb2
from obc_gateway.openapi.operations import INGEST_SECURITY
from obc_gateway.openapi.schemas import SchemaBook

_ERROR_BODY = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "status", "reason", "message", "details"],
            "properties": {
                "code": {"type": "integer", "description": "The HTTP status."},
                "status": {"type": "string", "description": "The gRPC status, e.g. RESOURCE_EXHAUSTED."},
                "reason": {"type": "string", "description": "Machine-readable and stable, e.g. RATE_LIMITED."},
                "message": {"type": "string", "description": "For people; may change."},
                "details": {"type": "array", "items": {"type": "object"}},
            },
        }
    },
}
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key (wk_, sk_, ok_) or a JSON Web Token."},
    "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "write_key": {"type": "apiKey", "in": "query", "name": "key", "description": "Write keys only, for beacons."},
}
ERROR_RESPONSE = {
    "description": "What went wrong. 429 and 503 come with Retry-After; nothing was promised, send it again.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}


def add_schemas(book: SchemaBook) -> None:
    """Adds the schemas of the batch, its answer and of errors."""
    event = book.reference(event_pb2.Event.DESCRIPTOR)
    book.schemas["Event"]["additionalProperties"] = True
    book.schemas["Event"]["required"] = ["event_id", "event_name", "timestamp"]
    book.schemas["Event"]["properties"]["timestamp"] = {
        "description": "Client clock when it happened: unix milliseconds, or RFC 3339.",
        "oneOf": [{"type": "integer", "format": "int64"}, {"type": "string", "format": "date-time"}],
    }
    answer = ingest_service_pb2.IngestBatchResponse.DESCRIPTOR
    fields = {field.name: book.field(field, answer=True) for field in answer.fields if field.name != "json"}
    book.schemas["BatchAnswer"] = {
        "type": "object",
        "description": book.describe(answer.full_name),
        "required": list(fields),
        "properties": fields,
    }
    # A result's optional texts are left out on this path when they are empty.
    book.schemas["EventResult"]["required"] = ["event_id", "result"]
    book.schemas["Batch"] = {
        "type": "object",
        "description": "A batch of events.",
        "required": ["events"],
        "properties": {
            "events": {"type": "array", "items": event, "minItems": 1, "maxItems": 1000},
            "batch_id": {"type": "string", "description": "Client's name for the batch; echoed."},
            "sent_at": {"type": "integer", "description": "Client clock when the batch was sent, unix milliseconds."},
            "timestamp": {"type": "integer", "description": "The same as `sent_at`."},
            "tenant_id": {"type": "string", "description": "If present, the tenant of the credential."},
            "key": {"type": "string", "description": "Write key, for beacons that can set no header."},
        },
    }
    book.schemas["Error"] = _ERROR_BODY


def paths() -> dict[str, Any]:
    """Sockets, probes and this document."""
    socket = (
        "JSON text frames. First `{type: auth, token}` within 5 s (unless a header, `?key=` or the subprotocol "
        "`obc.v1, obc.key.<key>` authenticates); then `{type: events, seq, sent_at, events}` or bare events. The "
        "server says ready, ack, retry, config, heartbeat, reconnect, error. See docs/websocket.md."
    )
    tenant = {"name": "tenant_id", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "/ws/analytics": _socket("streamEvents", "Send events on a WebSocket", socket, []),
        "/ws/analytics/{tenant_id}": _socket("streamTenantEvents", "The same, naming the tenant", socket, [tenant]),
        "/v1/stream": _socket("streamEventsNeutral", "The same under a neutral name", socket, []),
        "/v1/live/ws": _socket(
            "streamLiveSocket",
            "The live feed on a WebSocket",
            "`{type: snapshot, ...}` and `{type: events, ...}`, as on /v1/live. Authenticates as /v1/stream does.",
            [],
        ),
        "/health": _probe("getHealth", "Health of the suite: ok, degraded or down (503)"),
        "/readyz": _probe("getReadiness", "Whether this process takes requests (503 = no), and its components"),
        "/livez": _probe("getLiveness", "The process is alive"),
    }


def _socket(operation_id: str, summary: str, description: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "get": {
            "operationId": operation_id,
            "tags": ["WebSocket"],
            "summary": summary,
            "description": description,
            "parameters": parameters,
            "security": [*INGEST_SECURITY, {}],
            "responses": {
                "101": {"description": "The socket is open."},
                "default": {"$ref": "#/components/responses/Error"},
            },
        }
    }


def _probe(operation_id: str, summary: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {
        "get": {
            "operationId": operation_id,
            "tags": ["Health"],
            "summary": summary,
            "security": [],
            "responses": {
                "200": {"description": "Well.", "content": content},
                "503": {"description": "Not well.", "content": content},
            },
        }
    }
