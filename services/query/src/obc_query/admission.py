"""How many questions of a tenant may be under way; `turns` says whose statement is next at the engine."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from obc_common.errors import ResourceExhausted
from obc_query.metrics import TENANT_BUSY

_RETRY_AFTER_SECONDS = 1.0


class TenantGate:
    """Lets questions in. A tenant without a question under way takes no memory.

    Args:
        questions: of one tenant at once, those that wait included.
    """

    def __init__(self, *, questions: int) -> None:
        self._most = questions
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def question(self, tenant_id: str) -> Iterator[None]:
        """A question is under way within the context.

        Raises:
            ResourceExhausted: TENANT_BUSY, when too many of the tenant's questions are.
        """
        if self._under_way[tenant_id] >= self._most:
            TENANT_BUSY.inc()
            raise ResourceExhausted(
                "TENANT_BUSY",
                "too many questions of this tenant are under way",
                retry_after=_RETRY_AFTER_SECONDS,
            )
        self._under_way[tenant_id] += 1
        try:
            yield
        finally:
            self._under_way[tenant_id] -= 1
            if not self._under_way[tenant_id]:
                del self._under_way[tenant_id]
