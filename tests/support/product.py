"""The running product as its users see it: tenants with keys, and the three ways in."""

import time
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg
import grpc
import orjson

from obc.common.v1 import event_pb2
from obc.ingest.v1 import ingest_service_pb2 as ingest_pb
from obc.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from obc_dev.api import Api

Event = dict[str, Any]
Result = dict[str, Any]

OUTCOMES = {
    ingest_pb.EVENT_OUTCOME_ACCEPTED: "accepted",
    ingest_pb.EVENT_OUTCOME_DUPLICATE: "duplicate",
    ingest_pb.EVENT_OUTCOME_DROPPED: "dropped",
    ingest_pb.EVENT_OUTCOME_REJECTED: "rejected",
}


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant of a test's own and its keys."""

    tenant_id: str
    write_key: str
    secret_key: str


@dataclass(frozen=True, slots=True)
class Product:
    """Where the running product is reached. `database_url` is the superuser's: it sees every tenant's rows."""

    url: str
    ingest_address: str
    operator_key: str
    database_url: str

    @property
    def ws_url(self) -> str:
        """The gateway for WebSockets."""
        return self.url.replace("http", "ws", 1)

    async def new_tenant(self, name: str = "a test's tenant") -> Tenant:
        """Makes a tenant with a write key and a secret key, through the public API."""
        async with Api(self.url, self.operator_key) as api:
            tenant_id = (await api.post("/v1/tenants", {"name": name}))["tenant"]["tenant_id"]
            keys = f"/v1/tenants/{tenant_id}/keys"
            write = await api.post(keys, {"kind": "write"})
            secret = await api.post(keys, {"kind": "secret", "scopes": ["ingest", "query", "config"]})
        return Tenant(tenant_id, write["secret"], secret["secret"])

    async def change_rules(self, tenant: Tenant, **rules: Any) -> None:
        """Changes the tenant's rules with its secret key."""
        async with Api(self.url, tenant.secret_key) as api:
            await api.patch("/v1/config", {"config": rules})

    async def stored(self, tenant: Tenant) -> list[dict[str, Any]]:
        """The tenant's events as PostgreSQL has them."""
        connection = await asyncpg.connect(self.database_url, timeout=10)
        try:
            rows = await connection.fetch(
                "SELECT * FROM analytics_events WHERE tenant_id = $1 ORDER BY event_time", uuid.UUID(tenant.tenant_id)
            )
        finally:
            await connection.close()
        return [
            {**row, "properties": orjson.loads(row["properties"]), "device_info": orjson.loads(row["device_info"])}
            for row in map(dict, rows)
        ]


def new_event(**fields: Any) -> Event:
    """A small valid event, now; `fields` replace or add."""
    return {
        "event_id": str(uuid.uuid4()),
        "event_name": "page_view",
        "event_category": "navigation",
        "session_id": "s-1",
        "timestamp": int(time.time() * 1000),
        "properties": {},
        **fields,
    }


class RestWay:
    """Events in through `POST /v1/events:batch`."""

    def __init__(self, product: Product, tenant: Tenant) -> None:
        self._api = Api(product.url, tenant.write_key)

    async def __aenter__(self) -> "RestWay":
        await self._api.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._api.__aexit__()

    async def send(self, events: Sequence[Event]) -> list[Result]:
        """Sends one batch; its results in order."""
        answer = await self._api.post("/v1/events:batch", {"events": events, "sent_at": int(time.time() * 1000)})
        results: list[Result] = answer["results"]
        return results


class SocketWay:
    """Events in through the WebSocket, one batch at a time."""

    def __init__(self, product: Product, tenant: Tenant, path: str = "/v1/stream") -> None:
        self._url = product.ws_url + path
        self._key = tenant.write_key
        self._seq = 0
        self.configs: list[dict[str, Any]] = []

    async def __aenter__(self) -> "SocketWay":
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(aiohttp.ClientSession())
            timeout = aiohttp.ClientWSTimeout(ws_close=5)
            self.socket = await stack.enter_async_context(session.ws_connect(self._url, timeout=timeout))
            await self.socket.send_json({"type": "auth", "token": self._key})
            self.ready = await self.receive("ready")
            self._open = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def receive(self, kind: str) -> dict[str, Any]:
        """The next frame of a type; config frames on the way are kept in `configs`."""
        while True:
            frame: dict[str, Any] = await self.socket.receive_json(timeout=15)
            if frame["type"] == kind:
                return frame
            assert frame["type"] == "config", f"waiting for {kind}, got {frame}"
            self.configs.append(frame)

    async def send(self, events: Sequence[Event]) -> list[Result]:
        """Sends one batch; its results in order, once it is acknowledged."""
        self._seq += 1
        frame = {"type": "events", "seq": self._seq, "sent_at": int(time.time() * 1000), "events": events}
        await self.socket.send_str(orjson.dumps(frame).decode())
        ack = await self.receive("ack")
        assert ack["seq"] == self._seq
        results: list[Result] = ack["results"]
        return results


class GrpcWay:
    """Events in through `IngestStream` as typed messages, one batch at a time: what an internal service does."""

    def __init__(self, product: Product, tenant: Tenant) -> None:
        self._address = product.ingest_address
        self._metadata = (("authorization", f"Bearer {tenant.write_key}"),)
        self._seq = 0

    async def __aenter__(self) -> "GrpcWay":
        async with AsyncExitStack() as stack:
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(self._address))
            stub: ingest_grpc.IngestServiceAsyncStub = ingest_grpc.IngestServiceStub(channel)
            self._stream = stub.IngestStream(metadata=self._metadata)
            stack.callback(self._stream.cancel)
            await self._receive("ready")
            self._open = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def _receive(self, kind: str) -> ingest_pb.IngestStreamResponse:
        while True:
            message = await self._stream.read()
            assert isinstance(message, ingest_pb.IngestStreamResponse), f"the stream ended: {message}"
            if message.WhichOneof("message") == kind:
                return message
            assert message.WhichOneof("message") == "config", f"waiting for {kind}, got {message}"

    async def send(self, events: Sequence[Event]) -> list[Result]:
        """Sends one batch; its results in order, once it is acknowledged."""
        self._seq += 1
        batch = ingest_pb.EventBatch(events=map(typed_event, events), sent_at_ms=int(time.time() * 1000))
        await self._stream.write(ingest_pb.IngestStreamRequest(seq=self._seq, typed=batch))
        ack = (await self._receive("ack")).ack
        assert ack.seq == self._seq
        return [
            {"event_id": result.event_id, "result": OUTCOMES[result.result], "code": result.code}
            for result in ack.results
        ]


Way = RestWay | SocketWay | GrpcWay


def typed_event(event: Event) -> event_pb2.Event:
    """The proto of a JSON event."""
    fields = dict(event)
    device = fields.pop("device_info", None)
    return event_pb2.Event(
        properties_json=orjson.dumps(fields.pop("properties", {})),
        timestamp_ms=fields.pop("timestamp"),
        device_info=event_pb2.DeviceInfo(**device) if device else None,
        **fields,
    )
