"""How far the read model is: per-tenant data versions, and the moment up to which everything is readable.

Version of a tenant = `hi` of the last batch that held rows of it: every row of the tenant behind that transaction id is
in, so two answers of one version saw the same rows. After a start the version is the cursor the log ended with.
"""

from collections import deque
from collections.abc import Iterable

from obc_common.clock import Clock

# One look every 100 ms: twenty minutes of standstill. Older looks are dropped, which only makes `as_of` older.
_MAX_LOOKS = 12_000


class Freshness:
    """Written by whoever follows the log (the projector, or a follower of another's), read by every question."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._generation = ""
        self._boot_cursor = 0
        self._hi_by_tenant: dict[str, int] = {}
        self._removals: dict[str, int] = {}
        self._projected = 0
        self._looks: deque[tuple[int, int]] = deque(maxlen=_MAX_LOOKS)
        self._as_of_ms = 0
        self._caught_up = False

    @property
    def caught_up(self) -> bool:
        """True once everything that was there at the start is in."""
        return self._caught_up

    @property
    def generation(self) -> str:
        """Tells one making of the read model from another."""
        return self._generation

    @property
    def as_of_ms(self) -> int:
        """Every event whose write had begun before this moment is readable; unix milliseconds, 0 = unknown."""
        return self._as_of_ms

    @property
    def lag_ms(self) -> int:
        """How far the read model is behind, milliseconds."""
        return max(0, self._clock.now_ms() - self._as_of_ms) if self._as_of_ms else 0

    def version(self, tenant_id: str) -> str:
        """The tenant's data version. Read it before asking: rows that come in between only make the answer newer."""
        removals = self._removals.get(tenant_id, 0)
        suffix = f".{removals}" if removals else ""
        return f"{self._generation}.{self._hi_by_tenant.get(tenant_id, self._boot_cursor)}{suffix}"

    def started(self, generation: str, cursor: int) -> None:
        """The store of a generation holds everything behind the cursor."""
        self._generation, self._boot_cursor, self._projected = generation, cursor, cursor
        self._hi_by_tenant.clear()
        self._looks.clear()

    def looked(self, at_ms: int, assigned: int) -> None:
        """At a moment every transaction id given out was below `assigned`."""
        self._looks.append((at_ms, assigned))

    def projected(self, hi: int, tenants: Iterable[str]) -> None:
        """Everything behind `hi` is in; these tenants had rows among it."""
        for tenant_id in tenants:
            self._hi_by_tenant[tenant_id] = hi
        self._projected = hi
        while self._looks and self._looks[0][1] <= hi:
            self._as_of_ms = self._looks.popleft()[0]

    def removed(self, tenants: Iterable[str]) -> None:
        """Rows of these tenants have expired: answers that counted them are not to be given again."""
        for tenant_id in tenants:
            self._removals[tenant_id] = self._removals.get(tenant_id, 0) + 1

    def mark_caught_up(self) -> None:
        """Everything that was there at the start is in."""
        self._caught_up = True
