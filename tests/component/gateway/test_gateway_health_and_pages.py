"""Probes, health and pages of a real gateway."""

import re
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from openapi_spec_validator import validate

from obc_common.health import HealthRegistry
from obc_dev.servers.ports import free_ports
from tests.component.gateway.conftest import Edge, StartEdge
from tests.support.eventually import eventually

ALL = {"database", "redis", "websocket", "worker", "ingest", "query", "tenant_config"}


async def test_health_is_ok_and_names_every_service(edge: Edge) -> None:
    async def healthy() -> Any:
        async with edge.http.get("/health") as answer:
            body = await answer.json()
            return body if answer.status == 200 and body["status"] == "ok" else None

    body = await eventually(healthy)
    services = body["services"]
    assert set(services) == ALL
    assert services["worker"] == "not_configured"  # it does not run: to say it is well would be a lie


async def test_a_database_that_is_away_is_down_but_the_gateway_stays_ready(edge: Edge) -> None:
    edge.suite.unwell.add("database")

    async def down() -> bool:
        async with edge.http.get("/health") as answer:
            body = await answer.json()
            return answer.status == 503 and body["status"] == "down" and body["services"]["database"] == "down"

    await eventually(down, timeout=10)
    async with edge.http.get("/readyz") as answer:
        body = await answer.json()
        assert (answer.status, body["ready"], body["components"]["database"]["status"]) == (200, True, "down")


async def test_query_away_is_degraded(edge: Edge) -> None:
    await edge.suite.servers["query"].stop()

    async def degraded() -> bool:
        async with edge.http.get("/health") as answer:
            body = await answer.json()
            return answer.status == 200 and body["status"] == "degraded" and body["services"]["query"] == "down"

    await eventually(degraded, timeout=10)


async def test_probes_do_no_io(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    async def forbidden(_self: HealthRegistry) -> None:
        raise AssertionError("a probe checked something")

    monkeypatch.setattr(HealthRegistry, "check_now", forbidden)
    for path in ("/livez", "/readyz", "/health"):
        async with edge.http.get(path) as answer:
            assert answer.status in (200, 503)


async def test_the_openapi_document_is_valid_and_has_the_comments(edge: Edge) -> None:
    async with edge.http.get("/openapi.json") as answer:
        document = orjson.loads(await answer.read())
        etag = answer.headers["ETag"]
    validate(document)
    assert document["openapi"].startswith("3.1")
    metrics = document["paths"]["/v1/metrics"]["get"]
    assert metrics["description"] == "GetMetrics answers named metrics over time."
    parameters = {parameter["name"]: parameter for parameter in metrics["parameters"]}
    assert "IANA time zone" in parameters["timezone"]["description"]
    assert {"from", "to", "metrics"} <= set(parameters)
    for path in ("/ws/analytics", "/ws/analytics/{tenant_id}", "/v1/stream", "/v1/live/ws", "/health", "/readyz"):
        assert path in document["paths"]
    async with edge.http.get("/openapi.json", headers={"If-None-Match": etag}) as answer:
        assert answer.status == 304


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_pages_have_nothing_inline_and_every_asset_is_there(edge: Edge, path: str) -> None:
    async with edge.http.get(path) as answer:
        html = await answer.text()
        assert answer.content_type == "text/html"
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|https?://", html)
    assets = re.findall(r'(?:src|href)="(/assets/[^"]+)"', html)
    assert assets
    for asset in assets:
        async with edge.http.get(asset) as answer:
            assert answer.status == 200
            assert answer.content_type in ("text/css", "text/javascript", "image/svg+xml")


async def test_a_static_folder_is_served_without_listing(start_edge: StartEdge, tmp_path: Path) -> None:
    (tmp_path / "obc.js").write_text("export {};")
    edge = await start_edge(static_folder=tmp_path)
    async with edge.http.get("/static/obc.js") as answer:
        assert (answer.status, await answer.text()) == (200, "export {};")
    async with edge.http.get("/static/") as answer:
        assert answer.status == 404


async def test_metrics_are_on_the_admin_port_only(start_edge: StartEdge) -> None:
    [port] = free_ports(1)
    edge = await start_edge(admin_port=port)
    async with edge.http.get("/metrics") as answer:
        assert answer.status == 404
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/metrics") as answer:
        text = await answer.text()
    assert 'obc_gateway_http_requests_total{method="GET",route="unrouted",status="404"}' in text
