"""Which tenants have links at all: most questions are cheaper without."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from obc_query.engine import Row
from obc_query.freshness import Freshness
from obc_query.identity.links import LINKED, USERS_OF_DEVICES
from obc_query.statement import LinkedPeople, Statement

_REMEMBERED_TENANTS = 10_000


class LinkDirectory:
    """Remembers for each tenant whether there may be links at its data version."""

    def __init__(self, freshness: Freshness) -> None:
        self._freshness = freshness
        self._without: OrderedDict[str, str] = OrderedDict()

    async def of(self, tenant_id: str, fetch: Callable[[Statement], Awaitable[Sequence[Row]]]) -> LinkedPeople | None:
        """How people are linked; None where no device of the tenant has events both with and without a user.

        Args:
            tenant_id: whose.
            fetch: asks the engine.

        Raises what `fetch` raises.
        """
        version = self._freshness.version(tenant_id)
        if self._without.get(tenant_id) == version:
            return None
        rows = await fetch(Statement(tenant_id, "users_of_devices", USERS_OF_DEVICES))
        if any(first == "" and last != "" for first, last in rows):
            return LINKED
        self._without[tenant_id] = version
        self._without.move_to_end(tenant_id)
        if len(self._without) > _REMEMBERED_TENANTS:
            self._without.popitem(last=False)
        return None
