"""The read model and what asks it, without the process around it."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from obc_common.clock import Clock, SystemClock
from obc_common.postgres import Pool, create_pool
from obc_query.admission import TenantGate
from obc_query.asker import Asker, AskerFactory
from obc_query.engine import Engine
from obc_query.freshness import Freshness
from obc_query.identity.directory import LinkDirectory
from obc_query.identity.unlinked import UnlinkedDevices
from obc_query.projection.projector import Projector
from obc_query.warehouse import Warehouse
from tests.support.stored_events import Stored, insert_events


@dataclass(frozen=True, slots=True)
class ReadModel:
    """A projector and an engine over one PostgreSQL database. `dsn` is the superuser's."""

    warehouse: Warehouse
    dsn: str
    pool: Pool
    projector_pool: Pool
    engine: Engine
    askers: AskerFactory
    freshness: Freshness
    clock: Clock

    def projector(self, *, batch_rows: int = 20_000, poll_seconds: float = 0.02) -> Projector:
        """A projector as a process has it, after a start."""
        return Projector(
            self.warehouse,
            self.projector_pool,
            self.freshness,
            self.clock,
            poll_seconds=poll_seconds,
            batch_rows=batch_rows,
        )

    async def catch_up(self) -> int:
        """Copies everything stored so far; the number of batches."""
        return await self.projector().catch_up()

    async def store(self, tenant_id: str, events: Iterable[Stored]) -> None:
        """Stores events and makes them readable."""
        await insert_events(self.dsn, tenant_id, events)
        await self.catch_up()

    @asynccontextmanager
    async def asking(self, tenant_id: str, timeout: float = 20.0) -> AsyncIterator[Asker]:
        """A question's access."""
        async with self.askers.question(tenant_id, timeout) as asker:
            yield asker

    def rows(self, sql: str) -> Sequence[Sequence[Any]]:
        """Looks into the engine past all rules."""
        handle = self.warehouse.connect()
        try:
            return handle.query(sql)
        finally:
            handle.close()


@asynccontextmanager
async def open_read_model(
    warehouse: Warehouse, dsn: str, *, clock: Clock | None = None, clients: int = 4
) -> AsyncIterator[ReadModel]:
    """Opens everything and closes it in reverse."""
    clock = clock or SystemClock()
    pool = await create_pool(dsn, role="obc_query", name="test-query", max_size=4)
    projector_pool = await create_pool(dsn, role="obc_projector", name="test-projector", max_size=2)
    engine = await Engine.open(warehouse, clock, clients=clients, tenant_clients=4, max_memory_bytes=1 << 30)
    freshness = Freshness(clock)
    gate = TenantGate(questions=32)
    try:
        yield ReadModel(
            warehouse,
            dsn,
            pool,
            projector_pool,
            engine,
            AskerFactory(engine, gate, LinkDirectory(freshness), UnlinkedDevices(pool, clock), clock),
            freshness,
            clock,
        )
    finally:
        await engine.close()
        await projector_pool.close()
        await pool.close()
