"""What every change does besides itself, in the same transaction: an audit entry and an announcement to watchers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from obc_common.clock import Clock
from obc_common.postgres import Connection
from obc_tenant_config.audit_chain import next_entry
from obc_tenant_config.model import Actor
from obc_tenant_config.store.audit_rows import find_head, insert_entry, lock_chain
from obc_tenant_config.store.change_rows import ChangeKind, insert_change


class Changes:
    """Records changes. Order of locks, so that none waits in a circle: audit chain, then rows, then revision."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def begin(self, connection: Connection, chain: str) -> None:
        """Takes the chain's lock, which also makes this the only change of the tenant until the commit."""
        await lock_chain(connection, chain)

    async def record(
        self,
        connection: Connection,
        *,
        chain: str,
        actor: Actor,
        action: str,
        target: str,
        details: Mapping[str, Any],
        announce: ChangeKind,
    ) -> None:
        """Adds the audit entry and announces the change. To be the last thing that the transaction does.

        Args:
            connection: a transaction in which `begin` was called with the same chain.
            chain: the tenant, or the operators' chain.
            actor: who.
            action: what, e.g. `key.create`.
            target: on what.
            details: strings, numbers, booleans, and lists and objects of those.
            announce: what watchers must read again.
        """
        entry = next_entry(
            await find_head(connection, chain),
            chain=chain,
            at_ms=self._clock.now_ms(),
            actor=actor.name,
            action=action,
            target=target,
            details=details,
            correlation_id=actor.correlation_id,
        )
        await insert_entry(connection, entry)
        await insert_change(connection, announce, chain if announce == "tenant" else "")
