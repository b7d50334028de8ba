"""This service's messages and its values, each made of the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from google.protobuf.struct_pb2 import ListValue

from obc.tenant_config.v1 import audit_pb2, config_pb2, jwt_issuer_pb2, key_pb2, tenant_pb2
from obc.tenant_config.v1 import tenant_config_service_pb2 as pb
from obc_common.errors import InvalidArgument
from obc_common.tenant_state import JwtAlgorithm, JwtIssuer
from obc_tenant_config.analytics_config import ConfigPatch, ConfigVersion
from obc_tenant_config.audit_chain import AuditEntry
from obc_tenant_config.model import ApiKey, StoredIssuer, Tenant, TenantView


def tenant_message(tenant: Tenant) -> tenant_pb2.Tenant:
    """A tenant as a message."""
    return tenant_pb2.Tenant(
        tenant_id=tenant.tenant_id,
        name=tenant.name,
        created_at_ms=tenant.created_at_ms,
        own_partition=tenant.own_partition,
    )


def config_message(version: ConfigVersion) -> config_pb2.TenantAnalyticsConfig:
    """A version of rules as a message."""
    config = version.config
    return config_pb2.TenantAnalyticsConfig(
        tenant_id=version.tenant_id,
        version=version.version,
        enabled=config.enabled,
        tracking_level=config.tracking_level,
        retention_days=config.retention_days,
        data_export_enabled=config.data_export_enabled,
        real_time_enabled=config.real_time_enabled,
        custom_properties=config.custom_properties,
        excluded_events=config.excluded_events,
        sampling_rate=config.sampling_rate,
        consent_policy=config.consent_policy,
        event_quota_per_day=config.event_quota_per_day,
        created_at_ms=version.created_at_ms,
        created_by=version.created_by,
    )


def patch_from(message: config_pb2.TenantAnalyticsConfigPatch) -> ConfigPatch:
    """The changes of a message: the fields that are there. Raises InvalidArgument(BAD_CONFIG)."""
    values = {
        name: getattr(message, name)
        for name in (
            "enabled",
            "tracking_level",
            "retention_days",
            "data_export_enabled",
            "real_time_enabled",
            "sampling_rate",
            "consent_policy",
            "event_quota_per_day",
        )
        if message.HasField(name)
    }
    for name in ("custom_properties", "excluded_events"):
        if message.HasField(name):
            values[name] = _strings(getattr(message, name), f"config.{name}")
    return ConfigPatch(**values)


def key_message(key: ApiKey) -> key_pb2.ApiKey:
    """A key as people see it."""
    return key_pb2.ApiKey(
        key_id=key.key_id,
        tenant_id=key.tenant_id,
        kind=key.kind,
        name=key.name,
        hint=key.hint,
        scopes=key.scopes,
        allowed_origins=key.allowed_origins,
        created_at_ms=key.created_at_ms,
        expires_at_ms=key.expires_at_ms,
        revoked_at_ms=key.revoked_at_ms,
        last_used_at_ms=key.last_used_at_ms,
    )


def key_state_message(key: ApiKey) -> key_pb2.KeyState:
    """A key as processes check it."""
    record = key.record()
    return key_pb2.KeyState(
        key_id=record.key_id,
        sha256=record.sha256,
        kind=record.kind,
        scopes=sorted(record.scopes),
        allowed_origins=record.allowed_origins,
        expires_at_ms=record.expires_at_ms,
    )


def issuer_message(stored: StoredIssuer) -> jwt_issuer_pb2.JwtIssuer:
    """An issuer as a message."""
    issuer = stored.issuer
    return jwt_issuer_pb2.JwtIssuer(
        issuer_id=stored.issuer_id,
        issuer=issuer.issuer,
        audience=issuer.audience,
        jwks_url=issuer.jwks_url,
        algorithm=issuer.algorithm,
        tenant_claim=issuer.tenant_claim,
        scopes_claim=issuer.scopes_claim,
        tenant_id=issuer.tenant_id,
    )


def issuer_from(message: jwt_issuer_pb2.JwtIssuer) -> JwtIssuer:
    """An issuer as given; not checked yet."""
    return JwtIssuer(
        issuer=message.issuer,
        audience=message.audience,
        jwks_url=message.jwks_url,
        algorithm=cast(JwtAlgorithm, message.algorithm),
        tenant_claim=message.tenant_claim,
        scopes_claim=message.scopes_claim,
        tenant_id=message.tenant_id,
    )


def audit_message(entry: AuditEntry) -> audit_pb2.AuditEntry:
    """A row of the audit log as a message."""
    return audit_pb2.AuditEntry(
        seq=entry.seq,
        at_ms=entry.at_ms,
        actor=entry.actor,
        action=entry.action,
        target=entry.target,
        details_json=entry.details,
        prev_hash=entry.prev_hash.hex(),
        hash=entry.hash.hex(),
        correlation_id=entry.correlation_id,
    )


def tenant_state_message(view: TenantView, now_ms: int) -> pb.TenantState:
    """A tenant with its rules and the keys that have not expired."""
    return pb.TenantState(
        tenant=tenant_message(view.tenant),
        config=config_message(view.version),
        keys=[key_state_message(key) for key in view.keys if key.is_live(now_ms)],
    )


def operator_keys_message(keys: Iterable[ApiKey], now_ms: int) -> pb.OperatorKeySet:
    """The operator keys that have not expired."""
    return pb.OperatorKeySet(keys=[key_state_message(key) for key in keys if key.is_live(now_ms)])


def issuers_message(issuers: Iterable[StoredIssuer]) -> pb.JwtIssuerSet:
    """All issuers."""
    return pb.JwtIssuerSet(issuers=[issuer_message(stored) for stored in issuers])


def _strings(values: ListValue, field: str) -> tuple[str, ...]:
    for position, value in enumerate(values.values):
        if value.WhichOneof("kind") != "string_value":
            raise InvalidArgument("BAD_CONFIG", "must be a string", field=f"{field}[{position}]")
    return tuple(value.string_value for value in values.values)
