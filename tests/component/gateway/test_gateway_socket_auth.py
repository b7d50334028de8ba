"""Who may open a socket (contract 2.3, bad-inputs 25, 26, 28 and 29)."""

from typing import Any

import aiohttp
import orjson
import pytest

from tests.component.gateway.conftest import Edge, StartEdge
from tests.support.fake_services.recorder import TENANT_B
from tests.support.gateway_socket import EVENT, connect


@pytest.mark.parametrize("way", ["header", "x-api-key", "query", "subprotocol"])
async def test_every_way_to_authenticate_at_the_upgrade(edge: Edge, way: str) -> None:
    key = edge.suite.tenant_config.make_key("write")
    path = "/ws/analytics"
    options: dict[str, Any] = {}
    if way == "header":
        options = {"headers": {"Authorization": f"Bearer {key}"}}
    elif way == "x-api-key":
        options = {"headers": {"X-API-Key": key}}
    elif way == "query":
        path += f"?key={key}"
    else:
        options = {"protocols": ("obc.v1", f"obc.key.{key}")}
    async with connect(edge, path, **options) as socket:
        assert (await socket.next())["type"] == "ready"
        assert socket.ws.protocol == ("obc.v1" if way == "subprotocol" else None)
        await socket.send({"type": "auth", "token": key})  # said again: harmless
        await socket.send(EVENT)
        assert (await socket.next())["type"] == "ack"


async def test_line_29_without_a_first_message_it_closes_4401(start_edge: StartEdge) -> None:
    edge = await start_edge(socket_auth_seconds=0.2)
    async with connect(edge) as socket:
        assert await socket.close_code() == 4401


@pytest.mark.parametrize(
    "first", ['{"type":"auth","token":"nonsense"}', '{"type":"auth"}', '{"type":"heartbeat"}', "{", orjson.dumps(EVENT)]
)
async def test_line_29_a_bad_first_frame_closes_4401(edge: Edge, first: str | bytes) -> None:
    async with connect(edge) as socket:
        await socket.send(first if isinstance(first, str) else first.decode())
        assert await socket.close_code() == 4401


async def test_line_26_a_path_header_or_auth_frame_that_names_another_tenant_is_refused(edge: Edge) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connect(edge, f"/ws/analytics/{TENANT_B}", headers=edge.key("write")):
            pass
    assert refused.value.status == 403
    for path, extra in ((f"/ws/analytics/{TENANT_B}", {}), ("/v1/stream", {"tenant_id": TENANT_B})):
        async with connect(edge, path) as socket:
            await socket.send({"type": "auth", "token": edge.suite.tenant_config.make_key("write")} | extra)
            assert await socket.close_code() == 4403
    assert not edge.suite.ingest.recorder.calls


async def test_line_25_a_key_without_the_scope_is_refused(edge: Edge) -> None:
    reader = edge.suite.tenant_config.make_key("secret", scopes=("query",))
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connect(edge, headers={"X-API-Key": reader}):
            pass
    assert refused.value.status == 403


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://app.example.com", True),
        ("https://evil.example", False),
        ("null", False),
        ("https://app.example.com.evil.io", False),
        ("https://sub.app.example.com", False),
        ("https://app.example.com:8443", False),
        (None, False),
    ],
)
async def test_line_28_origins_of_a_key_with_a_list(edge: Edge, origin: str | None, allowed: bool) -> None:
    key = edge.suite.tenant_config.make_key("write", origins=("https://app.example.com",))
    headers = {"Origin": origin} if origin else {}
    if allowed:
        async with connect(edge, f"/v1/stream?key={key}", headers=headers) as socket:
            assert (await socket.next())["type"] == "ready"
        return
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connect(edge, f"/v1/stream?key={key}", headers=headers):
            pass
    assert refused.value.status == 403
    if origin != "null":
        async with connect(edge, headers=headers) as socket:
            await socket.send({"type": "auth", "token": key})
            assert await socket.close_code() == 4403
