"""How many batches of one tenant are passed on at once. The rest wait here, where they are in nobody's way.

Everything behind this point serves in order of arrival somewhere (an event loop, a connection), so what one tenant has
there is what another tenant's batch may have to wait for. A few batches keep ingest busy; a flood is not faster for
being passed on whole. A tenant that is alone may have four times as many under way as one in company.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from obc_common.clock import Clock
from obc_common.errors import ResourceExhausted

_COMPANY_SECONDS = 1.0
"""For so long after its last batch a tenant counts as company."""
_SHARE_IN_COMPANY = 4


@dataclass(slots=True)
class _Tenant:
    passed_on: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    seen_at: float = 0.0


class TenantSlots:
    """Counts every tenant's batches.

    Args:
        at_once: batches of a tenant that is alone that are passed on at once; a quarter of them in company.
        most: of these and those that wait; more are refused.
        clock: who has been here lately.
    """

    def __init__(self, at_once: int, most: int, clock: Clock) -> None:
        self._at_once = at_once
        self._most = most
        self._clock = clock
        self._tenants: dict[str, _Tenant] = {}  # the one seen last is the last

    @asynccontextmanager
    async def slot(self, tenant_id: str) -> AsyncIterator[None]:
        """Waits until the tenant's next batch may be passed on. Raises ResourceExhausted(TENANT_BUSY)."""
        tenant = self._seen(tenant_id)
        if tenant.passed_on + len(tenant.waiting) >= self._most:
            raise ResourceExhausted("TENANT_BUSY", "this tenant has too many batches under way", retry_after=1.0)
        await self._wait(tenant)
        try:
            yield
        finally:
            self._give_back(tenant)

    def _seen(self, tenant_id: str) -> _Tenant:
        now = self._clock.monotonic()
        tenant = self._tenants.pop(tenant_id, None) or _Tenant()
        self._tenants[tenant_id] = tenant
        tenant.seen_at = now
        while (oldest := next(iter(self._tenants.items())))[1].seen_at < now - _COMPANY_SECONDS:
            if oldest[1].passed_on or oldest[1].waiting:
                break
            del self._tenants[oldest[0]]
        return tenant

    async def _wait(self, tenant: _Tenant) -> None:
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        tenant.waiting.append(called)
        self._call_next(tenant)
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():
                self._give_back(tenant)  # it was called just before it gave up
            else:
                tenant.waiting.remove(called)
            raise

    def _give_back(self, tenant: _Tenant) -> None:
        tenant.passed_on -= 1
        self._call_next(tenant)

    def _call_next(self, tenant: _Tenant) -> None:
        at_once = self._at_once if len(self._tenants) == 1 else max(1, self._at_once // _SHARE_IN_COMPANY)
        while tenant.waiting and tenant.passed_on < at_once:
            tenant.passed_on += 1
            tenant.waiting.popleft().set_result(None)
