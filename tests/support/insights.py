"""Insights as the REST API answers them, without the processes: JSON in, JSON out, events straight in the engine."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from obc.query.v1 import cohort_pb2
from obc_common.transcoding.decoding import merge_body
from obc_gateway.transcoding.encoding import encode_message
from obc_query.cohorts.people import cohort_conditions
from obc_query.cohorts.reading import read_definition
from obc_query.identity.decisions import LinkDecisions
from obc_query.identity.store import Verdict
from obc_query.insights.insight import AnyInsight
from obc_query.insights.registry import request_type
from obc_query.projection.writer import insert_rows, missing_rows
from obc_query.schema import EVENTS_COLUMNS, ensure_tables
from obc_query.statement import CohortCondition
from obc_query.warehouse import Handle
from tests.support.read_model import ReadModel
from tests.support.stored_events import Stored

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class InsightDesk:
    """Stores events of any number of tenants and asks about them.

    Attributes:
        model: the read model; its PostgreSQL has no events.
        handle: writes into the engine.
    """

    model: ReadModel
    handle: Handle

    def store(self, events: Iterable[Stored]) -> str:
        """Stores a history under a tenant of its own; the tenant's id."""
        tenant_id = str(uuid.uuid4())
        self.store_for(tenant_id, events)
        return tenant_id

    def store_for(self, tenant_id: str, events: Iterable[Stored]) -> None:
        """Stores events, in their order, in one batch."""
        insert_rows(self.handle, _lines(tenant_id, events), uuid.uuid4().hex)
        self.model.freshness.removed([tenant_id])  # any change of its version: answers see more now

    def store_twice(self, events: Iterable[Stored]) -> str:
        """Stores a history that is delivered again: as the same batch, then what is missing of it."""
        tenant_id, batch = str(uuid.uuid4()), uuid.uuid4().hex
        data = _lines(tenant_id, events)
        insert_rows(self.handle, data, batch)
        insert_rows(self.handle, data, batch)
        insert_rows(self.handle, missing_rows(self.handle, data), uuid.uuid4().hex)
        return tenant_id

    async def decide(self, tenant_id: str, anonymous_id: str, verdict: Verdict) -> None:
        """Decides about the link of a device."""
        model = self.model
        decisions = LinkDecisions(10_000, model.pool, model.askers.unlinked, model.clock)
        await decisions.decide(tenant_id, anonymous_id, verdict, "test")

    async def ask(
        self,
        insight: AnyInsight,
        tenant_id: str,
        body: dict[str, Any],
        *,
        now_ms: int,
        cohorts: Mapping[str, dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """The JSON of the answer, without what says how fresh it is and what it cost. `cohorts` are definitions by id.

        Raises InvalidArgument as the service does.
        """
        request = request_type(insight)()
        merge_body(request, body)
        question = insight.read(request, now_ms)
        async with self.model.asking(tenant_id) as asker:
            asker.cohorts = known_cohorts(cohorts or {}, now_ms)
            response = await insight.answer(asker, tenant_id, question, now_ms)
        answer: dict[str, Any] = orjson.loads(encode_message(response))
        answer["info"] = {"sampled": answer.get("info", {}).get("sampled", False)}
        return answer


def known_cohorts(cohorts: Mapping[str, dict[str, Any]], now_ms: int) -> dict[str, CohortCondition]:
    """The conditions of definitions in JSON."""
    definitions = {}
    for cohort_id, body in cohorts.items():
        message = cohort_pb2.CohortDefinition()
        merge_body(message, body)
        definitions[uuid.UUID(cohort_id)] = read_definition(message, "definition")
    return cohort_conditions(definitions, now_ms)


def open_desk(model: ReadModel) -> InsightDesk:
    """A desk over an empty read model."""
    handle = model.warehouse.connect()
    ensure_tables(handle)
    return InsightDesk(model, handle)


def _lines(tenant_id: str, events: Iterable[Stored]) -> bytes:
    return "".join(_line(tenant_id, event) for event in events).encode()


def _line(tenant_id: str, event: Stored) -> str:
    """The event as the projector reads it from PostgreSQL, in the order of EVENTS_COLUMNS."""
    moment = (_EPOCH + timedelta(milliseconds=event.at)).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    device = event.device
    values = {
        "tenant_id": tenant_id,
        "event_id": str(event.event_id),
        "event_name": event.name,
        "event_category": event.category,
        "user_id": event.user or "",
        "anonymous_id": event.anonymous or "",
        "session_id": event.session or "",
        "event_time": moment,
        "received_at": moment,
        "page_url": event.page_url or "",
        "referrer": event.referrer or "",
        "device_timezone": str(device.get("timezone", "")),
        "properties": orjson.dumps(event.properties).decode(),
        "sample_rate": repr(event.sample_rate),
    }
    texts = (str(values[name]) if name in values else str(device.get(name, _absent(name))) for name in EVENTS_COLUMNS)
    return "\t".join(text.translate(_ESCAPES) for text in texts) + "\n"


def _absent(column: str) -> str:
    return "0" if column.endswith(("_width", "_height")) else ""
