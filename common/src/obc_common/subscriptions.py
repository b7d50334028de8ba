"""Who wants to know that a tenant changed: a signal that says "look again", never a queue of states."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from types import TracebackType
from typing import Self


class Subscription:
    """An endless asynchronous iterator of "changed" signals for one tenant.

    Signals that come while nobody waits become one, so a slow reader costs nothing and misses nothing: it looks at the
    newest state. Use it as a context manager, or call `close`; a closed one ends its iteration.
    """

    def __init__(self, subscriptions: Subscriptions, tenant_id: str) -> None:
        self._subscriptions = subscriptions
        self._tenant_id = tenant_id
        self._signal = asyncio.Event()
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> None:
        await self._signal.wait()
        self._signal.clear()
        if self._closed:
            raise StopAsyncIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the subscription. May be called twice."""
        self._closed = True
        self._signal.set()
        self._subscriptions.remove(self._tenant_id, self)

    def notify(self) -> None:
        """Signals that the tenant changed."""
        self._signal.set()


class Subscriptions:
    """All subscriptions of a process, by tenant."""

    def __init__(self) -> None:
        self._by_tenant: defaultdict[str, set[Subscription]] = defaultdict(set)

    def add(self, tenant_id: str) -> Subscription:
        """Opens a subscription to a tenant (empty = the operators' keys)."""
        subscription = Subscription(self, tenant_id)
        self._by_tenant[tenant_id].add(subscription)
        return subscription

    def remove(self, tenant_id: str, subscription: Subscription) -> None:
        """Forgets a subscription."""
        open_ones = self._by_tenant.get(tenant_id)
        if open_ones is not None:
            open_ones.discard(subscription)
            if not open_ones:
                del self._by_tenant[tenant_id]

    def notify(self, tenant_ids: Iterable[str]) -> None:
        """Signals every subscription of the tenants."""
        for tenant_id in tenant_ids:
            for subscription in self._by_tenant.get(tenant_id, ()):
                subscription.notify()
