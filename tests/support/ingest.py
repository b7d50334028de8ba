"""A running ingest service with a real TenantConfig behind it, and how to send to it as somebody."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import grpc
import orjson

from obc.common.v1 import event_pb2
from obc.ingest.v1 import ingest_service_pb2 as pb
from obc.tenant_config.v1 import tenant_config_service_pb2 as tenant_pb
from obc.tenant_config.v1.config_pb2 import TenantAnalyticsConfigPatch
from obc_common.clients import IngestClient
from obc_common.context import Principal, RequestInfo
from obc_common.identity import IdentityMinter
from obc_common.ids import uuid7
from obc_common.server import GrpcServer
from obc_ingest.app import build
from obc_ingest.settings import Settings
from tests.support.eventually import eventually
from tests.support.tenant_config import SECRET, TenantConfig, connected

Stream = grpc.aio.StreamStreamCall[pb.IngestStreamRequest, pb.IngestStreamResponse]

EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0"
)
BROWSER = RequestInfo(client_ip="203.0.113.7", user_agent=EDGE, sdk="js/1.0", transport="rest")


def now_ms() -> int:
    """The wall clock, unix milliseconds."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """A new event id."""
    return str(uuid7(now_ms()))


def event(**fields: Any) -> dict[str, Any]:
    """A valid event of just now."""
    return {"event_id": new_id(), "event_name": "page_view", "timestamp": now_ms(), **fields}


def outcomes(answer: dict[str, Any]) -> list[str]:
    """The result of each event, in order."""
    return [result["result"] for result in answer["results"]]


def sender(tenant_id: str, key_id: str = "") -> Principal:
    """A write key of a tenant."""
    return Principal(tenant_id, key_id or f"key-of-{tenant_id}", "write", frozenset({"ingest"}), key_id=key_id)


@dataclass
class Ingest:
    """A running service, a client of it, and its database."""

    server: GrpcServer
    client: IngestClient
    tenant_config: TenantConfig
    dsn: str

    async def send(
        self, tenant_id: str, events: list[Any], *, info: RequestInfo | None = None, **envelope: Any
    ) -> dict[str, Any]:
        """Sends a JSON batch and answers the decoded REST answer; raises DomainError."""
        request = pb.IngestBatchRequest(json=orjson.dumps({"events": events, **envelope}))
        response = await self.client.ingest_batch(request, principal=sender(tenant_id), timeout=15, info=info)
        answer: dict[str, Any] = orjson.loads(response.json)
        return answer

    async def send_typed(self, tenant_id: str, events: list[event_pb2.Event]) -> pb.IngestBatchResponse:
        """Sends a typed batch; raises DomainError."""
        request = pb.IngestBatchRequest(typed=pb.EventBatch(events=events))
        return await self.client.ingest_batch(request, principal=sender(tenant_id), timeout=15)

    async def open_stream(self, principal: Principal) -> tuple[Stream, pb.StreamReady]:
        """Opens a stream and reads its first message."""
        call = self.client.stream(principal=principal)
        first = await call.read()
        assert isinstance(first, pb.IngestStreamResponse)
        return call, first.ready

    async def rows(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """Reads the database as its superuser."""
        async with connected(self.dsn) as connection:
            return await connection.fetch(query, *arguments)

    async def stored(self, tenant_id: str) -> list[asyncpg.Record]:
        """A tenant's stored events, oldest first; `properties` and `device_info` as JSON text."""
        return await self.rows(
            "SELECT * FROM analytics_events WHERE tenant_id = $1 ORDER BY event_time, event_id", tenant_id
        )

    async def bad_rows(self, tenant_id: str) -> list[asyncpg.Record]:
        """A tenant's bad rows, oldest first."""
        return await self.rows("SELECT * FROM bad_rows WHERE tenant_id = $1 ORDER BY id", tenant_id)

    async def make_tenant(self, **patch: Any) -> str:
        """Makes a tenant, with its rules changed, and waits until this service knows both."""
        tenant_id = await self.tenant_config.make_tenant()
        if patch:
            await self.change_rules(tenant_id, **patch)
        await self.knows(tenant_id, version=2 if patch else 1)
        return tenant_id

    async def change_rules(self, tenant_id: str, **patch: Any) -> None:
        """Changes a tenant's rules."""
        changes = TenantAnalyticsConfigPatch()
        for name, value in patch.items():
            if isinstance(value, list):
                getattr(changes, name).extend(value)
                getattr(changes, name).SetInParent()
            else:
                setattr(changes, name, value)
        request = tenant_pb.UpdateConfigRequest(tenant_id=tenant_id, config=changes)
        await self.tenant_config.call("UpdateConfig", request, tenant_pb.UpdateConfigResponse)

    async def knows(self, tenant_id: str, *, version: int) -> None:
        """Waits until a stream says that the rules are in force."""

        async def in_force() -> bool:
            call = self.client.stream(principal=sender(tenant_id))
            try:
                first = await call.read()
                return isinstance(first, pb.IngestStreamResponse) and first.ready.config.version >= version
            except grpc.aio.AioRpcError:
                return False
            finally:
                call.cancel()

        await eventually(in_force, timeout=5, interval=0.02)


def ingest_settings(dsn: str, redis_url: str, tenant_config_address: str, **values: Any) -> Settings:
    """Settings of a service on any free port that does not wait when it ends."""
    return Settings(
        **{
            "database_url": dsn,
            "redis_url": redis_url,
            "tenant_config_address": tenant_config_address,
            "internal_secret": SECRET,
            "grpc_port": 0,
            "admin_port": None,
            "drain_delay_seconds": 0,
            "drain_grace_seconds": 5,
            **values,
        }
    )


@asynccontextmanager
async def running_ingest(dsn: str, redis_url: str, tenant_config: TenantConfig, **values: Any) -> AsyncIterator[Ingest]:
    """Runs the service on a database while the context is open."""
    async with build(ingest_settings(dsn, redis_url, tenant_config.address, **values)) as server:
        client = IngestClient(f"127.0.0.1:{server.port}", IdentityMinter(SECRET, "test"))
        try:
            yield Ingest(server, client, tenant_config, dsn)
        finally:
            await client.close()
