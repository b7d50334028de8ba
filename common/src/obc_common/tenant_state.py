"""What every process knows of a tenant: its rules, its live keys, and the issuers of tokens that are trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from obc_common.keys import KeyKind

JwtAlgorithm = Literal["RS256", "ES256", "EdDSA"]


@dataclass(frozen=True, slots=True)
class TenantRules:
    """One version of a tenant's rules; docs/tenants.md gives the order in which they apply.

    Attributes:
        tenant_id: the tenant, a UUID in canonical form.
        version: counts up by one per change.
        enabled: False = every event is dropped with reason `disabled`.
        tracking_level: `minimal`, `standard` or `detailed`.
        retention_days: days that events are kept.
        data_export_enabled: False = exports are refused.
        real_time_enabled: False = no live feed.
        custom_properties: names of properties that `standard` keeps; `*` = all.
        excluded_events: names that are dropped, exact or `prefix*`.
        sampling_rate: share of users that is kept, 0.0 to 1.0.
        consent_policy: `obey` or `ignore` the browser's privacy signal.
        event_quota_per_day: events that are stored per UTC day; 0 = no limit.
    """

    tenant_id: str
    version: int
    enabled: bool
    tracking_level: str
    retention_days: int
    data_export_enabled: bool
    real_time_enabled: bool
    custom_properties: tuple[str, ...]
    excluded_events: tuple[str, ...]
    sampling_rate: float
    consent_policy: str
    event_quota_per_day: int = 0


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key that is neither revoked nor, when it was answered, expired.

    Attributes:
        key_id: UUID of the key.
        sha256: fingerprint of its text.
        tenant_id: whose it is; empty for an operator key.
        kind: what it may be used for.
        scopes: its rights.
        allowed_origins: origins that may use a write key from a browser; empty = any.
        expires_at_ms: when it ends, unix milliseconds; 0 = never.
    """

    key_id: str
    sha256: bytes
    tenant_id: str
    kind: KeyKind
    scopes: frozenset[str]
    allowed_origins: tuple[str, ...] = ()
    expires_at_ms: int = 0

    def is_live(self, now_ms: int) -> bool:
        """False once it has expired."""
        return self.expires_at_ms == 0 or now_ms < self.expires_at_ms


@dataclass(frozen=True, slots=True)
class TenantState:
    """One tenant as it is now."""

    rules: TenantRules
    keys: tuple[KeyRecord, ...]


@dataclass(frozen=True, slots=True)
class JwtIssuer:
    """A trusted issuer of JSON Web Tokens.

    Attributes:
        issuer: exact value of `iss`.
        audience: value that `aud` must contain.
        jwks_url: where its public keys are.
        algorithm: the only signature that is accepted, whatever a token's header says.
        tenant_claim: claim that names the tenant.
        scopes_claim: claim that lists the scopes.
        tenant_id: when set, its tokens are good for this tenant only.
    """

    issuer: str
    audience: str
    jwks_url: str
    algorithm: JwtAlgorithm
    tenant_claim: str = "tenant_id"
    scopes_claim: str = "scope"
    tenant_id: str = ""
