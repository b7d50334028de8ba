"""TenantConfig's messages as what a process keeps of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from obc.tenant_config.v1 import config_pb2, jwt_issuer_pb2, key_pb2
from obc.tenant_config.v1 import tenant_config_service_pb2 as pb
from obc_common.keys import KeyKind
from obc_common.tenant_state import JwtAlgorithm, JwtIssuer, KeyRecord, TenantRules, TenantState


def tenant_from(message: pb.TenantState) -> TenantState:
    """One tenant with its rules and keys."""
    tenant_id = message.tenant.tenant_id
    return TenantState(rules_from(message.config), tuple(key_from(key, tenant_id) for key in message.keys))


def rules_from(message: config_pb2.TenantAnalyticsConfig) -> TenantRules:
    """A version of a tenant's rules."""
    return TenantRules(
        tenant_id=message.tenant_id,
        version=message.version,
        enabled=message.enabled,
        tracking_level=message.tracking_level,
        retention_days=message.retention_days,
        data_export_enabled=message.data_export_enabled,
        real_time_enabled=message.real_time_enabled,
        custom_properties=tuple(message.custom_properties),
        excluded_events=tuple(message.excluded_events),
        sampling_rate=message.sampling_rate,
        consent_policy=message.consent_policy,
        event_quota_per_day=message.event_quota_per_day,
    )


def key_from(message: key_pb2.KeyState, tenant_id: str) -> KeyRecord:
    """A key of a tenant, or of an operator when `tenant_id` is empty."""
    return KeyRecord(
        key_id=message.key_id,
        sha256=message.sha256,
        tenant_id=tenant_id,
        kind=cast(KeyKind, message.kind),
        scopes=frozenset(message.scopes),
        allowed_origins=tuple(message.allowed_origins),
        expires_at_ms=message.expires_at_ms,
    )


def issuers_from(messages: Iterable[jwt_issuer_pb2.JwtIssuer]) -> dict[str, JwtIssuer]:
    """The trusted issuers by the value of their `iss` claim."""
    return {
        message.issuer: JwtIssuer(
            issuer=message.issuer,
            audience=message.audience,
            jwks_url=message.jwks_url,
            algorithm=cast(JwtAlgorithm, message.algorithm),
            tenant_claim=message.tenant_claim or "tenant_id",
            scopes_claim=message.scopes_claim or "scope",
            tenant_id=message.tenant_id,
        )
        for message in messages
    }
