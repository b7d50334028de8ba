"""Two tenants, every route, every kind of credential: nobody sees or changes what is another's."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import grpc
import orjson
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from obc_gateway.transcoding.routes import IDENTITY, INGEST, PUBLIC_SERVICES, QUERY, SAVED
from tests.support.eventually import eventually
from tests.support.isolation.table import OPERATOR, PUBLIC, TABLE, Row
from tests.support.isolation.world import MARK, World, isolation_world
from tests.support.product import GrpcWay, Product, RestWay, new_event
from tests.support.stack_process import StackProcess

_NOBODY = ("none", "revoked", "expired", "jwt expired", "jwt naming the other")
_SCOPES = {
    "write": {"ingest"},
    "ingest": {"ingest"},
    "query": {"query"},
    "config": {"config"},
    "export": {"export"},
    "admin": {"ingest", "query", "config", "export", "admin"},
    "jwt query": {"query"},
    "jwt admin": {"ingest", "query", "config", "export", "admin"},
}
_STATUS_OF_CLOSE = {4401: 401, 4403: 403}
_WRONG_SHAPE = "not-a-key"
_ISSUER_NOBODY_HAS = "0198c0de-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
async def world(product: Product) -> AsyncIterator[World]:
    """Shared: what it checks is that nothing changes."""
    async with isolation_world(product) as world:

        async def is_expired() -> bool:
            return await _status(world, "GET /v1/keys", TABLE["GET /v1/keys"], "expired", "own") == 401

        async def is_visible() -> bool:
            headers = {"Authorization": f"Bearer {world.other.secret_key}"}
            async with aiohttp.ClientSession(world.product.url) as http, http.get("/v1/events", headers=headers) as got:
                return MARK in await got.text()

        await eventually(is_expired, timeout=10, interval=0.1)
        await eventually(is_visible, timeout=10, interval=0.1)
        yield world


async def test_every_route_of_the_api_has_a_row_here(product: Product) -> None:
    async with aiohttp.ClientSession(product.url) as http, http.get("/openapi.json") as answer:
        paths = orjson.loads(await answer.read())["paths"]
    assert {f"{verb.upper()} {path}" for path, item in paths.items() for verb in item} == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
async def test_every_credential_reaches_its_own_tenant_only_and_only_with_the_right_scope(
    world: World, name: str
) -> None:
    row = TABLE[name]
    before = await world.others_state()
    wrong = []
    for credential in world.credentials:
        for target in _targets(name, row):
            expected = _expected(row, name, credential, target)
            status = await _status(world, name, row, credential, target, uses_it_up=expected == 200)
            if status != expected:
                wrong.append(f"{credential} on {target}: {status} instead of {expected}")
    assert not wrong
    assert await world.others_state() == before


@pytest.mark.parametrize(
    "method", [method for service in PUBLIC_SERVICES for method in service.methods], ids=lambda it: it.name
)
async def test_grpc_refuses_who_is_nobody_and_keeps_its_own_calls_to_itself(
    world: World, stack: StackProcess, method: MethodDescriptor
) -> None:
    internal = method.name in ("WatchConfigs", "ResolveKey", "ReportKeyUse")
    wrong = []
    for credential, text in {**world.credentials, "wrong shape": _WRONG_SHAPE}.items():
        nobody = credential in (*_NOBODY, "wrong shape")
        if not nobody and not internal:
            continue  # what a good credential may do is the same as over REST, above
        code = await _grpc_code(world, stack, method, text)
        if code is not (grpc.StatusCode.UNAUTHENTICATED if nobody else grpc.StatusCode.PERMISSION_DENIED):
            wrong.append(f"{credential}: {code}")
    assert not wrong


@pytest.mark.parametrize("forged", ["x", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJnYXRld2F5In0."])
async def test_an_identity_between_processes_cannot_be_made_up(world: World, stack: StackProcess, forged: str) -> None:
    method = PUBLIC_SERVICES[1].methods_by_name["ListEvents"]
    for text in (None, world.credentials["query"]):
        code = await _grpc_code(world, stack, method, text, extra=(("x-obc-identity", forged),))
        assert code is grpc.StatusCode.UNAUTHENTICATED


async def test_an_event_that_names_the_other_tenant_is_never_stored_there(world: World) -> None:
    before = await world.others_state()
    for way in (RestWay(world.product, world.own), GrpcWay(world.product, world.own)):
        async with way:
            event = new_event(tenant_id=world.other.tenant_id)
            if isinstance(way, RestWay):
                [result] = await way.send([event])
                assert (result["result"], result["code"]) == ("rejected", "tenant_mismatch")
    assert await world.others_state() == before


async def test_the_same_id_in_both_tenants_is_two_events(world: World) -> None:
    event = new_event()
    for tenant in (world.own, world.other):
        async with RestWay(world.product, tenant) as way:
            [result] = await way.send([event])
        assert result["result"] == "accepted"


def _targets(name: str, row: Row) -> list[str]:
    if row.scope == PUBLIC:
        return ["own"]
    if "{key_id}" in name and "{tenant_id}" in name:
        return ["own", "other", "other's key here"]
    if any(saved in name for saved in ("{insight_id}", "{dashboard_id}", "{cohort_id}")):
        return ["own", "header", "other's saved"]
    if "{anonymous_id}" in name:
        return ["own", "header", "other's device"]
    if "{key_id}" in name:
        return ["own", "other's key here"]
    return ["own", "other"] if "{tenant_id}" in name else ["own", "header"]


def _expected(row: Row, name: str, credential: str, target: str) -> int:
    opened = 101 if row.kind == "ws" else 200
    if row.scope == PUBLIC:
        return 200
    if credential in _NOBODY:
        return 401
    if credential == "operator":
        return row.operator if "{tenant_id}" not in name or row.kind == "ws" else _operator_in_tenant(target)
    if target == "header":
        return 403
    if row.kind == "ws" and target == "other":
        return 403
    if row.scope == OPERATOR or row.scope not in _SCOPES[credential] or (row.secret_only and credential == "write"):
        return 403
    return opened if target == "own" else 404


def _operator_in_tenant(target: str) -> int:
    return 404 if target == "other's key here" else 200


async def _status(world: World, name: str, row: Row, credential: str, target: str, *, uses_it_up: bool = False) -> int:
    """Calls a route; checks that the answer shows nothing of the other tenant, unless an operator asks."""
    method, path = name.split(" ")
    # An operator may; what it may change is not the other tenant, which must stay as it is.
    named = world.other if target == "other" and credential != "operator" else world.own
    key_id = world.own_key_id
    saved = world.other_saved if target.startswith("other") else world.own_saved
    if name.split()[1].startswith(("/v1/saved/", "/v1/cohorts/{")) and "{" in name and uses_it_up:
        saved = await world.throwaway_saved()
    if "{key_id}" in name and uses_it_up:
        key_id = await world.throwaway_key()
    elif target.startswith("other"):
        key_id = world.other_key_id
    device = world.other_device if target.startswith("other") else world.own_device
    path = path.format(
        tenant_id=named.tenant_id,
        key_id=key_id,
        issuer_id=_ISSUER_NOBODY_HAS,
        id="somebody",
        anonymous_id=device,
        **saved,
    )
    headers = {"Content-Type": row.content_type}
    text = world.credentials[credential]
    if text is not None and row.kind != "ws":
        headers["Authorization"] = f"Bearer {text}"
    if target == "header":
        headers["X-Tenant-ID"] = world.other.tenant_id
    async with aiohttp.ClientSession(world.product.url) as http:
        if row.kind == "ws":
            return await _socket_status(http, path, headers, text or "")
        data = None if row.body is None else orjson.dumps(row.body(world))
        async with http.request(method, path, headers=headers, params=row.parameters(), data=data) as answer:
            if row.kind == "sse" and answer.status == 200:
                content = await asyncio.wait_for(answer.content.readany(), 10)
                answer.close()
            else:
                content = await answer.read()
            assert credential == "operator" or MARK.encode() not in content, f"{credential} on {target} saw {content!r}"
            return answer.status


async def _socket_status(http: aiohttp.ClientSession, path: str, headers: dict[str, str], credential: str) -> int:
    """The credential goes once into the upgrade and once into the first frame: both say the same, each in its way."""
    statuses = []
    for upgrade in ({**headers, "Authorization": f"Bearer {credential}"}, headers) if credential else (headers,):
        try:
            async with http.ws_connect(path, headers=upgrade, timeout=aiohttp.ClientWSTimeout(ws_close=1)) as socket:
                if upgrade is headers:
                    await socket.send_json({"type": "auth", "token": credential})
                shown = await socket.receive(timeout=10)
                assert MARK not in str(shown.data)
                closed = shown.type is aiohttp.WSMsgType.CLOSE
                statuses.append(_STATUS_OF_CLOSE[shown.data] if closed else 101)
        except aiohttp.WSServerHandshakeError as error:
            statuses.append(error.status)
    assert len(set(statuses)) == 1, statuses
    return statuses[0]


async def _grpc_code(
    world: World,
    stack: StackProcess,
    method: MethodDescriptor,
    credential: str | None,
    extra: tuple[tuple[str, str], ...] = (),
) -> grpc.StatusCode:
    service = method.containing_service.full_name
    setting = {INGEST: "INGEST", QUERY: "QUERY", SAVED: "QUERY", IDENTITY: "QUERY"}.get(service, "TENANT_CONFIG")
    address = f"127.0.0.1:{stack.ports[f'ANALYTICS_{setting}_GRPC_PORT']}"
    metadata = extra if credential is None else (("authorization", f"Bearer {credential}"), *extra)
    request = message_factory.GetMessageClass(method.input_type)()
    async with grpc.aio.insecure_channel(address) as channel:
        path = f"/{service}/{method.name}"
        serializer = type(request).SerializeToString
        if method.client_streaming:
            # Nothing is sent: a message that meets the end of a call makes the client call it INTERNAL.
            call: grpc.aio.StreamStreamCall[Message, bytes] = channel.stream_stream(path, serializer)(
                metadata=metadata, timeout=10
            )
            try:
                await call.read()
            except grpc.aio.AioRpcError as error:
                return error.code()
            call.cancel()
            return grpc.StatusCode.OK
        if method.server_streaming:
            stream: grpc.aio.UnaryStreamCall[Message, bytes] = channel.unary_stream(path, serializer)(
                request, metadata=metadata, timeout=10
            )
            try:
                await stream.read()
            except grpc.aio.AioRpcError as error:
                return error.code()
            stream.cancel()
            return grpc.StatusCode.OK
        try:
            await channel.unary_unary(path, serializer)(request, metadata=metadata, timeout=10)
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK
