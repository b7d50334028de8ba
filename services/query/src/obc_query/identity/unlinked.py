"""Which devices are unlinked by decision, as questions go by it: looked up again after a moment, at once after a write.

Decisions are rare and questions are not, so a tenant's are kept for a moment. Nothing is lost when they are dropped.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID
from weakref import WeakValueDictionary

from obc_common.clock import Clock
from obc_common.errors import Unavailable
from obc_common.logs import get_logger
from obc_common.postgres import Pool, as_domain_errors, tenant_transaction
from obc_query.identity import store

SEEN_AFTER_SECONDS = 2.0
"""How long a decision may take to be seen by the processes that did not write it."""
_TIMEOUT = 5.0
# For who waits for a look that fails, and for the one after it.
_WAIT_TIMEOUT = 8.0
_MOST_KEPT = 500_000

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Unlinked:
    """Devices whose events without a user are their own.

    Attributes:
        devices: their ids, sorted.
        version: tells one set of devices from another; empty = there are none.
    """

    devices: Sequence[str] = ()
    version: str = ""


NONE_UNLINKED = Unlinked()


@dataclass(frozen=True, slots=True)
class _Look:
    at: float
    newest: int
    unlinked: Unlinked

    @property
    def weight(self) -> int:
        return 1 + len(self.unlinked.devices)


class UnlinkedDevices:
    """Remembers them for all tenants.

    Args:
        pool: of a role that may read decisions.
        clock: time.
    """

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._looks: OrderedDict[str, _Look] = OrderedDict()
        self._kept = 0
        self._writes = 0
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def of(self, tenant_id: str) -> Unlinked:
        """The devices of a tenant, with every decision of this process and those of others up to a moment ago.

        While PostgreSQL is away, what was known before counts: nothing can be decided meanwhile.

        Raises:
            Unavailable: PostgreSQL is away, and nothing is known of the tenant.
        """
        look = self._fresh(tenant_id)
        if look is None:
            # One looks, the others wait for it: a decision that was made before they came is in the next look.
            turn = self._turns.setdefault(tenant_id, asyncio.Lock())
            async with as_domain_errors(), asyncio.timeout(_WAIT_TIMEOUT), turn:
                look = self._fresh(tenant_id) or await self._look(tenant_id)
        return look.unlinked

    def decided(self, tenant_id: str) -> None:
        """Something was decided: what is known is old, also what is being looked up now."""
        self._writes += 1
        self._drop(tenant_id)

    def _fresh(self, tenant_id: str) -> _Look | None:
        look = self._looks.get(tenant_id)
        return look if look and self._clock.monotonic() - look.at < SEEN_AFTER_SECONDS else None

    async def _look(self, tenant_id: str) -> _Look:
        writes, at, known = self._writes, self._clock.monotonic(), self._looks.get(tenant_id)
        try:
            async with as_domain_errors(), asyncio.timeout(_TIMEOUT):
                look = await self._read(tenant_id, at, known)
        except Unavailable:
            if known is None:
                raise
            _log.warning("link_decisions_not_read", tenant_id=tenant_id)
            look = _Look(self._clock.monotonic(), known.newest, known.unlinked)
        if writes == self._writes:
            self._keep(tenant_id, look)
        return look

    async def _read(self, tenant_id: str, at: float, known: _Look | None) -> _Look:
        async with tenant_transaction(self._pool, tenant_id, readonly=True) as connection:
            newest = await store.newest_number(connection, UUID(tenant_id))
            if known is not None and known.newest == newest:
                return _Look(at, newest, known.unlinked)
            # A decision that is made between the two statements is seen by the second, and looked up once more.
            devices = await store.unlinked(connection, UUID(tenant_id)) if newest else ()
        return _Look(at, newest, Unlinked(devices, _version(devices)) if devices else NONE_UNLINKED)

    def _keep(self, tenant_id: str, look: _Look) -> None:
        self._drop(tenant_id)
        self._looks[tenant_id] = look
        self._kept += look.weight
        while self._kept > _MOST_KEPT:
            self._drop(next(iter(self._looks)))

    def _drop(self, tenant_id: str) -> None:
        look = self._looks.pop(tenant_id, None)
        if look is not None:
            self._kept -= look.weight


def _version(devices: Sequence[str]) -> str:
    # Of what they are, not of how they came to be so: the same devices give the same answers.
    text = "\0".join(devices)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
