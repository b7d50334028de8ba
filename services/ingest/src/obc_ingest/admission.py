"""Who may come in: bytes under way are bounded, of this process and of each tenant within it.

Checked before a batch is parsed. A full process answers 503 (come back, perhaps to another replica), a tenant that has
its share under way gets 429. Whose turn it is among those who are in, `intake` and `writer` decide.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from obc_common.errors import ResourceExhausted, Unavailable
from obc_ingest.metrics import BYTES_IN_FLIGHT

_RETRY_AFTER = 1.0


class ByteBudget:
    """Bytes of all batches from their arrival to their answer.

    Args:
        limit: of the process.
        tenant_limit: of one tenant; its first batch is taken whatever its size.
    """

    def __init__(self, limit: int, tenant_limit: int) -> None:
        self._limit = limit
        self._tenant_limit = tenant_limit
        self._held = 0
        self._held_by: dict[str, int] = {}

    @contextmanager
    def hold(self, tenant_id: str, size: int) -> Iterator[None]:
        """Holds room for a batch while it is worked on.

        Raises:
            Unavailable: OVERLOADED, the process has enough to do.
            ResourceExhausted: TENANT_BUSY, this tenant has its share under way.
        """
        of_tenant = self._held_by.get(tenant_id, 0)
        if of_tenant and of_tenant + size > self._tenant_limit:
            raise tenant_busy()
        if self._held + size > self._limit:
            raise Unavailable("OVERLOADED", "too many bytes are under way", retry_after=_RETRY_AFTER)
        self._held_by[tenant_id] = of_tenant + size
        self._add(size)
        try:
            yield
        finally:
            self._add(-size)
            left = self._held_by[tenant_id] - size
            if left:
                self._held_by[tenant_id] = left
            else:
                del self._held_by[tenant_id]

    def _add(self, size: int) -> None:
        self._held += size
        BYTES_IN_FLIGHT.set(self._held)


def tenant_busy() -> ResourceExhausted:
    """The answer to a tenant that has its share under way."""
    return ResourceExhausted("TENANT_BUSY", "this tenant has too much under way", retry_after=_RETRY_AFTER)
