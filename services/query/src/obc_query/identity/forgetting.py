"""Forgetting: when no event of a device is left, what was decided about it goes too.

A read model that is being made anew lacks devices for a while. So one has to be missing in two passes, of one and the
same read model, which is up to date both times.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Protocol

from obc_common.errors import DomainError
from obc_common.logs import get_logger
from obc_common.tenant_state import TenantRules
from obc_query.asker import AskerFactory
from obc_query.freshness import Freshness
from obc_query.identity.decisions import LinkDecisions
from obc_query.identity.device import known_devices_statement

_AT_ONCE = 1000
_TIMEOUT = 30.0
_MOST_LAG_MS = 60_000

_log = get_logger(__name__)


class Directory(Protocol):
    """Every tenant's rules."""

    def all_rules(self) -> Sequence[TenantRules]:
        """The rules of every tenant now."""
        ...


class ForgottenDevices:
    """Deletes decisions about devices that are gone.

    Args:
        decisions: what was decided.
        askers: access to the read model.
        directory: knows the tenants.
        freshness: of the read model.
        seconds: pause between two passes.
    """

    def __init__(
        self,
        decisions: LinkDecisions,
        askers: AskerFactory,
        directory: Directory,
        freshness: Freshness,
        *,
        seconds: float,
    ) -> None:
        self._decisions = decisions
        self._askers = askers
        self._directory = directory
        self._freshness = freshness
        self._seconds = seconds
        self._generation = ""
        self._missing: dict[str, frozenset[str]] = {}

    async def run(self) -> None:
        """Passes again and again until cancelled. To be owned by `tasks.background`."""
        while True:
            await asyncio.sleep(self._seconds * random.uniform(0.9, 1.1))  # noqa: S311  # jitter, no secret
            await self.forget()

    async def forget(self) -> int:
        """One pass; how many devices were forgotten."""
        if not self._is_up_to_date():
            self._missing = {}
            return 0
        before = self._missing if self._generation == self._freshness.generation else {}
        self._generation, self._missing = self._freshness.generation, {}
        forgotten = 0
        for rules in self._directory.all_rules():
            try:
                forgotten += await self._forget(rules.tenant_id, before.get(rules.tenant_id, frozenset()))
            except DomainError as error:
                # The next pass begins with this tenant anew.
                _log.warning("devices_not_forgotten", tenant_id=rules.tenant_id, reason=error.reason)
        return forgotten

    async def _forget(self, tenant_id: str, missing_before: frozenset[str]) -> int:
        devices = await self._decisions.devices(tenant_id)
        missing: set[str] = set()
        for start in range(0, len(devices), _AT_ONCE):
            some = devices[start : start + _AT_ONCE]
            async with self._askers.question(tenant_id, _TIMEOUT) as asker:
                missing |= set(some) - {row[0] for row in await asker.fetch(known_devices_statement(tenant_id, some))}
        gone = sorted(missing & missing_before)
        if gone and self._is_up_to_date() and self._generation == self._freshness.generation:
            await self._decisions.forget(tenant_id, gone)
            missing -= set(gone)
        else:
            gone = []
        if missing:
            self._missing[tenant_id] = frozenset(missing)
        return len(gone)

    def _is_up_to_date(self) -> bool:
        return self._freshness.caught_up and self._freshness.as_of_ms > 0 and self._freshness.lag_ms <= _MOST_LAG_MS
