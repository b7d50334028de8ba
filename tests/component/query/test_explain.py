"""Every insight is explained: its plan, its statements, and what they read."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from obc.query.v1 import explain_pb2, schema_pb2, timeline_pb2
from obc_common.errors import DomainError
from obc_gateway.transcoding.encoding import encode_message
from obc_query.insights.registry import INSIGHTS, request_type
from obc_query.warehouse import Warehouse
from tests.support.eventually import eventually
from tests.support.query_service import QueryService, principal, run_query_service
from tests.support.stored_events import Stored, insert_events

START = 1_760_000_000_000
RANGE = {"from": str(START), "to": str(START + 86_400_000)}
# Where an empty body is no question.
BODIES: dict[str, dict[str, Any]] = {
    "trends": {"series": [{"event": {"names": ["e"]}}]},
    "funnels": {"steps": [{"names": ["e"]}, {"names": ["f"]}]},
    "retention": {"start_event": {"names": ["e"]}},
    "paths": {},
}
SECRET_VALUE = "a-value-that-is-bound"


@pytest.fixture
async def service(warehouse: Warehouse, database: str, redis_url: str) -> AsyncIterator[QueryService]:
    async with run_query_service(warehouse, database, redis_url) as running:
        yield running


async def store(service: QueryService, tenant_id: str, *events: Stored) -> None:
    await insert_events(service.model.dsn, tenant_id, events)

    async def arrived() -> bool:
        listed = await service.client.call(
            "ListEventNames",
            schema_pb2.ListEventNamesRequest(from_time="0"),
            principal=principal(tenant_id),
            timeout=20,
        )
        assert isinstance(listed, schema_pb2.ListEventNamesResponse)
        return sum(found.events for found in listed.events) >= len(events)

    await eventually(arrived)


async def explain(service: QueryService, tenant_id: str, insight: str, request: dict[str, Any]) -> dict[str, Any]:
    answer = await service.client.call(
        "ExplainInsight",
        explain_pb2.ExplainInsightRequest(insight=insight, request_json=orjson.dumps(request)),
        principal=principal(tenant_id),
        timeout=20,
    )
    explained: dict[str, Any] = orjson.loads(encode_message(answer))
    return explained


@pytest.mark.parametrize("insight", INSIGHTS)
async def test_every_insight_tells_its_plan_its_statements_and_their_cost(
    service: QueryService, tenant_id: str, insight: str
) -> None:
    await store(service, tenant_id, *(Stored(START + n, name="e", user=f"u{n}", session="s") for n in range(50)))

    explained = await explain(service, tenant_id, insight, RANGE | BODIES.get(insight, {}))

    assert explained["insight"] == insight
    assert explained["plan"]
    assert "object at 0x" not in str(explained)
    assert explained["answer_is_cached"] is False
    done = [one for one in explained["statements"] if one["outcome"] == "done"]
    assert done
    for one in explained["statements"]:
        assert one["purpose"]
        assert "tenant_id = {tenant:UUID}" in one["sql"]
        assert one["parameters"]["tenant"] == tenant_id
    assert explained["info"]["rows_read"] == sum(one["rows_read"] for one in done) >= 50
    assert explained["info"]["bytes_read"] == sum(one["bytes_read"] for one in done) > 0
    assert all(one["elapsed_ms"] > 0 for one in done)


async def test_a_plan_is_what_was_understood_and_values_are_bound(service: QueryService, tenant_id: str) -> None:
    wanted = {"field": "properties.plan", "op": "eq", "values": [SECRET_VALUE, 5]}

    explained = await explain(
        service, tenant_id, "stickiness", {**RANGE, "filter": {"none": [wanted]}, "timezone": "Europe/Berlin"}
    )

    plan = explained["plan"]
    assert plan["window"]["span"] == {"start_ms": START, "end_ms": START + 86_400_000}
    assert plan["window"]["zone"] == "Europe/Berlin"
    assert plan["window"]["buckets"]["count"] == 2
    assert plan["at_least"] == 1
    assert plan["filter"] == {
        "kind": "none",
        "members": [{"field": "properties.plan", "operator": "eq", "values": [SECRET_VALUE, 5]}],
    }
    [statement] = [one for one in explained["statements"] if one["purpose"] == "stickiness"]
    assert SECRET_VALUE not in statement["sql"]
    assert [SECRET_VALUE] in statement["parameters"].values()


async def test_a_guess_that_was_wrong_is_shown(service: QueryService, tenant_id: str) -> None:
    await store(service, tenant_id, Stored(START, user="u", sample_rate=0.5))

    explained = await explain(service, tenant_id, "stickiness", RANGE)

    assert explained["info"]["sampled"] is True
    guess, last = [one for one in explained["statements"] if one["purpose"] == "stickiness"]
    assert guess["outcome"] in ("cancelled", "done")  # it may have been quicker
    assert last["outcome"] == "done"
    assert "sample_rate" in last["sql"]
    assert "sample_rate" not in guess["sql"]


async def test_it_says_whether_the_answer_is_kept_and_is_itself_never_from_there(
    service: QueryService, tenant_id: str
) -> None:
    await store(service, tenant_id, Stored(START, user="u"))
    before = await explain(service, tenant_id, "stickiness", RANGE)
    request = request_type(INSIGHTS["stickiness"])(from_time=RANGE["from"], to_time=RANGE["to"])
    await service.client.call("QueryStickiness", request, principal=principal(tenant_id), timeout=20)
    after = await explain(service, tenant_id, "stickiness", RANGE)

    assert (before["answer_is_cached"], after["answer_is_cached"]) == (False, True)
    assert after["info"]["cached"] is False
    assert after["info"]["rows_read"] > 0


@pytest.mark.parametrize(
    ("insight", "request_json", "reason", "field"),
    [
        ("", b"{}", "UNKNOWN_INSIGHT", "insight"),
        ("QueryStickiness", b"{}", "UNKNOWN_INSIGHT", "insight"),
        ("stickiness", b'{"at_least": -1}', "OUT_OF_RANGE", "request.at_least"),
        ("stickiness", b'{"at_most": 1}', "UNKNOWN_FIELD", "request.at_most"),
        ("stickiness", b'{"at_least": "1"}', "BAD_FIELD", "request.at_least"),
        ("stickiness", b"[", "BAD_JSON", "request"),
    ],
)
async def test_mistakes_are_named(
    service: QueryService, insight: str, request_json: bytes, reason: str, field: str
) -> None:
    with pytest.raises(DomainError) as refused:
        await service.client.call(
            "ExplainInsight",
            explain_pb2.ExplainInsightRequest(insight=insight, request_json=request_json),
            principal=principal(str(uuid.uuid4())),
            timeout=20,
        )
    assert (refused.value.reason, refused.value.field, refused.value.http_status) == (reason, field, 400)


async def test_names_and_timelines_are_served_and_need_the_right_to_ask(service: QueryService, tenant_id: str) -> None:
    await store(service, tenant_id, Stored(START, user="u", properties={"plan": "pro"}))
    fields = await service.client.call(
        "ListPropertyNames",
        schema_pb2.ListPropertyNamesRequest(from_time="0"),
        principal=principal(tenant_id),
        timeout=20,
    )
    timeline = await service.client.call(
        "GetUserTimeline", timeline_pb2.GetUserTimelineRequest(id="u"), principal=principal(tenant_id), timeout=20
    )
    assert isinstance(fields, schema_pb2.ListPropertyNamesResponse)
    assert isinstance(timeline, timeline_pb2.GetUserTimelineResponse)
    assert [found.name for found in fields.properties] == ["properties.plan"]
    assert fields.info.rows_read > 0
    assert len(timeline.events) == 1
    for rpc, request in (
        ("ListEventNames", schema_pb2.ListEventNamesRequest()),
        ("ListPropertyNames", schema_pb2.ListPropertyNamesRequest()),
        ("GetUserTimeline", timeline_pb2.GetUserTimelineRequest(id="u")),
        ("ExplainInsight", explain_pb2.ExplainInsightRequest(insight="stickiness")),
    ):
        with pytest.raises(DomainError) as refused:
            await service.client.call(rpc, request, principal=principal(tenant_id, "ingest"), timeout=5)
        assert refused.value.reason == "SCOPE_MISSING"
