"""How many batches of one tenant are passed on at once. The rest wait here, where they are in nobody's way.

Everything behind this point serves in order of arrival somewhere (an event loop, a connection), so what one tenant has
there is what another tenant's batch may have to wait for. A few batches keep ingest busy; a flood is not faster for
being passed on whole.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from obc_common.errors import ResourceExhausted


class TenantSlots:
    """Counts every tenant's batches.

    Args:
        at_once: batches of one tenant that are passed on at once.
        most: of these and those that wait; more are refused.
    """

    def __init__(self, at_once: int, most: int) -> None:
        self._at_once = at_once
        self._most = most
        self._tenants: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def slot(self, tenant_id: str) -> AsyncIterator[None]:
        """Waits until the tenant's next batch may be passed on. Raises ResourceExhausted(TENANT_BUSY)."""
        semaphore, count = self._tenants.get(tenant_id) or (asyncio.Semaphore(self._at_once), 0)
        if count >= self._most:
            raise ResourceExhausted("TENANT_BUSY", "this tenant has too many batches under way", retry_after=1.0)
        self._tenants[tenant_id] = semaphore, count + 1
        try:
            async with semaphore:
                yield
        finally:
            _, count = self._tenants[tenant_id]
            if count > 1:
                self._tenants[tenant_id] = semaphore, count - 1
            else:
                del self._tenants[tenant_id]
