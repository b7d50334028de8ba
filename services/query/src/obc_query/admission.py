"""A tenant's share of the engine: so many statements at once, so many questions waiting, and no more.

Waiting is fair by arrival inside a tenant; other tenants never stand in its queue.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from obc_common.errors import ResourceExhausted
from obc_query.metrics import TENANT_BUSY

_RETRY_AFTER_SECONDS = 1.0


@dataclass(slots=True)
class TenantShare:
    """One tenant's questions under way."""

    statements: asyncio.Semaphore
    questions: int = 0


class TenantGate:
    """Hands out shares. A tenant without a question under way takes no memory."""

    def __init__(self, *, concurrent_statements: int, waiting_questions: int) -> None:
        self._concurrent_statements = concurrent_statements
        self._waiting_questions = waiting_questions
        self._shares: dict[str, TenantShare] = {}

    @asynccontextmanager
    async def question(self, tenant_id: str) -> AsyncIterator[TenantShare]:
        """Lets a question in. Its statements then take turns by `TenantShare.statements`.

        Raises:
            ResourceExhausted: TENANT_BUSY, when too many of the tenant's questions are under way.
        """
        share = self._shares.setdefault(tenant_id, TenantShare(asyncio.Semaphore(self._concurrent_statements)))
        if share.questions >= self._waiting_questions:
            TENANT_BUSY.inc()
            raise ResourceExhausted(
                "TENANT_BUSY",
                "too many questions of this tenant are under way",
                retry_after=_RETRY_AFTER_SECONDS,
            )
        share.questions += 1
        try:
            yield share
        finally:
            share.questions -= 1
            if share.questions == 0:
                self._shares.pop(tenant_id, None)
