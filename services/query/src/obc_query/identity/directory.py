"""Which tenants have links at all: most questions are cheaper without."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from obc_query.engine import Row
from obc_query.freshness import Freshness
from obc_query.identity.links import ANY_LINK, USERS_OF_DEVICES
from obc_query.statement import Statement

_REMEMBERED_TENANTS = 10_000
_Value = TypeVar("_Value")


class LinkDirectory:
    """Remembers which tenants have links, and for the others at which data version they had none."""

    def __init__(self, freshness: Freshness) -> None:
        self._freshness = freshness
        self._without: OrderedDict[str, str] = OrderedDict()
        # Links may go again, with their events. Then questions are as right, and only a little slower.
        self._with: OrderedDict[str, None] = OrderedDict()

    async def any_of(self, tenant_id: str, fetch: Callable[[Statement], Awaitable[Sequence[Row]]]) -> bool:
        """Whether a device of the tenant has events both with and without a user.

        Args:
            tenant_id: whose.
            fetch: asks the engine.

        Raises what `fetch` raises.
        """
        if tenant_id in self._with:
            return True
        version = self._freshness.version(tenant_id)
        if self._without.get(tenant_id) == version:
            return False
        users = await fetch(Statement(tenant_id, "users_of_devices", USERS_OF_DEVICES))
        may_be = any(first == "" and last != "" for first, last in users)
        if may_be and await fetch(Statement(tenant_id, "any_link", ANY_LINK)):
            _remember(self._with, tenant_id, None)
            return True
        _remember(self._without, tenant_id, version)
        return False


def _remember(known: OrderedDict[str, _Value], tenant_id: str, value: _Value) -> None:
    known[tenant_id] = value
    known.move_to_end(tenant_id)
    if len(known) > _REMEMBERED_TENANTS:
        known.popitem(last=False)
