"""A running TenantConfig service, and how to call it as somebody."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg
from google.protobuf.message import Message

from obc.tenant_config.v1 import tenant_config_service_pb2 as pb
from obc_common.clients import TenantConfigClient
from obc_common.context import Principal
from obc_common.identity import IdentityMinter, service_principal
from obc_common.server import GrpcServer
from obc_tenant_config.app import build
from obc_tenant_config.settings import Settings

R = TypeVar("R", bound=Message)

SECRET = "an-internal-secret-of-32-characters"
OPERATOR = Principal("", "operator-key-1", "operator", frozenset(), key_id="operator-key-1")
SUITE = service_principal("test-process")


def tenant_config_settings(dsn: str, **values: Any) -> Settings:
    """Settings of a service on a database, on any free port, that does not wait when it ends."""
    return Settings(
        **{
            "database_url": dsn,
            "internal_secret": SECRET,
            "grpc_port": 0,
            "admin_port": None,
            "drain_delay_seconds": 0,
            "drain_grace_seconds": 5,
            **values,
        }
    )


def admin_of(tenant_id: str) -> Principal:
    """A secret key of a tenant with every right."""
    return Principal(tenant_id, f"admin-of-{tenant_id}", "secret", frozenset({"admin"}))


def holder_of(tenant_id: str, *scopes: str) -> Principal:
    """A secret key of a tenant with some rights."""
    return Principal(tenant_id, f"key-of-{tenant_id}", "secret", frozenset(scopes))


@dataclass
class TenantConfig:
    """A running service and a client of it."""

    server: GrpcServer
    client: TenantConfigClient
    dsn: str

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.server.port}"

    async def call(self, method: str, request: Message, response: type[R], principal: Principal = OPERATOR) -> R:
        """Calls a method as somebody; raises DomainError."""
        answer = await self.client.call(method, request, principal=principal, timeout=10)
        assert isinstance(answer, response)
        return answer

    async def make_tenant(self, name: str = "Acme", **fields: Any) -> str:
        """Makes a tenant and answers its id."""
        request = pb.CreateTenantRequest(name=name, **fields)
        return (await self.call("CreateTenant", request, pb.CreateTenantResponse)).tenant.tenant_id

    async def make_key(self, tenant_id: str, kind: str = "secret", **fields: Any) -> pb.CreateKeyResponse:
        """Makes a key; a secret one gets every right unless told otherwise."""
        if kind == "secret":
            fields.setdefault("scopes", ["admin"])
        request = pb.CreateKeyRequest(tenant_id=tenant_id, kind=kind, **fields)
        return await self.call("CreateKey", request, pb.CreateKeyResponse)


@asynccontextmanager
async def connected(dsn: str, role: str = "") -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection to a test's database, as its superuser or as a role."""
    connection = await asyncpg.connect(dsn, timeout=10, server_settings={"role": role} if role else {})
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def running_tenant_config(dsn: str, **values: Any) -> AsyncIterator[TenantConfig]:
    """Runs the service on a database while the context is open."""
    async with build(tenant_config_settings(dsn, **values)) as server:
        client = TenantConfigClient(f"127.0.0.1:{server.port}", IdentityMinter(SECRET, "test"))
        try:
            yield TenantConfig(server, client, dsn)
        finally:
            await client.close()
