"""The product as the seed's own client calls it: its JSON, its headers, its two WebSocket URLs, its bare events."""

import time
import uuid
from typing import Any

import aiohttp
import pytest

from obc_dev.api import Api, ApiError
from tests.support.eventually import eventually
from tests.support.product import Event, Product, SocketWay, Tenant

_EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0"
)


def seed_event(tenant: Tenant, **fields: Any) -> Event:
    """An AnalyticsEvent with every field that the seed's client fills, its browser mistaken as the seed mistakes it."""
    return {
        "event_id": str(uuid.uuid4()),
        "tenant_id": tenant.tenant_id,
        "user_id": str(uuid.uuid4()),
        "session_id": str(uuid.uuid4()),
        "event_name": "user_action",
        "event_category": "interaction",
        "properties": {
            "action_name": "click",
            "element_type": "button",
            "element_id": "create-project-btn",
            "button_text": "Create Project",
            "page_section": "header",
        },
        "timestamp": int(time.time() * 1000),
        "page_url": "https://app.example/dashboard?tab=2",
        "referrer": "https://www.google.com/",
        "user_agent": _EDGE,
        "device_info": {
            "screen_width": 1920,
            "screen_height": 1080,
            "viewport_width": 1900,
            "viewport_height": 940,
            "device_type": "desktop",
            "browser": "Chrome",
            "browser_version": "126",
            "os": "Windows",
            "os_version": "10.0",
            "language": "en-GB",
            "timezone": "Europe/London",
        },
        "correlation_id": str(uuid.uuid4()),
        **fields,
    }


def _headers(tenant: Tenant) -> dict[str, str]:
    return {"X-Tenant-ID": tenant.tenant_id, "X-Correlation-ID": str(uuid.uuid4())}


async def test_a_batch_with_the_seeds_headers_and_body_is_stored_and_readable(product: Product, tenant: Tenant) -> None:
    event = seed_event(tenant)
    batch_id = str(uuid.uuid4())

    async with Api(product.url, tenant.write_key, _headers(tenant)) as api:
        body = {
            "events": [event],
            "batch_id": batch_id,
            "timestamp": int(time.time() * 1000),
            "tenant_id": tenant.tenant_id,
        }
        answer = await api.post("/api/analytics/batch", body)

    assert answer["batch_id"] == batch_id
    assert (answer["accepted"], answer["duplicate"], answer["dropped"], answer["rejected"]) == (1, 0, 0, 0)
    assert answer["results"] == [{"event_id": event["event_id"], "result": "accepted"}]

    async with Api(product.url, tenant.secret_key) as api:

        async def listed() -> list[dict[str, Any]]:
            events: list[dict[str, Any]] = (await api.get("/api/analytics/events"))["events"]
            return events

        [stored] = await eventually(listed)
        metrics = await api.get("/api/analytics/metrics", {"metrics": "events,users,sessions"})
        dashboard = await api.get("/api/analytics/dashboard")

    for name in ("event_id", "user_id", "session_id", "event_name", "event_category", "properties", "page_url"):
        assert stored[name] == event[name]
    assert stored["timestamp"] == event["timestamp"]
    assert stored["device_info"]["browser"] == "Edge"
    assert stored["device_info"]["screen_width"] == 1920
    assert [series["total"] for series in metrics["series"]] == [1, 1, 1]
    groups = {"user_engagement", "feature_usage", "performance", "user_journey", "tenant_analytics"}
    assert groups <= set(dashboard)
    assert dashboard["tenant_analytics"]["events"]["value"] == 1


async def test_ip_and_user_agent_are_never_stored_as_they_are(product: Product, tenant: Tenant) -> None:
    async with Api(product.url, tenant.write_key, _headers(tenant)) as api:
        await api.post("/api/analytics/batch", {"events": [seed_event(tenant)]})

    [row] = await product.stored(tenant)

    assert _EDGE not in str(row)
    assert "127.0.0.1" not in str(row)


@pytest.mark.parametrize("path", ["/ws/analytics", "/ws/analytics/{tenant_id}"])
async def test_a_bare_event_on_the_seeds_sockets_is_acknowledged_and_stored(
    product: Product, tenant: Tenant, path: str
) -> None:
    event = seed_event(tenant)
    async with SocketWay(product, tenant, path.format(tenant_id=tenant.tenant_id)) as way:
        await way.socket.send_json(event)
        ack = await way.receive("ack")
        await way.socket.send_json({"type": "heartbeat", "timestamp": 1_795_469_000_123})
        heartbeat = await way.receive("heartbeat")

    assert ack["results"] == [{"event_id": event["event_id"], "result": "accepted"}]
    assert heartbeat["timestamp"] == 1_795_469_000_123
    assert abs(heartbeat["server_time"] - time.time() * 1000) < 10_000
    assert [str(row["event_id"]) for row in await product.stored(tenant)] == [event["event_id"]]


async def test_a_socket_authenticates_by_subprotocol_too(product: Product, tenant: Tenant) -> None:
    async with aiohttp.ClientSession() as session:
        protocols = ("obc.v1", f"obc.key.{tenant.write_key}")
        async with session.ws_connect(f"{product.ws_url}/ws/analytics", protocols=protocols) as socket:
            ready = await socket.receive_json(timeout=10)

    assert (ready["type"], ready["credits"], socket.protocol) == ("ready", 8, "obc.v1")


async def test_an_event_sent_over_socket_and_batch_is_stored_once(product: Product, tenant: Tenant) -> None:
    event = seed_event(tenant)
    async with SocketWay(product, tenant, "/ws/analytics") as way:
        await way.socket.send_json(event)
        await way.receive("ack")

    async with Api(product.url, tenant.write_key, _headers(tenant)) as api:
        answer = await api.post("/api/analytics/batch", {"events": [event], "tenant_id": tenant.tenant_id})

    assert answer["duplicate"] == 1
    assert len(await product.stored(tenant)) == 1


@pytest.mark.parametrize("where", ["header", "body"])
async def test_the_tenant_is_never_believed_from_the_request(product: Product, tenant: Tenant, where: str) -> None:
    other = await product.new_tenant("another tenant")
    headers = {"X-Tenant-ID": other.tenant_id} if where == "header" else {}
    body = {"events": [seed_event(tenant)], **({"tenant_id": other.tenant_id} if where == "body" else {})}

    async with Api(product.url, tenant.write_key, headers) as api:
        with pytest.raises(ApiError) as refusal:
            await api.post("/api/analytics/batch", body)

    assert refusal.value.status == 403
    assert await product.stored(tenant) == await product.stored(other) == []


async def test_an_event_that_names_another_tenant_is_rejected_and_the_rest_of_its_batch_is_stored(
    product: Product, tenant: Tenant
) -> None:
    other = await product.new_tenant("another tenant")
    async with Api(product.url, tenant.write_key) as api:
        answer = await api.post("/api/analytics/batch", {"events": [seed_event(other), seed_event(tenant)]})

    foreign, own = answer["results"]
    assert (foreign["result"], foreign["code"], own["result"]) == ("rejected", "tenant_mismatch", "accepted")
    assert len(await product.stored(tenant)) == 1
    assert await product.stored(other) == []


async def test_a_socket_of_another_tenants_url_is_refused(product: Product, tenant: Tenant) -> None:
    other = await product.new_tenant("another tenant")
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{product.ws_url}/ws/analytics/{other.tenant_id}") as socket,
    ):
        await socket.send_json({"type": "auth", "token": tenant.write_key})
        message = await socket.receive(timeout=10)

    assert message.type is aiohttp.WSMsgType.CLOSE
    assert message.data == 4403
