"""Saved insights and dashboards as the REST API answers them, without the gateway's process: JSON in, JSON out."""

from dataclasses import dataclass
from typing import Any

import orjson
from google.protobuf import message_factory

from obc.query.v1 import saved_service_pb2
from obc_common.clock import Clock
from obc_common.context import Principal, principal_var
from obc_common.postgres import Pool
from obc_common.transcoding.decoding import merge_body
from obc_gateway.transcoding.encoding import encode_message
from obc_query.saved.servicer import SavedServicer
from obc_query.saved.shelf import Shelf

_METHODS = saved_service_pb2.DESCRIPTOR.services_by_name["SavedService"].methods_by_name


@dataclass(frozen=True, slots=True)
class SavedDesk:
    """Calls the servicer as a tenant's key."""

    servicer: SavedServicer
    tenant_id: str
    subject: str = "key-1"

    def of(self, tenant_id: str) -> "SavedDesk":
        """The same for another tenant."""
        return SavedDesk(self.servicer, tenant_id, self.subject)

    async def call(self, method: str, **body: Any) -> dict[str, Any]:
        """The JSON of the answer. Raises DomainError as the service does."""
        request = message_factory.GetMessageClass(_METHODS[method].input_type)()
        merge_body(request, body)
        principal = Principal(self.tenant_id, self.subject, "secret", frozenset({"query"}), key_id=self.subject)
        token = principal_var.set(principal)
        try:
            response = await getattr(self.servicer, method)(request, None)
        finally:
            principal_var.reset(token)
        answer: dict[str, Any] = orjson.loads(encode_message(response))
        return answer

    async def insight(self, name: str, **fields: Any) -> dict[str, Any]:
        """Saves an insight."""
        body = {"name": name, "kind": "stickiness", "request": {}, **fields}
        insight: dict[str, Any] = (await self.call("CreateSavedInsight", **body))["insight"]
        return insight

    async def dashboard(self, name: str, *insight_ids: str, **fields: Any) -> dict[str, Any]:
        """Saves a dashboard of insights."""
        tiles = [tile(row, insight_id=insight_id) for row, insight_id in enumerate(insight_ids)]
        body = {"name": name, "tiles": tiles, **fields}
        dashboard: dict[str, Any] = (await self.call("CreateSavedDashboard", **body))["dashboard"]
        return dashboard


def tile(row: int, **fields: Any) -> dict[str, Any]:
    """A tile of the whole width on a row."""
    return {"x": 0, "y": row, "width": 12, "height": 1, **fields}


def open_saved_desk(pool: Pool, clock: Clock, tenant_id: str, *, insights: int = 1000) -> SavedDesk:
    """A desk on a database."""
    servicer = SavedServicer(
        insights=Shelf("insight", insights, pool, clock),
        dashboards=Shelf("dashboard", 3, pool, clock),
        cohorts=Shelf("cohort", 3, pool, clock),
        clock=clock,
        page_token_secret="s" * 32,
    )
    return SavedDesk(servicer, tenant_id)
