"""The audit log: what is in it, and that no change to it goes unnoticed."""

import asyncio
import os
import sys

import pytest

from obc.tenant_config.v1 import config_pb2, jwt_issuer_pb2
from obc.tenant_config.v1 import tenant_config_service_pb2 as pb
from obc_common.context import Principal, correlation_id_var
from obc_common.errors import InvalidArgument, NotFound
from tests.support.tenant_config import OPERATOR, SECRET, TenantConfig, admin_of, connected


async def verify(service: TenantConfig, tenant_id: str) -> pb.VerifyAuditLogResponse:
    return await service.call(
        "VerifyAuditLog", pb.VerifyAuditLogRequest(tenant_id=tenant_id), pb.VerifyAuditLogResponse
    )


async def entries(service: TenantConfig, tenant_id: str, principal: Principal = OPERATOR) -> list[tuple[str, str, str]]:
    request = pb.ListAuditEntriesRequest(tenant_id=tenant_id)
    answer = await service.call("ListAuditEntries", request, pb.ListAuditEntriesResponse, principal)
    return [(entry.action, entry.actor, entry.target) for entry in answer.entries]


async def make_history(service: TenantConfig) -> str:
    """A tenant with five entries."""
    tenant_id = await service.make_tenant("Audited")
    for rate in (0.1, 0.25, 1e-7, 1.0):
        patch = config_pb2.TenantAnalyticsConfigPatch(sampling_rate=rate)
        request = pb.UpdateConfigRequest(tenant_id=tenant_id, config=patch)
        await service.call("UpdateConfig", request, pb.UpdateConfigResponse)
    return tenant_id


async def run_command(service: TenantConfig, *arguments: str, secret: str = SECRET) -> tuple[int, str]:
    """Runs the command line against the service's database."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "obc_tenant_config.admin",
        *arguments,
        env={**os.environ, "ANALYTICS_DATABASE_URL": service.dsn, "ANALYTICS_INTERNAL_SECRET": secret},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_every_change_is_in_its_tenants_log(service: TenantConfig) -> None:
    tenant_id = await make_history(service)
    admin = admin_of(tenant_id)
    key = (await service.make_key(tenant_id, "write")).key.key_id
    rotate = pb.RotateKeyRequest(key_id=key)
    new_key = (await service.call("RotateKey", rotate, pb.RotateKeyResponse, admin)).key.key_id
    await service.call("RevokeKey", pb.RevokeKeyRequest(key_id=key), pb.RevokeKeyResponse, admin)
    await service.call("RevertConfig", pb.RevertConfigRequest(version=2), pb.RevertConfigResponse, admin)
    seen = await entries(service, tenant_id, admin)
    assert seen == [
        ("config.revert", admin.subject, "version 6"),
        ("key.revoke", admin.subject, key),
        ("key.rotate", admin.subject, key),
        ("key.create", OPERATOR.subject, key),
        *(("config.update", OPERATOR.subject, f"version {version}") for version in (5, 4, 3, 2)),
        ("tenant.create", OPERATOR.subject, tenant_id),
    ]
    assert new_key != key
    assert (await verify(service, tenant_id)).ok


async def test_an_entry_carries_the_correlation_id_of_its_request(service: TenantConfig) -> None:
    token = correlation_id_var.set("request-42")
    try:
        tenant_id = await service.make_tenant()
    finally:
        correlation_id_var.reset(token)
    answer = await service.call(
        "ListAuditEntries", pb.ListAuditEntriesRequest(tenant_id=tenant_id), pb.ListAuditEntriesResponse
    )
    assert [entry.correlation_id for entry in answer.entries] == ["request-42"]


async def test_a_token_cannot_pass_for_the_system(service: TenantConfig) -> None:
    tenant_id = await service.make_tenant()
    forger = Principal(tenant_id, "system", "jwt", frozenset({"admin"}))
    request = pb.CreateKeyRequest(kind="write")
    await service.call("CreateKey", request, pb.CreateKeyResponse, forger)
    assert (await entries(service, tenant_id))[0][:2] == ("key.create", "token:system")


async def test_operators_have_a_log_of_their_own(service: TenantConfig) -> None:
    issuer = jwt_issuer_pb2.JwtIssuer(
        issuer="https://audit.example", audience="obc", jwks_url="https://audit.example/jwks", algorithm="ES256"
    )
    put = await service.call("PutJwtIssuer", pb.PutJwtIssuerRequest(issuer=issuer), pb.PutJwtIssuerResponse)
    delete = pb.DeleteJwtIssuerRequest(issuer_id=put.issuer.issuer_id)
    await service.call("DeleteJwtIssuer", delete, pb.DeleteJwtIssuerResponse)
    with pytest.raises(NotFound):
        await service.call("DeleteJwtIssuer", delete, pb.DeleteJwtIssuerResponse)
    seen = await entries(service, "")
    assert [action for action, _, _ in seen[:2]] == ["jwt_issuer.delete", "jwt_issuer.put"]
    assert (await verify(service, "")).ok
    listing = await service.call("ListJwtIssuers", pb.ListJwtIssuersRequest(), pb.ListJwtIssuersResponse)
    assert not [kept for kept in listing.issuers if kept.issuer == "https://audit.example"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"issuer": ""}, "issuer.issuer"),
        ({"audience": ""}, "issuer.audience"),
        ({"algorithm": "HS256"}, "issuer.algorithm"),
        ({"algorithm": "none"}, "issuer.algorithm"),
        ({"jwks_url": "http://issuer.example/jwks"}, "issuer.jwks_url"),
        ({"jwks_url": "ftp://issuer.example/jwks"}, "issuer.jwks_url"),
        ({"jwks_url": "https://user@issuer.example/jwks"}, "issuer.jwks_url"),
        ({"jwks_url": "https:///jwks"}, "issuer.jwks_url"),
        ({"tenant_id": "nonsense"}, "tenant_id"),
    ],
)
async def test_a_bad_issuer_is_refused_by_field(service: TenantConfig, changes: dict[str, str], field: str) -> None:
    good = {"issuer": "https://i.example", "audience": "obc", "jwks_url": "https://i.example/k", "algorithm": "RS256"}
    request = pb.PutJwtIssuerRequest(issuer=jwt_issuer_pb2.JwtIssuer(**{**good, **changes}))
    with pytest.raises(InvalidArgument) as refused:
        await service.call("PutJwtIssuer", request, pb.PutJwtIssuerResponse)
    assert refused.value.field == field


async def test_an_untouched_log_is_whole_and_its_head_says_how_far_it_goes(service: TenantConfig) -> None:
    tenant_id = await make_history(service)
    before = await verify(service, tenant_id)
    assert (before.ok, before.entries, before.first_bad_seq, before.problem) == (True, 5, 0, "")
    async with connected(service.dsn) as connection:
        await connection.execute("DELETE FROM audit_log WHERE tenant_id = $1 AND seq = 5", tenant_id)
    after = await verify(service, tenant_id)
    # A cut tail is a whole chain; the number of entries and the head's hash, kept elsewhere, tell.
    assert after.ok
    assert (after.entries, after.head_hash) != (before.entries, before.head_hash)


TAMPERING = [
    ("UPDATE audit_log SET actor = 'somebody else' WHERE tenant_id = $1 AND seq = 3", 3, "hash_mismatch"),
    ("UPDATE audit_log SET details = '{\"changes\": {}}' WHERE tenant_id = $1 AND seq = 2", 2, "hash_mismatch"),
    ("UPDATE audit_log SET at = at - interval '1 ms' WHERE tenant_id = $1 AND seq = 1", 1, "hash_mismatch"),
    (
        "UPDATE audit_log SET hash = decode(repeat('00', 32), 'hex') WHERE tenant_id = $1 AND seq = 4",
        4,
        "hash_mismatch",
    ),
    ("DELETE FROM audit_log WHERE tenant_id = $1 AND seq = 3", 3, "missing_row"),
    ("DELETE FROM audit_log WHERE tenant_id = $1 AND seq = 1", 1, "missing_row"),
    ("UPDATE audit_log SET seq = seq + 10 WHERE tenant_id = $1 AND seq >= 4", 4, "missing_row"),
]


@pytest.mark.parametrize(("statement", "seq", "problem"), TAMPERING)
async def test_tampering_is_named_by_row(service: TenantConfig, statement: str, seq: int, problem: str) -> None:
    tenant_id = await make_history(service)
    async with connected(service.dsn) as connection:
        await connection.execute(statement, tenant_id)
    verdict = await verify(service, tenant_id)
    assert (verdict.ok, verdict.first_bad_seq, verdict.problem, verdict.entries) == (False, seq, problem, seq - 1)


async def test_concurrent_changes_make_one_chain_without_gaps(service: TenantConfig) -> None:
    tenant_id = await service.make_tenant()
    await asyncio.gather(*(service.make_key(tenant_id, "write") for _ in range(20)))
    verdict = await verify(service, tenant_id)
    assert (verdict.ok, verdict.entries) == (True, 21)


async def test_the_command_line_makes_keys_and_tenants_and_verifies(service: TenantConfig) -> None:
    code, key = await run_command(service, "create-operator-key", "--name", "first")
    assert code == 0
    assert key.startswith("ok_live_")
    code, tenant_id = await run_command(service, "create-tenant", "--name", "By hand")
    assert code == 0
    await service.call("GetTenant", pb.GetTenantRequest(tenant_id=tenant_id.strip()), pb.GetTenantResponse)

    code, report = await run_command(service, "verify-audit", "--tenant", tenant_id.strip())
    assert (code, report.split()[:3]) == (0, [tenant_id.strip(), "ok", "entries=1"])

    async with connected(service.dsn) as connection:
        await connection.execute("UPDATE audit_log SET target = 'x' WHERE tenant_id = $1", tenant_id.strip())
    for arguments in (["verify-audit"], ["verify-audit", "--tenant", tenant_id.strip()]):
        code, report = await run_command(service, *arguments)
        assert code == 1
        assert f"{tenant_id.strip()} BAD first_bad_seq=1 problem=hash_mismatch" in report

    code, complaint = await run_command(service, "verify-audit", "--tenant", "nonsense")
    assert (code, "BAD_TENANT_ID" in complaint) == (1, True)


async def test_a_setting_that_is_wrong_is_named_and_not_repeated(service: TenantConfig) -> None:
    code, complaint = await run_command(service, "verify-audit", secret="too-short")
    assert (code, "ANALYTICS_INTERNAL_SECRET" in complaint, "too-short" in complaint) == (2, True, False)
