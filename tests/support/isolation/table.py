"""One row per public route: the right it needs, a request that works, and what an operator gets."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.isolation.world import World, window
from tests.support.product import new_event

Body = Callable[[World], Any]
Parameters = Callable[[], dict[str, str]]
KeyId = Callable[[World], Awaitable[str]]

PUBLIC = "public"
OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Row:
    """What one route is about.

    Attributes:
        scope: the right a tenant's credential needs; OPERATOR = no tenant's credential will do; PUBLIC = anybody.
        body: JSON of a request that works.
        parameters: query string of a request that works.
        operator: status of an operator that names no tenant (it always reaches a tenant that it names).
        secret_only: a write key will not do, whatever it may.
        content_type: of the body.
        kind: http, sse (an endless answer) or ws.
    """

    scope: str
    body: Body | None = None
    parameters: Parameters = field(default=dict)
    operator: int = 200
    secret_only: bool = False
    content_type: str = "application/json"
    kind: str = "http"


def _issuer(world: World) -> dict[str, Any]:
    fields = {"audience": "x", "jwks_url": world.jwks_url, "algorithm": "ES256", "tenant_claim": "t"}
    return {"issuer": {"issuer": f"https://issuer.example/{uuid.uuid4()}", "scopes_claim": "s", **fields}}


_BATCH = Row("ingest", lambda world: {"events": [new_event()]}, operator=403)
_EVENTS = Row("query", operator=403)
_METRICS = Row("query", parameters=lambda: {"metrics": "events", "interval": "day", **window()}, operator=403)
_DASHBOARD = Row("query", parameters=window, operator=403)
_INSIGHT = Row("query", lambda world: {}, operator=403)
_PATCH = Row("config", lambda world: {"config": {"sampling_rate": 1}}, operator=400)
_REVERT = Row("config", lambda world: {"version": 1}, operator=400)
_CREATE_KEY = Row("admin", lambda world: {"kind": "write"}, operator=400)
_SAVED = Row("query", operator=403)
_SAVED_RESTORE = Row("query", lambda world: {}, operator=403)
_INSIGHT_CREATE = Row("query", lambda world: {"name": str(uuid.uuid4()), "kind": "sessions"}, operator=403)
_INSIGHT_UPDATE = Row(
    "query", lambda world: {"expected_version": 1, "name": str(uuid.uuid4()), "kind": "sessions"}, operator=403
)
_DASHBOARD_CREATE = Row("query", lambda world: {"name": str(uuid.uuid4())}, operator=403)
_DASHBOARD_UPDATE = Row("query", lambda world: {"expected_version": 1, "name": str(uuid.uuid4())}, operator=403)
_COHORT: dict[str, Any] = {"definition": {"performed": {}}}
_COHORT_CREATE = Row("query", lambda world: {"name": str(uuid.uuid4()), **_COHORT}, operator=403)
_COHORT_UPDATE = Row("query", lambda world: {"expected_version": 1, "name": str(uuid.uuid4()), **_COHORT}, operator=403)
_SOCKET = Row("ingest", kind="ws", operator=403)

TABLE: dict[str, Row] = {
    "POST /v1/insights/funnels": Row("query", lambda world: {"steps": [{}, {}]}, operator=403),
    "POST /v1/insights/paths": _INSIGHT,
    "POST /v1/insights/sessions": _INSIGHT,
    "POST /v1/insights/stickiness": _INSIGHT,
    "POST /v1/insights/trends": Row("query", lambda world: {"series": [{}]}, operator=403),
    "POST /v1/insights/retention": _INSIGHT,
    "POST /v1/insights/lifecycle": _INSIGHT,
    "POST /v1/saved/insights": _INSIGHT_CREATE,
    "GET /v1/saved/insights": _SAVED,
    "GET /v1/saved/insights/{insight_id}": _SAVED,
    "PUT /v1/saved/insights/{insight_id}": _INSIGHT_UPDATE,
    "DELETE /v1/saved/insights/{insight_id}": _SAVED,
    "POST /v1/saved/insights/{insight_id}:restore": _SAVED_RESTORE,
    "GET /v1/saved/insights/{insight_id}/versions": _SAVED,
    "POST /v1/saved/dashboards": _DASHBOARD_CREATE,
    "GET /v1/saved/dashboards": _SAVED,
    "GET /v1/saved/dashboards/{dashboard_id}": _SAVED,
    "PUT /v1/saved/dashboards/{dashboard_id}": _DASHBOARD_UPDATE,
    "DELETE /v1/saved/dashboards/{dashboard_id}": _SAVED,
    "POST /v1/saved/dashboards/{dashboard_id}:restore": _SAVED_RESTORE,
    "GET /v1/saved/dashboards/{dashboard_id}/versions": _SAVED,
    "POST /v1/cohorts": _COHORT_CREATE,
    "GET /v1/cohorts": _SAVED,
    "GET /v1/cohorts/{cohort_id}": _SAVED,
    "PUT /v1/cohorts/{cohort_id}": _COHORT_UPDATE,
    "DELETE /v1/cohorts/{cohort_id}": _SAVED,
    "POST /v1/cohorts/{cohort_id}:restore": _SAVED_RESTORE,
    "GET /v1/cohorts/{cohort_id}/versions": _SAVED,
    "POST /v1/cohorts:preview": Row("query", lambda world: _COHORT, operator=403),
    "POST /v1/insights:explain": Row("query", lambda world: {"insight": "stickiness"}, operator=403),
    "GET /v1/schema/events": Row("query", operator=403),
    "GET /v1/schema/properties": Row("query", operator=403),
    "GET /v1/identity/devices/{anonymous_id}/link": Row("query", operator=403),
    "POST /v1/identity/devices/{anonymous_id}/decisions": Row(
        "config", lambda world: {"decision": "unlink"}, operator=403
    ),
    "GET /v1/identity/unlinked-devices": Row("query", operator=403),
    "GET /v1/users/{id}/timeline": Row("query", operator=403),
    "POST /v1/events:batch": _BATCH,
    "POST /api/analytics/batch": _BATCH,
    "GET /api/analytics/events": _EVENTS,
    "GET /v1/events": _EVENTS,
    "GET /api/analytics/metrics": _METRICS,
    "GET /v1/metrics": _METRICS,
    "GET /api/analytics/dashboard": _DASHBOARD,
    "GET /v1/dashboard": _DASHBOARD,
    "POST /v1/import": Row(
        "ingest", lambda world: new_event(), operator=403, secret_only=True, content_type="application/x-ndjson"
    ),
    "GET /v1/bad-rows": Row("query", operator=403),
    "POST /v1/bad-rows:replay": Row("ingest", lambda world: {}, operator=403, secret_only=True),
    "GET /v1/data-quality": Row("query", operator=403),
    "GET /v1/live": Row("query", kind="sse", operator=403),
    "POST /v1/tenants": Row(OPERATOR, lambda world: {"name": "made by an operator"}),
    "GET /v1/tenants": Row(OPERATOR),
    "GET /v1/tenants/{tenant_id}": Row("config"),
    "GET /v1/config": Row("config", operator=400),
    "GET /v1/tenants/{tenant_id}/config": Row("config"),
    "PATCH /v1/config": _PATCH,
    "PATCH /v1/tenants/{tenant_id}/config": _PATCH,
    "GET /v1/config/versions": Row("config", operator=400),
    "GET /v1/tenants/{tenant_id}/config/versions": Row("config"),
    "POST /v1/config:revert": _REVERT,
    "POST /v1/tenants/{tenant_id}/config:revert": _REVERT,
    "POST /v1/keys": _CREATE_KEY,
    "POST /v1/tenants/{tenant_id}/keys": _CREATE_KEY,
    "GET /v1/keys": Row("admin"),
    "GET /v1/tenants/{tenant_id}/keys": Row("admin"),
    # An operator that names no tenant reaches the operators' own keys.
    "POST /v1/keys/{key_id}:rotate": Row("admin", lambda world: {}, operator=404),
    "POST /v1/tenants/{tenant_id}/keys/{key_id}:rotate": Row("admin", lambda world: {}),
    "DELETE /v1/keys/{key_id}": Row("admin", operator=404),
    "DELETE /v1/tenants/{tenant_id}/keys/{key_id}": Row("admin"),
    "POST /v1/jwt-issuers": Row(OPERATOR, _issuer),
    "GET /v1/jwt-issuers": Row(OPERATOR),
    "DELETE /v1/jwt-issuers/{issuer_id}": Row(OPERATOR, operator=404),
    "GET /v1/audit": Row("admin"),
    "GET /v1/tenants/{tenant_id}/audit": Row("admin"),
    "GET /v1/audit:verify": Row("admin"),
    "GET /v1/tenants/{tenant_id}/audit:verify": Row("admin"),
    "GET /ws/analytics": _SOCKET,
    "GET /ws/analytics/{tenant_id}": _SOCKET,
    "GET /v1/stream": _SOCKET,
    "GET /v1/live/ws": Row("query", kind="ws", operator=403),
    "GET /health": Row(PUBLIC),
    "GET /readyz": Row(PUBLIC),
    "GET /livez": Row(PUBLIC),
}
