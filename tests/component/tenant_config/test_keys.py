"""Keys: made, used, rotated, revoked, through a real server on a real PostgreSQL."""

import asyncio
import time
import uuid
from typing import Any

import grpc
import pytest

from obc.tenant_config.v1 import tenant_config_service_pb2 as pb
from obc.tenant_config.v1 import tenant_config_service_pb2_grpc as pb_grpc
from obc_common.errors import (
    DomainError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unauthenticated,
    from_rpc_error,
)
from obc_common.keys import generate_key, key_kind, key_sha256
from tests.support.eventually import eventually
from tests.support.tenant_config import SUITE, TenantConfig, admin_of, connected, running_tenant_config


async def list_keys(service: TenantConfig, tenant_id: str) -> list[Any]:
    request = pb.ListKeysRequest(tenant_id=tenant_id)
    return list((await service.call("ListKeys", request, pb.ListKeysResponse)).keys)


async def call_with_key(service: TenantConfig, key: str, request: pb.GetConfigRequest) -> pb.GetConfigResponse:
    """Calls as an outsider with nothing but a key."""
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub: pb_grpc.TenantConfigServiceAsyncStub = pb_grpc.TenantConfigServiceStub(channel)
        try:
            return await stub.GetConfig(request, timeout=5, metadata=[("authorization", f"Bearer {key}")])
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None


class TestCreating:
    async def test_a_write_key_is_public_and_shown_whole(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant()
        made = await service.make_key(tenant_id, "write", name="web", allowed_origins=["https://Shop.example:443"])
        assert key_kind(made.secret) == "write"
        assert made.key.hint == made.secret
        assert list(made.key.allowed_origins) == ["https://shop.example"]
        assert [key.key_id for key in await list_keys(service, tenant_id)] == [made.key.key_id]

    async def test_a_secret_keys_text_is_stored_nowhere(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant()
        made = await service.make_key(tenant_id, scopes=["query", "ingest", "query"])
        assert key_kind(made.secret) == "secret"
        assert list(made.key.scopes) == ["ingest", "query"]
        assert made.key.hint == made.secret[:16]
        async with connected(service.dsn) as connection:
            rows = await connection.fetch("SELECT k::text FROM api_keys k UNION ALL SELECT a::text FROM audit_log a")
            stored = await connection.fetchval("SELECT sha256 FROM api_keys WHERE id = $1", made.key.key_id)
        assert stored == key_sha256(made.secret)
        assert not [row for row in rows if made.secret[17:] in row[0]]

    @pytest.mark.parametrize(
        ("fields", "reason", "field"),
        [
            ({"kind": "master"}, "BAD_KEY_KIND", "kind"),
            ({"kind": ""}, "BAD_KEY_KIND", "kind"),
            ({"kind": "secret"}, "BAD_SCOPES", "scopes"),
            ({"kind": "secret", "scopes": ["internal"]}, "BAD_SCOPES", "scopes"),
            ({"kind": "secret", "scopes": ["query", "root"]}, "BAD_SCOPES", "scopes"),
            ({"kind": "write", "scopes": ["query"]}, "BAD_SCOPES", "scopes"),
            (
                {"kind": "secret", "scopes": ["query"], "allowed_origins": ["https://a.example"]},
                "BAD_ORIGIN",
                "allowed_origins",
            ),
            ({"kind": "write", "allowed_origins": ["shop.example"]}, "BAD_ORIGIN", "allowed_origins[0]"),
            ({"kind": "write", "allowed_origins": ["https://a.example", "null"]}, "BAD_ORIGIN", "allowed_origins[1]"),
            ({"kind": "write", "allowed_origins": ["https://a.example/path"]}, "BAD_ORIGIN", "allowed_origins[0]"),
            ({"kind": "write", "allowed_origins": ["https://u@a.example"]}, "BAD_ORIGIN", "allowed_origins[0]"),
            ({"kind": "write", "allowed_origins": ["https://*.example"]}, "BAD_ORIGIN", "allowed_origins[0]"),
            ({"kind": "write", "allowed_origins": ["https://a.example:99999"]}, "BAD_ORIGIN", "allowed_origins[0]"),
            ({"kind": "write", "expires_at_ms": 1}, "BAD_EXPIRY", "expires_at"),
            ({"kind": "write", "expires_at_ms": 2**62}, "BAD_EXPIRY", "expires_at"),
            ({"kind": "write", "name": "n" * 201}, "BAD_NAME", "name"),
        ],
    )
    async def test_a_bad_key_is_refused_by_field(
        self, service: TenantConfig, fields: dict[str, Any], reason: str, field: str
    ) -> None:
        tenant_id = await service.make_tenant()
        request = pb.CreateKeyRequest(tenant_id=tenant_id, **fields)
        with pytest.raises(InvalidArgument) as refused:
            await service.call("CreateKey", request, pb.CreateKeyResponse)
        assert (refused.value.reason, refused.value.field) == (reason, field)

    async def test_there_is_a_bound_on_live_keys(self, module_database: str) -> None:
        async with running_tenant_config(module_database, max_live_keys=2) as service:
            tenant_id = await service.make_tenant()
            first = await service.make_key(tenant_id)
            await service.make_key(tenant_id)
            with pytest.raises(FailedPrecondition) as refused:
                await service.make_key(tenant_id)
            assert refused.value.reason == "TOO_MANY_KEYS"
            revoke = pb.RevokeKeyRequest(tenant_id=tenant_id, key_id=first.key.key_id)
            await service.call("RevokeKey", revoke, pb.RevokeKeyResponse)
            await service.make_key(tenant_id)

    async def test_a_key_of_no_tenant_is_refused(self, service: TenantConfig) -> None:
        with pytest.raises(NotFound):
            await service.make_key(str(uuid.uuid4()))
        with pytest.raises(InvalidArgument) as refused:
            await service.make_key("")
        assert refused.value.reason == "TENANT_ID_REQUIRED"


class TestUsing:
    async def test_a_new_key_works_at_once_and_reaches_its_own_tenant_only(self, service: TenantConfig) -> None:
        own, other = await service.make_tenant("Own"), await service.make_tenant("Other")
        secret = (await service.make_key(own, scopes=["config"])).secret
        assert (await call_with_key(service, secret, pb.GetConfigRequest())).config.tenant_id == own
        with pytest.raises(NotFound):
            await call_with_key(service, secret, pb.GetConfigRequest(tenant_id=other))

    async def test_an_operator_key_reaches_every_tenant(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant()
        request = pb.CreateKeyRequest(kind="operator", name="ops")
        made = await service.call("CreateKey", request, pb.CreateKeyResponse)
        assert made.key.tenant_id == ""
        got = await call_with_key(service, made.secret, pb.GetConfigRequest(tenant_id=tenant_id))
        assert got.config.tenant_id == tenant_id
        assert made.key.key_id in [key.key_id for key in await list_keys(service, "")]

    @pytest.mark.parametrize("text", ["", "nonsense", "a.b.c", "sk_live_x", generate_key("secret"), "é" * 10])
    async def test_what_is_no_live_key_is_one_and_the_same_refusal(self, service: TenantConfig, text: str) -> None:
        with pytest.raises(Unauthenticated) as refused:
            await call_with_key(service, text.encode("ascii", "replace").decode(), pb.GetConfigRequest())
        assert refused.value.reason == "BAD_CREDENTIAL"
        assert refused.value.message == "the credential is missing or not valid"

    async def test_a_key_ends_at_its_expiry(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant()
        ends_at = time.time_ns() // 1_000_000 + 700
        secret = (await service.make_key(tenant_id, expires_at_ms=ends_at)).secret
        await call_with_key(service, secret, pb.GetConfigRequest())

        async def refused() -> bool:
            try:
                await call_with_key(service, secret, pb.GetConfigRequest())
            except Unauthenticated:
                return True
            return False

        await eventually(refused, timeout=3)

    async def test_a_revoked_key_stops_working_within_two_seconds(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant()
        made = await service.make_key(tenant_id)
        await call_with_key(service, made.secret, pb.GetConfigRequest())
        request = pb.RevokeKeyRequest(key_id=made.key.key_id)
        first = await service.call("RevokeKey", request, pb.RevokeKeyResponse, admin_of(tenant_id))
        again = await service.call("RevokeKey", request, pb.RevokeKeyResponse, admin_of(tenant_id))
        assert first.key.revoked_at_ms == again.key.revoked_at_ms > 0

        async def refused() -> bool:
            try:
                await call_with_key(service, made.secret, pb.GetConfigRequest())
            except Unauthenticated:
                return True
            return False

        await eventually(refused, timeout=2)

    async def test_the_last_use_moves_forward_only(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant()
        key_id = (await service.make_key(tenant_id)).key.key_id
        now = time.time_ns() // 1_000_000

        async def report(*uses: tuple[str, int]) -> int:
            request = pb.ReportKeyUseRequest(uses=[pb.KeyUse(key_id=key, last_used_at_ms=at) for key, at in uses])
            await service.call("ReportKeyUse", request, pb.ReportKeyUseResponse, SUITE)
            return int((await list_keys(service, tenant_id))[0].last_used_at_ms)

        assert await report((key_id, now - 5000)) == now - 5000
        assert await report((key_id, now - 9000)) == now - 5000
        assert await report((key_id, now - 1000), (str(uuid.uuid4()), now), ("nonsense", now)) == now - 1000
        assert await report((key_id, now + 10**9)) <= time.time_ns() // 1_000_000

    async def test_reports_from_many_processes_at_once_all_arrive(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant()
        keys = [(await service.make_key(tenant_id)).key.key_id for _ in range(8)]
        now = time.time_ns() // 1_000_000

        async def report(number: int) -> None:
            order = keys if number % 2 else keys[::-1]
            uses = [pb.KeyUse(key_id=key, last_used_at_ms=now - number) for key in order]
            await service.call("ReportKeyUse", pb.ReportKeyUseRequest(uses=uses), pb.ReportKeyUseResponse, SUITE)

        await asyncio.gather(*(report(number) for number in range(20)))
        assert {key.last_used_at_ms for key in await list_keys(service, tenant_id)} == {now}


class TestRotating:
    async def test_both_keys_work_during_the_overlap(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant()
        old = await service.make_key(tenant_id, scopes=["config", "query"], name="server")
        request = pb.RotateKeyRequest(tenant_id=tenant_id, key_id=old.key.key_id, overlap_seconds=3600)
        new = await service.call("RotateKey", request, pb.RotateKeyResponse)
        assert new.secret != old.secret
        assert (new.key.name, list(new.key.scopes)) == ("server", ["config", "query"])
        for secret in (old.secret, new.secret):
            await call_with_key(service, secret, pb.GetConfigRequest())
        newest, oldest = await list_keys(service, tenant_id)
        assert newest.key_id == new.key.key_id
        assert newest.expires_at_ms == 0
        assert oldest.expires_at_ms == pytest.approx(time.time() * 1000 + 3_600_000, abs=30_000)

    async def test_an_ended_or_unknown_key_is_not_rotated(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant()
        made = await service.make_key(tenant_id)
        named: dict[str, Any] = {"tenant_id": tenant_id, "key_id": made.key.key_id}
        with pytest.raises(InvalidArgument) as bad:
            await service.call("RotateKey", pb.RotateKeyRequest(**named, overlap_seconds=-1), pb.RotateKeyResponse)
        assert bad.value.field == "overlap_seconds"
        await service.call("RevokeKey", pb.RevokeKeyRequest(**named), pb.RevokeKeyResponse)
        with pytest.raises(FailedPrecondition) as refused:
            await service.call("RotateKey", pb.RotateKeyRequest(**named), pb.RotateKeyResponse)
        assert refused.value.reason == "KEY_NOT_LIVE"

    async def test_another_tenants_key_is_not_found(self, service: TenantConfig) -> None:
        own, other = await service.make_tenant("Own"), await service.make_tenant("Other")
        theirs = (await service.make_key(other)).key.key_id
        operators = (await service.call("CreateKey", pb.CreateKeyRequest(kind="operator"), pb.CreateKeyResponse)).key
        for key_id in (theirs, operators.key_id, str(uuid.uuid4()), "nonsense"):
            for method, request, response in (
                ("RevokeKey", pb.RevokeKeyRequest(key_id=key_id), pb.RevokeKeyResponse),
                ("RotateKey", pb.RotateKeyRequest(key_id=key_id), pb.RotateKeyResponse),
            ):
                with pytest.raises(DomainError) as refused:
                    await service.call(method, request, response, admin_of(own))
                assert refused.value.reason == "KEY_NOT_FOUND"
        assert len(await list_keys(service, own)) == 0


class TestResolving:
    async def test_a_key_is_resolved_with_its_tenant(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant("Resolved")
        made = await service.make_key(tenant_id, "write")
        request = pb.ResolveKeyRequest(sha256=key_sha256(made.secret))
        got = await service.call("ResolveKey", request, pb.ResolveKeyResponse, SUITE)
        assert (got.key.key_id, got.key.kind, list(got.key.scopes)) == (made.key.key_id, "write", ["ingest"])
        assert (got.tenant.tenant.name, got.tenant.config.version) == ("Resolved", 1)
        assert [key.key_id for key in got.tenant.keys] == [made.key.key_id]

    async def test_an_unknown_or_revoked_key_is_not_found(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant()
        made = await service.make_key(tenant_id)
        revoke = pb.RevokeKeyRequest(tenant_id=tenant_id, key_id=made.key.key_id)
        await service.call("RevokeKey", revoke, pb.RevokeKeyResponse)
        for sha256 in (key_sha256(made.secret), b"0" * 32):
            with pytest.raises(NotFound):
                await service.call("ResolveKey", pb.ResolveKeyRequest(sha256=sha256), pb.ResolveKeyResponse, SUITE)
        with pytest.raises(InvalidArgument):
            await service.call("ResolveKey", pb.ResolveKeyRequest(sha256=b"short"), pb.ResolveKeyResponse, SUITE)


async def test_the_bootstrap_key_is_there_once_however_often_the_service_starts(module_database: str) -> None:
    text = generate_key("operator")
    for _ in range(2):
        async with running_tenant_config(module_database, bootstrap_operator_key=text) as service:
            tenant_id = await service.make_tenant()
            await call_with_key(service, text, pb.GetConfigRequest(tenant_id=tenant_id))
            assert [key.name for key in await list_keys(service, "")].count("bootstrap") == 1
