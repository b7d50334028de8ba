"""gRPC to domain and back: rights, messages, nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from obc.tenant_config.v1 import tenant_config_service_pb2 as pb
from obc.tenant_config.v1 import tenant_config_service_pb2_grpc as pb_grpc
from obc_common.clock import Clock
from obc_common.context import current_correlation_id, current_principal
from obc_common.errors import InvalidArgument
from obc_tenant_config import codec
from obc_tenant_config.access import reach_everything, reach_named_tenant, reach_tenant, require_internal
from obc_tenant_config.api_keys import ApiKeys, NewKey
from obc_tenant_config.audit_log import AuditLog
from obc_tenant_config.config_state import ConfigState
from obc_tenant_config.configs import Configs
from obc_tenant_config.jwt_issuers import JwtIssuers
from obc_tenant_config.model import Reach
from obc_tenant_config.tenants import Tenants
from obc_tenant_config.watch_stream import watch_messages
from obc_tenant_config.watchers import Watchers

_MOST_USES = 10_000
_Context = Any  # grpc.aio.ServicerContext; no method looks at it


@dataclass(frozen=True, slots=True)
class TenantConfigServicer(pb_grpc.TenantConfigServiceServicer):
    """obc.tenant_config.v1.TenantConfigService. What each method does and answers is in the proto."""

    tenants: Tenants
    configs: Configs
    api_keys: ApiKeys
    jwt_issuers: JwtIssuers
    audit_log: AuditLog
    state: ConfigState
    watchers: Watchers
    clock: Clock

    async def CreateTenant(self, request: pb.CreateTenantRequest, context: _Context) -> pb.CreateTenantResponse:
        tenant = await self.tenants.create(
            _operators(), request.name, request.tenant_id, own_partition=request.own_partition
        )
        return pb.CreateTenantResponse(tenant=codec.tenant_message(tenant))

    async def ListTenants(self, request: pb.ListTenantsRequest, context: _Context) -> pb.ListTenantsResponse:
        page = await self.tenants.list(_operators(), request.page_size, request.page_token)
        return pb.ListTenantsResponse(
            tenants=[codec.tenant_message(tenant) for tenant in page.items], next_page_token=page.next_token
        )

    async def GetTenant(self, request: pb.GetTenantRequest, context: _Context) -> pb.GetTenantResponse:
        tenant = await self.tenants.get(_named_tenant(request.tenant_id, "config"))
        return pb.GetTenantResponse(tenant=codec.tenant_message(tenant))

    async def GetConfig(self, request: pb.GetConfigRequest, context: _Context) -> pb.GetConfigResponse:
        version = await self.configs.get(_named_tenant(request.tenant_id, "config"), request.version)
        return pb.GetConfigResponse(config=codec.config_message(version))

    async def UpdateConfig(self, request: pb.UpdateConfigRequest, context: _Context) -> pb.UpdateConfigResponse:
        reach = _named_tenant(request.tenant_id, "config")
        version = await self.configs.update(reach, codec.patch_from(request.config), request.expected_version)
        return pb.UpdateConfigResponse(config=codec.config_message(version))

    async def ListConfigVersions(
        self, request: pb.ListConfigVersionsRequest, context: _Context
    ) -> pb.ListConfigVersionsResponse:
        page = await self.configs.list(
            _named_tenant(request.tenant_id, "config"), request.page_size, request.page_token
        )
        return pb.ListConfigVersionsResponse(
            versions=[codec.config_message(version) for version in page.items], next_page_token=page.next_token
        )

    async def RevertConfig(self, request: pb.RevertConfigRequest, context: _Context) -> pb.RevertConfigResponse:
        version = await self.configs.revert(_named_tenant(request.tenant_id, "config"), request.version)
        return pb.RevertConfigResponse(config=codec.config_message(version))

    async def CreateKey(self, request: pb.CreateKeyRequest, context: _Context) -> pb.CreateKeyResponse:
        new = NewKey(
            kind=request.kind,
            name=request.name,
            scopes=tuple(request.scopes),
            allowed_origins=tuple(request.allowed_origins),
            expires_at_ms=request.expires_at_ms,
        )
        key, text = await self.api_keys.create(_tenant_or_operators(request.tenant_id), new)
        return pb.CreateKeyResponse(key=codec.key_message(key), secret=text)

    async def ListKeys(self, request: pb.ListKeysRequest, context: _Context) -> pb.ListKeysResponse:
        page = await self.api_keys.list(_tenant_or_operators(request.tenant_id), request.page_size, request.page_token)
        return pb.ListKeysResponse(keys=[codec.key_message(key) for key in page.items], next_page_token=page.next_token)

    async def RotateKey(self, request: pb.RotateKeyRequest, context: _Context) -> pb.RotateKeyResponse:
        key, text = await self.api_keys.rotate(
            _tenant_or_operators(request.tenant_id), request.key_id, request.overlap_seconds
        )
        return pb.RotateKeyResponse(key=codec.key_message(key), secret=text)

    async def RevokeKey(self, request: pb.RevokeKeyRequest, context: _Context) -> pb.RevokeKeyResponse:
        key = await self.api_keys.revoke(_tenant_or_operators(request.tenant_id), request.key_id)
        return pb.RevokeKeyResponse(key=codec.key_message(key))

    async def PutJwtIssuer(self, request: pb.PutJwtIssuerRequest, context: _Context) -> pb.PutJwtIssuerResponse:
        stored = await self.jwt_issuers.put(_operators(), codec.issuer_from(request.issuer))
        return pb.PutJwtIssuerResponse(issuer=codec.issuer_message(stored))

    async def ListJwtIssuers(self, request: pb.ListJwtIssuersRequest, context: _Context) -> pb.ListJwtIssuersResponse:
        issuers = await self.jwt_issuers.list(_operators())
        return pb.ListJwtIssuersResponse(issuers=[codec.issuer_message(stored) for stored in issuers])

    async def DeleteJwtIssuer(
        self, request: pb.DeleteJwtIssuerRequest, context: _Context
    ) -> pb.DeleteJwtIssuerResponse:
        await self.jwt_issuers.delete(_operators(), request.issuer_id)
        return pb.DeleteJwtIssuerResponse()

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, context: _Context
    ) -> pb.ListAuditEntriesResponse:
        page = await self.audit_log.list(_tenant_or_operators(request.tenant_id), request.page_size, request.page_token)
        return pb.ListAuditEntriesResponse(
            entries=[codec.audit_message(entry) for entry in page.items], next_page_token=page.next_token
        )

    async def VerifyAuditLog(self, request: pb.VerifyAuditLogRequest, context: _Context) -> pb.VerifyAuditLogResponse:
        verdict = await self.audit_log.verify(_tenant_or_operators(request.tenant_id))
        return pb.VerifyAuditLogResponse(
            ok=verdict.ok,
            entries=verdict.entries,
            first_bad_seq=verdict.first_bad_seq,
            problem=verdict.problem,
            head_hash=verdict.head_hash.hex(),
        )

    async def WatchConfigs(
        self, request: pb.WatchConfigsRequest, context: _Context
    ) -> AsyncIterator[pb.WatchConfigsResponse]:
        require_internal(current_principal())
        async for message in watch_messages(self.state, self.watchers, self.clock):
            yield message

    async def ResolveKey(self, request: pb.ResolveKeyRequest, context: _Context) -> pb.ResolveKeyResponse:
        require_internal(current_principal())
        key, view = await self.api_keys.resolve(request.sha256)
        tenant = None if view is None else codec.tenant_state_message(view, self.clock.now_ms())
        return pb.ResolveKeyResponse(tenant=tenant, key=codec.key_state_message(key))

    async def ReportKeyUse(self, request: pb.ReportKeyUseRequest, context: _Context) -> pb.ReportKeyUseResponse:
        require_internal(current_principal())
        if len(request.uses) > _MOST_USES:
            raise InvalidArgument("TOO_MANY_USES", f"at most {_MOST_USES} uses in a report", field="uses")
        await self.api_keys.report_use({use.key_id: use.last_used_at_ms for use in request.uses})
        return pb.ReportKeyUseResponse()


def _operators() -> Reach:
    return reach_everything(current_principal(), current_correlation_id())


def _named_tenant(tenant_id: str, scope: str) -> Reach:
    return reach_named_tenant(current_principal(), tenant_id, scope, current_correlation_id())


def _tenant_or_operators(tenant_id: str) -> Reach:
    return reach_tenant(current_principal(), tenant_id, "admin", current_correlation_id())
