"""Tenants and their rules, through a real server on a real PostgreSQL."""

import asyncio
import uuid
from typing import Any

import pytest
from google.protobuf.struct_pb2 import ListValue

from obc.tenant_config.v1 import config_pb2
from obc.tenant_config.v1 import tenant_config_service_pb2 as pb
from obc_common.context import Principal
from obc_common.errors import Aborted, AlreadyExists, DomainError, InvalidArgument, NotFound, PermissionDenied
from tests.support.tenant_config import SUITE, TenantConfig, admin_of, connected, holder_of


def names(*values: Any) -> ListValue:
    listed = ListValue()
    listed.extend(values)
    return listed


async def update(
    service: TenantConfig, tenant_id: str, principal: Principal | None = None, expected: int = 0, **changes: Any
) -> config_pb2.TenantAnalyticsConfig:
    request = pb.UpdateConfigRequest(config=config_pb2.TenantAnalyticsConfigPatch(**changes), expected_version=expected)
    caller = principal or admin_of(tenant_id)
    return (await service.call("UpdateConfig", request, pb.UpdateConfigResponse, caller)).config


async def get_config(service: TenantConfig, tenant_id: str, version: int = 0) -> config_pb2.TenantAnalyticsConfig:
    request = pb.GetConfigRequest(tenant_id=tenant_id, version=version)
    return (await service.call("GetConfig", request, pb.GetConfigResponse)).config


class TestTenants:
    async def test_a_new_tenant_has_the_default_rules(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant("Shop")
        config = await get_config(service, tenant_id)
        assert (config.version, config.enabled, config.tracking_level) == (1, True, "standard")
        assert (config.retention_days, config.sampling_rate, config.consent_policy) == (365, 1.0, "obey")
        assert list(config.custom_properties) == ["*"]
        assert list(config.excluded_events) == []
        assert config.created_by == "operator-key-1"

    async def test_creating_with_an_id_twice_makes_one_tenant(self, service: TenantConfig) -> None:
        given = str(uuid.uuid4())
        request = pb.CreateTenantRequest(name="Twice", tenant_id=given.upper())
        first = await service.call("CreateTenant", request, pb.CreateTenantResponse)
        second = await service.call("CreateTenant", request, pb.CreateTenantResponse)
        assert first == second
        assert first.tenant.tenant_id == given

    async def test_an_id_that_another_tenant_has_is_refused(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant("First")
        with pytest.raises(AlreadyExists) as refused:
            await service.make_tenant("Second", tenant_id=tenant_id)
        assert refused.value.reason == "TENANT_EXISTS"

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"name": ""}, "BAD_NAME"),
            ({"name": "   "}, "BAD_NAME"),
            ({"name": "x" * 201}, "BAD_NAME"),
            ({"name": "a\x00b"}, "BAD_NAME"),
            ({"name": "ok", "tenant_id": "nonsense"}, "BAD_TENANT_ID"),
            ({"name": "ok", "tenant_id": str(uuid.UUID(int=0))}, "BAD_TENANT_ID"),
        ],
    )
    async def test_a_bad_tenant_is_refused(self, service: TenantConfig, fields: dict[str, Any], reason: str) -> None:
        with pytest.raises(InvalidArgument) as refused:
            await service.call("CreateTenant", pb.CreateTenantRequest(**fields), pb.CreateTenantResponse)
        assert refused.value.reason == reason

    async def test_a_large_tenant_gets_its_own_partition(self, service: TenantConfig) -> None:
        async with connected(service.dsn) as connection:
            await connection.execute("SELECT obc_ensure_partitions(now(), now())")
            tenant_id = await service.make_tenant("Large", own_partition=True)
            rows = await connection.fetch("SELECT relname FROM pg_class WHERE relname LIKE 'analytics_events_y%'")
        got = await service.call("GetTenant", pb.GetTenantRequest(tenant_id=tenant_id), pb.GetTenantResponse)
        assert got.tenant.own_partition
        assert [row for row in rows if row["relname"].endswith("_t_" + tenant_id.replace("-", ""))]

    async def test_pages_of_tenants_hold_every_tenant_once(self, service: TenantConfig) -> None:
        made = {await service.make_tenant(f"Paged {number}") for number in range(5)}
        seen: list[str] = []
        token = ""
        while True:
            request = pb.ListTenantsRequest(page_size=2, page_token=token)
            page = await service.call("ListTenants", request, pb.ListTenantsResponse)
            assert len(page.tenants) <= 2
            seen += [tenant.tenant_id for tenant in page.tenants]
            token = page.next_page_token
            if not token:
                break
        assert seen == sorted(set(seen))
        assert made <= set(seen)

    async def test_a_changed_or_foreign_page_token_is_refused(self, service: TenantConfig) -> None:
        for number in range(2):
            await service.make_tenant(f"Token {number}")
        request = pb.ListTenantsRequest(page_size=1)
        token = (await service.call("ListTenants", request, pb.ListTenantsResponse)).next_page_token
        tenant_id = await service.make_tenant()
        wrong: list[tuple[str, Any, Any]] = [
            ("ListTenants", pb.ListTenantsRequest(page_token=token[:-2] + "AA"), pb.ListTenantsResponse),
            ("ListKeys", pb.ListKeysRequest(tenant_id=tenant_id, page_token=token), pb.ListKeysResponse),
            (
                "ListConfigVersions",
                pb.ListConfigVersionsRequest(tenant_id=tenant_id, page_token=token),
                pb.ListConfigVersionsResponse,
            ),
        ]
        for method, bad, response in wrong:
            with pytest.raises(InvalidArgument) as refused:
                await service.call(method, bad, response)
            assert (refused.value.reason, refused.value.field) == ("BAD_PAGE_TOKEN", "page_token")

    async def test_a_page_size_is_clamped_and_not_negative(self, service: TenantConfig) -> None:
        await service.call("ListTenants", pb.ListTenantsRequest(page_size=10**9), pb.ListTenantsResponse)
        with pytest.raises(InvalidArgument) as refused:
            await service.call("ListTenants", pb.ListTenantsRequest(page_size=-1), pb.ListTenantsResponse)
        assert refused.value.field == "page_size"


class TestConfigs:
    async def test_a_patch_changes_what_it_names_and_makes_a_version(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant()
        config = await update(service, tenant_id, sampling_rate=0.5, excluded_events=names("debug_*", "ping"))
        assert (config.version, config.sampling_rate, list(config.excluded_events)) == (2, 0.5, ["debug_*", "ping"])
        assert config.tracking_level == "standard"
        assert await get_config(service, tenant_id) == config
        assert (await get_config(service, tenant_id, version=1)).sampling_rate == 1.0

    async def test_false_zero_and_an_empty_list_are_values_too(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant()
        config = await update(service, tenant_id, enabled=False, sampling_rate=0.0, custom_properties=names())
        assert (config.enabled, config.sampling_rate, list(config.custom_properties)) == (False, 0.0, [])

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"sampling_rate": 1.01}, "config.sampling_rate"),
            ({"sampling_rate": -0.1}, "config.sampling_rate"),
            ({"sampling_rate": float("nan")}, "config.sampling_rate"),
            ({"retention_days": 0}, "config.retention_days"),
            ({"retention_days": 3651}, "config.retention_days"),
            ({"tracking_level": "everything"}, "config.tracking_level"),
            ({"tracking_level": ""}, "config.tracking_level"),
            ({"consent_policy": "ask"}, "config.consent_policy"),
            ({"excluded_events": names("ok", "a*b")}, "config.excluded_events[1]"),
            ({"excluded_events": names("")}, "config.excluded_events[0]"),
            ({"excluded_events": names("x" * 201)}, "config.excluded_events[0]"),
            ({"excluded_events": names(*["e"] * 1001)}, "config.excluded_events"),
            ({"custom_properties": names("ok", 3)}, "config.custom_properties[1]"),
            ({"custom_properties": names("a\x00")}, "config.custom_properties[0]"),
            ({}, "config"),
        ],
    )
    async def test_a_bad_patch_names_its_field_and_changes_nothing(
        self, service: TenantConfig, changes: dict[str, Any], field: str
    ) -> None:
        tenant_id = await service.make_tenant()
        with pytest.raises(InvalidArgument) as refused:
            await update(service, tenant_id, **changes)
        assert refused.value.field == field
        assert (await get_config(service, tenant_id)).version == 1

    async def test_an_update_of_a_version_that_is_no_longer_the_newest_is_aborted(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant()
        await update(service, tenant_id, expected=1, enabled=False)
        with pytest.raises(Aborted) as refused:
            await update(service, tenant_id, expected=1, enabled=True)
        assert refused.value.reason == "VERSION_CONFLICT"
        assert refused.value.metadata == {"version": "2"}

    async def test_concurrent_updates_make_one_version_each(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant()
        made = await asyncio.gather(*(update(service, tenant_id, retention_days=days) for days in range(1, 11)))
        assert sorted(config.version for config in made) == list(range(2, 12))

    async def test_a_revert_makes_a_new_version_with_the_old_content(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant()
        await update(service, tenant_id, sampling_rate=0.25)
        await update(service, tenant_id, sampling_rate=0.75)
        request = pb.RevertConfigRequest(version=2)
        reverted = await service.call("RevertConfig", request, pb.RevertConfigResponse, admin_of(tenant_id))
        assert (reverted.config.version, reverted.config.sampling_rate) == (4, 0.25)
        listing = await service.call(
            "ListConfigVersions", pb.ListConfigVersionsRequest(), pb.ListConfigVersionsResponse, admin_of(tenant_id)
        )
        assert [(version.version, version.sampling_rate) for version in listing.versions] == [
            (4, 0.25),
            (3, 0.75),
            (2, 0.25),
            (1, 1.0),
        ]

    async def test_a_version_that_is_not_there_is_not_found(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant()
        for method, request, response in (
            ("GetConfig", pb.GetConfigRequest(version=9), pb.GetConfigResponse),
            ("RevertConfig", pb.RevertConfigRequest(version=9), pb.RevertConfigResponse),
        ):
            with pytest.raises(NotFound) as refused:
                await service.call(method, request, response, admin_of(tenant_id))
            assert refused.value.reason == "VERSION_NOT_FOUND"


class TestRights:
    async def test_another_tenant_cannot_be_told_from_one_that_does_not_exist(self, service: TenantConfig) -> None:
        own, other = await service.make_tenant("Own"), await service.make_tenant("Other")
        refusals = []
        for named in (other, str(uuid.uuid4()), "nonsense"):
            with pytest.raises(NotFound) as refused:
                await service.call(
                    "GetConfig", pb.GetConfigRequest(tenant_id=named), pb.GetConfigResponse, admin_of(own)
                )
            refusals.append((refused.value.reason, refused.value.message))
        assert len(set(refusals)) == 1
        assert refusals[0][0] == "TENANT_NOT_FOUND"

    async def test_a_tenant_may_name_itself(self, service: TenantConfig) -> None:
        own = await service.make_tenant()
        request = pb.GetConfigRequest(tenant_id=own.upper())
        got = await service.call("GetConfig", request, pb.GetConfigResponse, holder_of(own, "config"))
        assert got.config.tenant_id == own

    @pytest.mark.parametrize(
        ("method", "request_", "scope"),
        [
            ("GetTenant", pb.GetTenantRequest(), "config"),
            ("GetConfig", pb.GetConfigRequest(), "config"),
            ("ListConfigVersions", pb.ListConfigVersionsRequest(), "config"),
            ("ListKeys", pb.ListKeysRequest(), "admin"),
            ("ListAuditEntries", pb.ListAuditEntriesRequest(), "admin"),
            ("VerifyAuditLog", pb.VerifyAuditLogRequest(), "admin"),
        ],
    )
    async def test_a_method_needs_its_scope(
        self, service: TenantConfig, method: str, request_: Any, scope: str
    ) -> None:
        own = await service.make_tenant()
        await service.client.call(method, request_, principal=holder_of(own, scope), timeout=5)
        lacking = {"ingest", "query", "config", "export"} - {scope}
        with pytest.raises(PermissionDenied) as refused:
            await service.client.call(method, request_, principal=holder_of(own, *lacking), timeout=5)
        assert refused.value.reason == "SCOPE_MISSING"

    @pytest.mark.parametrize(
        ("method", "request_"),
        [
            ("CreateTenant", pb.CreateTenantRequest(name="x")),
            ("ListTenants", pb.ListTenantsRequest()),
            ("PutJwtIssuer", pb.PutJwtIssuerRequest()),
            ("ListJwtIssuers", pb.ListJwtIssuersRequest()),
            ("DeleteJwtIssuer", pb.DeleteJwtIssuerRequest()),
            ("CreateKey", pb.CreateKeyRequest(kind="operator")),
        ],
    )
    async def test_what_belongs_to_operators_is_theirs_alone(
        self, service: TenantConfig, method: str, request_: Any
    ) -> None:
        own = await service.make_tenant()
        with pytest.raises(PermissionDenied) as refused:
            await service.client.call(method, request_, principal=admin_of(own), timeout=5)
        assert refused.value.reason == "OPERATOR_ONLY"

    async def test_an_operator_must_name_the_tenant(self, service: TenantConfig) -> None:
        with pytest.raises(InvalidArgument) as refused:
            await service.call("GetConfig", pb.GetConfigRequest(), pb.GetConfigResponse)
        assert refused.value.reason == "TENANT_ID_REQUIRED"

    async def test_the_suites_own_processes_touch_no_tenant(self, service: TenantConfig) -> None:
        tenant_id = await service.make_tenant()
        with pytest.raises(DomainError) as refused:
            await service.call("GetConfig", pb.GetConfigRequest(tenant_id=tenant_id), pb.GetConfigResponse, SUITE)
        assert refused.value.reason == "SCOPE_MISSING"

    async def test_only_the_suites_own_processes_resolve_keys(self, service: TenantConfig) -> None:
        own = await service.make_tenant()
        for method, request in (
            ("ResolveKey", pb.ResolveKeyRequest(sha256=b"0" * 32)),
            ("ReportKeyUse", pb.ReportKeyUseRequest()),
        ):
            with pytest.raises(PermissionDenied):
                await service.client.call(method, request, principal=admin_of(own), timeout=5)
