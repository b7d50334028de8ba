"""Everything but ingest, by the route table, through a real gateway."""

from typing import Any

import orjson
import pytest

from obc.query.v1 import dashboard_pb2, metrics_pb2, stored_event_pb2
from obc.tenant_config.v1 import config_pb2, key_pb2
from obc.tenant_config.v1 import tenant_config_service_pb2 as tenant_pb
from obc_common.errors import InvalidArgument, NotFound
from tests.component.gateway.conftest import Edge, StartEdge
from tests.support.fake_services.recorder import TENANT_A, TENANT_B


def raising(error: Exception) -> Any:
    def script(_request: object) -> Any:
        raise error

    return script


@pytest.mark.parametrize("path", ["/api/analytics/events", "/v1/events"])
async def test_a_list_with_filters_and_its_answer(edge: Edge, path: str) -> None:
    edge.suite.query.recorder.scripts["ListEvents"] = lambda _: stored_event_pb2.ListEventsResponse(
        events=[
            stored_event_pb2.StoredEvent(
                event_id="e1",
                properties_json=b'{"plan":"pro","n":1.50}',
                timestamp_ms=1_700_000_000_000,
                sample_rate=1.0,
            )
        ],
        next_page_token="",
    )
    query = [("from", "2026-01-01"), ("filter", "properties.plan:eq:pro"), ("filter", "a:neq:b"), ("page_size", "10")]
    async with edge.http.get(path, params=query, headers=edge.key("secret")) as answer:
        text = await answer.text()
        assert answer.status == 200
    body = orjson.loads(text)
    [event] = body["events"]
    assert body["next_page_token"] == ""
    assert event["properties"] == {"plan": "pro", "n": 1.5}
    assert '"n":1.50' in text  # embedded, not decoded
    assert event["timestamp"] == 1_700_000_000_000
    assert '"sample_rate":1,' in text or text.count('"sample_rate":1}')
    assert (event["user_id"], "device_info" in event) == ("", False)
    call = edge.suite.query.recorder.last
    assert list(call.request.filter) == ["properties.plan:eq:pro", "a:neq:b"]
    assert (call.request.from_time, call.request.page_size, call.principal.tenant_id) == ("2026-01-01", 10, TENANT_A)


async def test_metrics_and_dashboard_leave_out_what_is_not_there(edge: Edge) -> None:
    scripts = edge.suite.query.recorder.scripts
    scripts["GetMetrics"] = lambda _: metrics_pb2.GetMetricsResponse(
        series=[metrics_pb2.MetricSeries(metric="events", unit="count", points=[metrics_pb2.MetricPoint(start_ms=5)])]
    )
    scripts["GetDashboard"] = lambda _: dashboard_pb2.GetDashboardResponse(
        performance=dashboard_pb2.Performance(error_rate=dashboard_pb2.ComparedValue(value=float("nan")))
    )
    headers = edge.key("secret")
    async with edge.http.get("/v1/metrics?metrics=events&metrics=users", headers=headers) as answer:
        [series] = (await answer.json())["series"]
        assert series == {"metric": "events", "unit": "count", "points": [{"start": 5, "incomplete": False}]}
    async with edge.http.get("/api/analytics/dashboard", headers=headers) as answer:
        body = await answer.json()
        assert body["performance"]["error_rate"] == {"value": None}
        assert "user_engagement" not in body


@pytest.mark.parametrize(
    ("query", "reason", "field"),
    [
        ("page_size=many", "BAD_FIELD", "page_size"),
        ("page_size=99999999999", "BAD_FIELD", "page_size"),
        ("frm=1", "UNKNOWN_FIELD", "frm"),
        ("event_name=a&event_name=b", "DUPLICATE_PARAMETER", "event_name"),
        ("key=wk_live_x", "UNKNOWN_FIELD", "key"),
    ],
)
async def test_bad_query_parameters_are_400_and_named(edge: Edge, query: str, reason: str, field: str) -> None:
    async with edge.http.get(f"/v1/events?{query}", headers=edge.key("secret")) as answer:
        error = (await answer.json())["error"]
        assert (answer.status, error["reason"], error["details"][0]["field"]) == (400, reason, field)
    assert not edge.suite.query.recorder.calls


async def test_create_key_by_body_and_by_path(edge: Edge) -> None:
    recorder = edge.suite.tenant_config.recorder
    recorder.scripts["CreateKey"] = lambda request: tenant_pb.CreateKeyResponse(
        key=key_pb2.ApiKey(key_id="k", tenant_id=request.tenant_id, expires_at_ms=request.expires_at_ms), secret="s"
    )
    body = {"kind": "secret", "scopes": ["query"], "expires_at": 1_900_000_000_000}
    async with edge.http.post(f"/v1/tenants/{TENANT_B}/keys", json=body, headers=edge.key("operator")) as answer:
        key = (await answer.json())["key"]
        assert (answer.status, key["tenant_id"], key["expires_at"]) == (200, TENANT_B, 1_900_000_000_000)
        assert key["allowed_origins"] == []
    assert recorder.last.principal.is_operator


async def test_patch_of_rules_keeps_unset_apart_from_empty(edge: Edge) -> None:
    recorder = edge.suite.tenant_config.recorder
    recorder.scripts["UpdateConfig"] = lambda _: tenant_pb.UpdateConfigResponse(
        config=config_pb2.TenantAnalyticsConfig(tenant_id=TENANT_A, sampling_rate=0.5)
    )
    body = {"config": {"excluded_events": [], "sampling_rate": 0, "enabled": None}, "expected_version": 3}
    async with edge.http.patch("/v1/config", json=body, headers=edge.key("secret")) as answer:
        assert (await answer.json())["config"]["sampling_rate"] == 0.5
    patch = recorder.last.request.config
    assert patch.HasField("excluded_events") and not list(patch.excluded_events)
    assert patch.HasField("sampling_rate") and not patch.HasField("enabled")
    assert not patch.HasField("custom_properties")


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        (b'{"config":{"retention":1},"x":2}', "UNKNOWN_FIELD", "x"),
        (b'{"config":{"retention":1}}', "UNKNOWN_FIELD", "config.retention"),
        (b'{"config":{"retention_days":"30"}}', "BAD_FIELD", "config.retention_days"),
        (b'{"config":{"retention_days":1.5}}', "BAD_FIELD", "config.retention_days"),
        (b'{"config":{"excluded_events":"a"}}', "BAD_FIELD", "config.excluded_events"),
        (b'{"config":[]}', "BAD_FIELD", "config"),
        (b'{"config":{"enabled":1}}', "BAD_FIELD", "config.enabled"),
        (b"[]", "NOT_OBJECT", None),
        (b"{", "BAD_JSON", None),
        (b'{"a":"\xff"}', "BAD_ENCODING", None),
        (b'\xef\xbb\xbf{"config":{}}', "BAD_JSON", None),
    ],
)
async def test_bad_bodies_are_400_and_name_the_field(edge: Edge, body: bytes, reason: str, field: str | None) -> None:
    headers = edge.key("secret") | {"Content-Type": "application/json"}
    async with edge.http.patch("/v1/config", data=body, headers=headers) as answer:
        error = (await answer.json())["error"]
        assert (answer.status, error["reason"]) == (400, reason)
        if field is not None:
            assert error["details"][0]["field"] == field


async def test_control_bodies_must_be_application_json(edge: Edge) -> None:
    headers = edge.key("secret") | {"Content-Type": "text/plain"}
    async with edge.http.patch("/v1/config", data=b"{}", headers=headers) as answer:
        assert answer.status == 415


async def test_line_26_a_body_that_names_another_tenant_is_403_and_a_path_is_left_to_the_service(edge: Edge) -> None:
    recorder = edge.suite.tenant_config.recorder
    recorder.scripts["GetConfig"] = raising(NotFound("TENANT_NOT_FOUND", "no such tenant"))
    headers = edge.key("secret", TENANT_A)
    async with edge.http.post("/v1/keys", json={"tenant_id": TENANT_B, "kind": "write"}, headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]["reason"]) == (403, "TENANT_MISMATCH")
    async with edge.http.get("/v1/config", headers=headers | {"X-Tenant-ID": TENANT_B}) as answer:
        assert answer.status == 403
    assert not recorder.calls or recorder.last.method == "ResolveKey"
    async with edge.http.get(f"/v1/tenants/{TENANT_B}/config", headers=headers) as answer:
        assert answer.status == 404


async def test_rotate_and_revoke_are_told_apart_by_the_verb(edge: Edge) -> None:
    scripts = edge.suite.tenant_config.recorder.scripts
    scripts["RotateKey"] = lambda _: tenant_pb.RotateKeyResponse(secret="new")
    scripts["RevokeKey"] = lambda _: tenant_pb.RevokeKeyResponse()
    headers = edge.key("secret")
    async with edge.http.post("/v1/keys/k-1:rotate", json={"overlap_seconds": 5}, headers=headers) as answer:
        assert (await answer.json()) == {"secret": "new"}
    assert edge.suite.tenant_config.recorder.last.request.key_id == "k-1"
    async with edge.http.post("/v1/keys/k-1:rotate", headers=headers) as answer:  # no body: all defaults
        assert answer.status == 200
    async with edge.http.delete("/v1/keys/k-1", headers=headers) as answer:
        assert (answer.status, await answer.json()) == (200, {})
    async with edge.http.delete("/v1/keys/k-1:rotate", headers=headers) as answer:
        assert answer.status == 405


async def test_what_a_service_refuses_comes_through(edge: Edge) -> None:
    error = InvalidArgument("UNKNOWN_METRIC", "There is no metric x.", field="metrics", metadata={"metric": "x"})
    edge.suite.query.recorder.scripts["GetMetrics"] = raising(error)
    async with edge.http.get("/v1/metrics?metrics=x", headers=edge.key("secret")) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"] == {
            "code": 400,
            "status": "INVALID_ARGUMENT",
            "reason": "UNKNOWN_METRIC",
            "message": "There is no metric x.",
            "details": [
                {"field": "metrics", "description": "There is no metric x."},
                {"metadata": {"metric": "x"}},
            ],
        }


async def test_one_key_is_rate_limited_and_another_is_not(start_edge: StartEdge) -> None:
    edge = await start_edge(api_rate_per_second=0.05, api_burst=3)
    edge.suite.query.recorder.scripts["GetDashboard"] = lambda _: dashboard_pb2.GetDashboardResponse()
    headers = edge.key("secret")
    statuses = []
    for _ in range(5):
        async with edge.http.get("/v1/dashboard", headers=headers) as answer:
            statuses.append(answer.status)
            if answer.status == 429:
                assert int(answer.headers["Retry-After"]) >= 1
    assert statuses == [200, 200, 200, 429, 429]
    async with edge.http.get("/v1/dashboard", headers=edge.key("secret")) as answer:
        assert answer.status == 200


async def test_line_34_redis_away_costs_no_5xx(start_edge: StartEdge, redis_server: Any) -> None:
    edge = await start_edge(redis_url=redis_server.url)
    edge.suite.query.recorder.scripts["GetDashboard"] = lambda _: dashboard_pb2.GetDashboardResponse()
    redis_server.stop()
    headers = edge.key("secret")
    for _ in range(3):
        async with edge.http.get("/v1/dashboard", headers=headers) as answer:
            assert answer.status == 200
