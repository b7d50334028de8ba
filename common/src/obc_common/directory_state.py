"""The last good copy of all tenants, keys and issuers, and what each message changes in it. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from obc_common.tenant_state import JwtIssuer, KeyRecord, TenantRules, TenantState

_OPERATORS = ""  # operator keys are kept like those of a tenant without a name
_MOST_ENDED = 100_000


class DirectoryState:
    """Everything by id and by fingerprint. Every method that changes it answers which tenants are not as before."""

    def __init__(self) -> None:
        self._rules: dict[str, TenantRules] = {}
        self._keys: dict[bytes, KeyRecord] = {}
        self._keys_by_id: dict[str, KeyRecord] = {}
        self._keys_of: dict[str, frozenset[KeyRecord]] = {}
        self._issuers: Mapping[str, JwtIssuer] = {}
        self._changed_at: dict[str, int] = {}
        self._ended: dict[str, None] = {}  # ids of keys that were here and are gone, oldest first
        self.sequence = 0
        """Number of changes applied so far."""

    def rules(self, tenant_id: str) -> TenantRules | None:
        """A tenant's rules; None = no such tenant."""
        return self._rules.get(tenant_id)

    def all_rules(self) -> list[TenantRules]:
        """The rules of every tenant."""
        return list(self._rules.values())

    def key(self, sha256: bytes) -> KeyRecord | None:
        """The key with a fingerprint, expired or not."""
        return self._keys.get(sha256)

    def key_by_id(self, key_id: str) -> KeyRecord | None:
        """The key with an id, expired or not."""
        return self._keys_by_id.get(key_id)

    def has_ended(self, key_id: str) -> bool:
        """True for a key that was here and is gone; False for one that was never here, which may be too new."""
        return key_id in self._ended

    @property
    def issuers(self) -> Mapping[str, JwtIssuer]:
        """The trusted issuers by `iss`."""
        return self._issuers

    def changed_since(self, tenant_id: str, sequence: int) -> bool:
        """True when a message about the tenant was applied after `sequence`."""
        return self._changed_at.get(tenant_id, 0) > sequence

    def apply_snapshot(
        self, tenants: Iterable[TenantState], operator_keys: Iterable[KeyRecord], issuers: Mapping[str, JwtIssuer]
    ) -> set[str]:
        """Replaces everything: a tenant that is not in the snapshot is gone."""
        new = {tenant.rules.tenant_id: tenant for tenant in tenants}
        changed = {tenant_id for tenant_id in self._rules if tenant_id not in new}
        for tenant_id in changed:
            del self._rules[tenant_id]
            self._replace_keys(tenant_id, ())
        for tenant in new.values():
            changed |= self.apply_tenant(tenant)
        changed |= self.apply_operator_keys(operator_keys)
        self.apply_issuers(issuers)
        return changed

    def apply_tenant(self, tenant: TenantState) -> set[str]:
        """Replaces one tenant's rules and keys."""
        tenant_id = tenant.rules.tenant_id
        same_rules = self._rules.get(tenant_id) == tenant.rules
        self._rules[tenant_id] = tenant.rules
        same_keys = self._replace_keys(tenant_id, tenant.keys)
        return set() if same_rules and same_keys else {tenant_id}

    def apply_operator_keys(self, keys: Iterable[KeyRecord]) -> set[str]:
        """Replaces all operator keys."""
        return set() if self._replace_keys(_OPERATORS, keys) else {_OPERATORS}

    def apply_issuers(self, issuers: Mapping[str, JwtIssuer]) -> None:
        """Replaces all issuers."""
        self._issuers = dict(issuers)

    def _replace_keys(self, owner: str, keys: Iterable[KeyRecord]) -> bool:
        self.sequence += 1
        self._changed_at[owner] = self.sequence
        before, after = self._keys_of.get(owner, frozenset()), frozenset(keys)
        for gone in before - after:
            del self._keys[gone.sha256]
            del self._keys_by_id[gone.key_id]
        for key in after:
            self._keys[key.sha256] = key
            self._keys_by_id[key.key_id] = key
        for gone in before - after:
            if gone.key_id not in self._keys_by_id:
                self._ended[gone.key_id] = None
        while len(self._ended) > _MOST_ENDED:
            del self._ended[next(iter(self._ended))]
        self._keys_of[owner] = after
        return before == after
