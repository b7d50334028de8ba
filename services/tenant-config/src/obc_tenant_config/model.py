"""What this service keeps, as values: tenants, keys, issuers, and who changes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from obc_common.context import TENANT_SCOPES
from obc_common.keys import KeyKind
from obc_common.tenant_state import JwtIssuer, KeyRecord, TenantState
from obc_tenant_config.analytics_config import ConfigVersion

OPERATORS_CHAIN: Final = "00000000-0000-0000-0000-000000000000"
"""The audit chain of what belongs to no tenant: operator keys and issuers."""

SYSTEM_ACTOR: Final = "system"


@dataclass(frozen=True, slots=True)
class Tenant:
    """One customer.

    Attributes:
        tenant_id: UUID in canonical form.
        name: for people.
        created_at_ms: unix milliseconds.
        own_partition: its events lie in partitions of its own.
    """

    tenant_id: str
    name: str
    created_at_ms: int
    own_partition: bool


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as stored: all but its text. Times are unix milliseconds, 0 = never; an operator key has no tenant."""

    key_id: str
    tenant_id: str
    kind: KeyKind
    name: str
    hint: str
    sha256: bytes
    scopes: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    created_at_ms: int
    expires_at_ms: int = 0
    revoked_at_ms: int = 0
    last_used_at_ms: int = 0

    def is_live(self, now_ms: int) -> bool:
        """False once revoked or expired."""
        return self.revoked_at_ms == 0 and (self.expires_at_ms == 0 or now_ms < self.expires_at_ms)

    def record(self) -> KeyRecord:
        """What processes need to check it."""
        scopes = TENANT_SCOPES if self.kind == "operator" else frozenset(self.scopes)
        return KeyRecord(
            key_id=self.key_id,
            sha256=self.sha256,
            tenant_id=self.tenant_id,
            kind=self.kind,
            scopes=frozenset({"ingest"}) if self.kind == "write" else scopes,
            allowed_origins=self.allowed_origins,
            expires_at_ms=self.expires_at_ms,
        )


@dataclass(frozen=True, slots=True)
class StoredIssuer:
    """A trusted issuer and the id of its entry."""

    issuer_id: str
    issuer: JwtIssuer


@dataclass(frozen=True, slots=True)
class TenantView:
    """A tenant with the rules in force and its live keys."""

    tenant: Tenant
    version: ConfigVersion
    keys: tuple[ApiKey, ...]

    def state(self) -> TenantState:
        """The part that processes keep."""
        return TenantState(self.version.rules(), tuple(key.record() for key in self.keys))


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change, for the audit log.

    Attributes:
        name: a key id, `token:<subject>` or `system`.
        correlation_id: of the request.
    """

    name: str
    correlation_id: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """What one call may touch.

    Attributes:
        tenant_id: the one tenant it is about; empty = what belongs to the operators.
        confined: the caller is the tenant's own: row-level security holds it there.
        actor: who calls.
    """

    tenant_id: str
    confined: bool
    actor: Actor

    @property
    def chain(self) -> str:
        """The audit chain of what the call changes."""
        return self.tenant_id or OPERATORS_CHAIN
