"""How a question reaches the engine: through its tenant's share, within its deadline, several statements at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from obc_common.clock import Clock
from obc_common.errors import DeadlineExceeded
from obc_query.admission import TenantGate, TenantShare
from obc_query.engine import Engine, Row
from obc_query.identity.directory import LinkDirectory
from obc_query.statement import LinkedPeople, Statement


class Asker:
    """One question's access to the engine.

    Attributes:
        rows_read: rows that the engine has read for it so far.
        bytes_read: unpacked bytes of them.
    """

    def __init__(self, engine: Engine, share: TenantShare, links: LinkDirectory, clock: Clock, timeout: float) -> None:
        self._engine = engine
        self._share = share
        self._links = links
        self._linking = asyncio.Lock()
        self._linked: tuple[LinkedPeople | None] | None = None
        self._clock = clock
        self._deadline = clock.monotonic() + timeout
        self.rows_read = 0
        self.bytes_read = 0

    async def fetch(self, statement: Statement) -> Sequence[Row]:
        """The rows of one statement, people linked. Raises what `Engine.fetch` raises."""
        if statement.about_people:
            async with self._linking:
                if self._linked is None:
                    self._linked = (await self._links.of(statement.tenant_id, self._run),)
            statement = replace(statement, linked=self._linked[0])
        return await self._run(statement)

    async def fetch_all(self, statements: Sequence[Statement]) -> list[Sequence[Row]]:
        """The rows of several statements, run side by side; the first failure ends the others."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self.fetch(statement)) for statement in statements]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        return [task.result() for task in tasks]

    async def _run(self, statement: Statement) -> Sequence[Row]:
        try:
            async with asyncio.timeout(self._left()):
                await self._share.statements.acquire()
        except TimeoutError:
            raise DeadlineExceeded("QUERY_TIMEOUT", "the question waited longer than it may") from None
        try:
            answer = await self._engine.fetch(statement, timeout=self._left())
        finally:
            self._share.statements.release()
        self.rows_read += answer.rows_read
        self.bytes_read += answer.bytes_read
        return answer.rows

    def _left(self) -> float:
        left = self._deadline - self._clock.monotonic()
        if left <= 0:
            raise DeadlineExceeded("QUERY_TIMEOUT", "the question took longer than it may")
        return left


class AskerFactory:
    """Makes askers for one process."""

    def __init__(self, engine: Engine, gate: TenantGate, links: LinkDirectory, clock: Clock) -> None:
        self._engine = engine
        self._gate = gate
        self._links = links
        self._clock = clock

    @asynccontextmanager
    async def question(self, tenant_id: str, timeout: float) -> AsyncIterator[Asker]:
        """Admits a question of a tenant. Raises ResourceExhausted(TENANT_BUSY)."""
        async with self._gate.question(tenant_id) as share:
            yield Asker(self._engine, share, self._links, self._clock, timeout)
