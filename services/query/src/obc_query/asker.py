"""How a question reaches the engine: let in, within its deadline, several statements at once."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from obc_common.clock import Clock
from obc_common.errors import DeadlineExceeded
from obc_query.admission import TenantGate
from obc_query.engine import Engine, Row
from obc_query.identity.directory import LinkDirectory
from obc_query.identity.links import linked_people
from obc_query.identity.unlinked import Unlinked, UnlinkedDevices
from obc_query.statement import CohortCondition, LinkedPeople, Statement
from obc_query.warehouse import Answer


class Asker:
    """One question's access to the engine.

    Args:
        engine: runs statements.
        links: knows who has links at all.
        unlinked: the devices that have none by decision, the same for all of the question's statements.
        clock: time.
        timeout: seconds that the question may take.

    Attributes:
        rows_read: rows that the engine has read for it so far.
        bytes_read: unpacked bytes of them.
        cohorts: those that the question's statements may name, by id.
    """

    def __init__(self, engine: Engine, links: LinkDirectory, unlinked: Unlinked, clock: Clock, timeout: float) -> None:
        self._engine = engine
        self._links = links
        self._unlinked = unlinked
        self._linking = asyncio.Lock()
        self._linked: tuple[LinkedPeople | None] | None = None
        self._clock = clock
        self._deadline = clock.monotonic() + timeout
        self.rows_read = 0
        self.bytes_read = 0
        self.cohorts: Mapping[str, CohortCondition] = {}

    async def fetch(self, statement: Statement) -> Sequence[Row]:
        """The rows of one statement, people linked and cohorts known. Raises what `Engine.fetch` raises."""
        statement = replace(statement, cohorts=self.cohorts)
        if statement.about_people:
            async with self._linking:
                if self._linked is None:
                    has_links = await self._links.any_of(statement.tenant_id, self._counted)
                    self._linked = (linked_people(self._unlinked.devices) if has_links else None,)
            statement = replace(statement, linked=self._linked[0])
        return await self._counted(statement)

    async def fetch_all(self, statements: Sequence[Statement]) -> list[Sequence[Row]]:
        """The rows of several statements, run side by side; the first failure ends the others."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self.fetch(statement)) for statement in statements]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        return [task.result() for task in tasks]

    async def _counted(self, statement: Statement) -> Sequence[Row]:
        answer = await self._run(statement)
        self.rows_read += answer.rows_read
        self.bytes_read += answer.bytes_read
        return answer.rows

    async def _run(self, statement: Statement) -> Answer:
        return await self._engine.fetch(statement, timeout=self._left())

    def _left(self) -> float:
        left = self._deadline - self._clock.monotonic()
        if left <= 0:
            raise DeadlineExceeded("QUERY_TIMEOUT", "the question took longer than it may")
        return left


@dataclass(slots=True)
class Run:
    """One statement that was run.

    Attributes:
        statement: what was asked.
        seconds: in the engine; until it was given up where there is no answer.
        answer: what came back; None = it was given up, for nobody needed it any more.
    """

    statement: Statement
    seconds: float = 0.0
    answer: Answer | None = None


class RecordingAsker(Asker):
    """An asker that keeps what it was asked and what that cost.

    Attributes:
        runs: the statements in the order in which they were begun.
    """

    def __init__(self, engine: Engine, links: LinkDirectory, unlinked: Unlinked, clock: Clock, timeout: float) -> None:
        super().__init__(engine, links, unlinked, clock, timeout)
        self.runs: list[Run] = []

    async def _run(self, statement: Statement) -> Answer:
        run = Run(statement)
        self.runs.append(run)
        started = self._clock.monotonic()
        try:
            run.answer = await super()._run(statement)
        finally:
            run.seconds = self._clock.monotonic() - started
        return run.answer


class AskerFactory:
    """Makes askers for one process.

    Attributes:
        unlinked: the devices that questions are told of when they begin.
    """

    def __init__(
        self, engine: Engine, gate: TenantGate, links: LinkDirectory, unlinked: UnlinkedDevices, clock: Clock
    ) -> None:
        self._engine = engine
        self._gate = gate
        self._links = links
        self.unlinked = unlinked
        self._clock = clock

    @asynccontextmanager
    async def question(self, tenant_id: str, timeout: float, unlinked: Unlinked | None = None) -> AsyncIterator[Asker]:
        """Admits a question of a tenant. Without `unlinked` it goes by what is decided now.

        Raises:
            ResourceExhausted: TENANT_BUSY.
            Unavailable: what is decided cannot be read.
        """
        with self._gate.question(tenant_id):
            if unlinked is None:
                unlinked = await self.unlinked.of(tenant_id)
            yield Asker(self._engine, self._links, unlinked, self._clock, timeout)

    @asynccontextmanager
    async def recorded_question(
        self, tenant_id: str, timeout: float, unlinked: Unlinked
    ) -> AsyncIterator[RecordingAsker]:
        """The same, with everything that is asked kept."""
        with self._gate.question(tenant_id):
            yield RecordingAsker(self._engine, self._links, unlinked, self._clock, timeout)
