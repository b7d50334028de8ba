"""The projector: follows PostgreSQL's horizon and copies every event into the read model exactly once.

Per batch: write down what comes (`intent`: a range of transaction ids and a token), then insert the rows with that
token. The next batch's intent says that this one is in; when no next one waits, an entry of its own does (`done`). A
crash anywhere leaves at most one open intent; the next start looks which of its rows are in and inserts the others.
It does not trust the token for that: the engine writes down tokens before the rows are safe, and does not sync them.

While one batch goes in, the next one is read: PostgreSQL and the engine work at the same time.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from obc_common.clock import Clock
from obc_common.logs import get_logger
from obc_common.postgres import Connection, Pool
from obc_query import metrics
from obc_query.freshness import Freshness
from obc_query.projection import log
from obc_query.projection.log import Batch
from obc_query.projection.source import Horizon, next_cut, read_horizon, read_identity, read_rows
from obc_query.projection.writer import insert_rows, missing_rows, tenants_of
from obc_query.schema import drop_tables, ensure_tables
from obc_query.warehouse import Handle, Warehouse

_log = get_logger(__name__)
_T = TypeVar("_T")

# Any constant of ours: the leader of a shared read model holds this lock in PostgreSQL.
_LEADER_LOCK = 0x6F62_6371
_ACQUIRE_TIMEOUT = 5.0
_LOCK_TIMEOUT = 5.0
_LEADER_RETRY_SECONDS = 2.0
_FOLLOW_SECONDS = 0.2


class Projector:
    """One process's projector. `run` is a background task's body: it raises when something fails and is run again."""

    def __init__(
        self,
        warehouse: Warehouse,
        pool: Pool,
        freshness: Freshness,
        clock: Clock,
        *,
        poll_seconds: float,
        batch_rows: int,
    ) -> None:
        self._warehouse = warehouse
        self._pool = pool
        self._freshness = freshness
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._batch_rows = batch_rows
        self._horizon = 0
        self._horizon_moved_at = clock.monotonic()
        self._seen_at: float | None = None
        self._inserted: Batch | None = None
        self._noted = 0  # the last batch that the log says is in

    async def run(self) -> None:
        """Follows for ever. With a shared read model one process leads and the others follow its log."""
        async with self._session() as (connection, worker):
            if not self._warehouse.embedded:
                await self._wait_for_leadership(connection, worker)
            last = await self._recover(connection, worker)
            try:
                while True:
                    last, _ = await self._step(connection, worker, last)
                    self._freshness.mark_caught_up()
                    # Also after a batch: at a steady trickle, batches without a pause would be many and tiny.
                    await asyncio.sleep(self._poll_seconds)
            except asyncio.CancelledError:
                await self._note(worker)  # the process stops: the next one finds nothing open
                raise

    async def catch_up(self, *, rebuild: bool = False) -> int:
        """Copies everything that is settled now, and returns. With `rebuild` from nothing. The number of batches."""
        async with self._session() as (connection, worker):
            if rebuild:
                await worker.do(drop_tables)
            last = await self._recover(connection, worker)
            first = last.number
            moved = True
            while moved:
                last, moved = await self._step(connection, worker, last)
            self._freshness.mark_caught_up()
            return last.number - first

    async def check(self) -> None:
        """Health: raises while the read model is not to be trusted."""
        if not self._freshness.caught_up:
            raise RuntimeError(f"catching up, {self._freshness.lag_ms} ms behind")
        if self._seen_at is None or self._clock.monotonic() - self._seen_at > 10:
            raise RuntimeError("the projector stands still")

    @asynccontextmanager
    async def _session(self) -> AsyncIterator["tuple[Connection, _Worker]"]:
        async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT) as connection, _worker(self._warehouse) as worker:
            yield connection, worker

    async def _wait_for_leadership(self, connection: Connection, worker: "_Worker") -> None:
        """Follows the leader's log until this process leads. The lock ends with the connection."""
        known: Batch | None = None
        try_at = self._clock.monotonic()
        while True:
            if self._clock.monotonic() >= try_at:
                if await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LEADER_LOCK, timeout=_LOCK_TIMEOUT):
                    return
                try_at = self._clock.monotonic() + _LEADER_RETRY_SECONDS
            known = await self._follow(connection, worker, known)
            await asyncio.sleep(_FOLLOW_SECONDS)

    async def _follow(self, connection: Connection, worker: "_Worker", known: Batch | None) -> Batch | None:
        """Takes over from the log what another process projected since batch `known`; gives the newest one."""
        looked_at_ms = self._clock.now_ms()
        horizon = await read_horizon(connection)
        self._freshness.looked(looked_at_ms, horizon.assigned)
        if known is None:
            known = (await worker.do(log.read_tail)).done
            if known is None:
                return None
            self._freshness.started(known.generation, known.hi)
            self._freshness.looked(looked_at_ms, horizon.assigned)
        number = known.number
        for batch in await worker.do(lambda handle: log.read_done_after(handle, number)):
            self._freshness.projected(batch.hi, batch.tenants)
            known = batch
        waiting = await next_cut(connection, known.hi, horizon.behind, self._batch_rows) is not None
        if not waiting:
            self._freshness.projected(max(known.hi, horizon.behind), ())
            self._freshness.mark_caught_up()
        self._measure(horizon, known, waiting=waiting)
        return known

    async def _recover(self, connection: Connection, worker: "_Worker") -> Batch:
        """Makes the store whole: makes or remakes it, and ends a batch that was cut short. The last batch done."""
        identity = await read_identity(connection)
        horizon = await read_horizon(connection)
        await worker.do(ensure_tables)
        tail = await worker.do(log.read_tail)
        newest = tail.open or tail.done
        if newest is not None and (newest.source != identity or newest.hi > horizon.assigned):
            _log.warning("read_model_of_another_database", found=newest.source, wanted=identity)
            await worker.do(drop_tables)
            await worker.do(ensure_tables)
            newest, tail = None, log.LogTail(None, None)
        if newest is None:
            first = Batch(0, 0, 0, "", (), uuid.uuid4().hex[:12], identity)
            await worker.do(lambda handle: log.write_done(handle, first))
            self._freshness.started(first.generation, 0)
            self._inserted, self._noted = None, first.number
            return first
        self._freshness.started(newest.generation, newest.lo if tail.open else newest.hi)
        self._inserted, self._noted = None, tail.done.number if tail.done else 0
        if tail.open is None:
            return newest
        metrics.REDONE_BATCHES.inc()
        _log.info("batch_redone", batch=newest.number, lo=newest.lo, hi=newest.hi)
        data = await read_rows(connection, newest.lo, newest.hi)
        missing = await worker.do(lambda handle: missing_rows(handle, data))
        redone = replace(newest, token=f"{newest.token}-{uuid.uuid4().hex[:12]}", tenants=tenants_of(data))
        return await self._insert(worker, _Loaded(redone, missing, more=True))

    async def _step(self, connection: Connection, worker: "_Worker", last: Batch) -> tuple[Batch, bool]:
        """Copies what waits until nothing more does: the last batch, and whether anything was copied."""
        loaded = await self._load_next(connection, last)
        if loaded is None:
            await self._note(worker)
            # Nothing to copy: remembered here only, for a log entry per idle look would wear the disk.
            self._freshness.projected(max(last.hi, self._horizon), ())
            return replace(last, hi=max(last.hi, self._horizon)), False
        while loaded is not None:
            ahead: asyncio.Task[_Loaded | None] | None = None
            if loaded.more:
                ahead = asyncio.create_task(self._load_next(connection, loaded.batch), name="projector reads ahead")
            try:
                last = await self._store(worker, loaded)
                loaded = await ahead if ahead is not None else None
            finally:
                if ahead is not None:
                    # The connection must be at rest before anybody else uses it.
                    ahead.cancel()
                    await asyncio.gather(ahead, return_exceptions=True)
        return last, True

    async def _load_next(self, connection: Connection, last: Batch) -> "_Loaded | None":
        """Reads the batch behind one that is in or on its way in; None = nothing is settled there."""
        looked_at_ms = self._clock.now_ms()
        horizon = await read_horizon(connection)
        self._freshness.looked(looked_at_ms, horizon.assigned)
        hi = None
        if horizon.behind > last.hi:
            hi = await next_cut(connection, last.hi, horizon.behind, self._batch_rows)
        self._measure(horizon, last, waiting=hi is not None)
        if hi is None:
            return None
        data = await read_rows(connection, last.hi, hi)
        batch = Batch(
            number=last.number + 1,
            lo=last.hi,
            hi=hi,
            token=f"{last.generation}-{last.number + 1}",
            tenants=tenants_of(data),
            generation=last.generation,
            source=last.source,
        )
        return _Loaded(batch, data, more=hi < horizon.behind)

    async def _store(self, worker: "_Worker", loaded: "_Loaded") -> Batch:
        await worker.do(lambda handle: log.write_intent(handle, loaded.batch))
        return await self._insert(worker, loaded)

    async def _insert(self, worker: "_Worker", loaded: "_Loaded") -> Batch:
        batch, data = loaded.batch, loaded.data

        def insert(handle: Handle) -> None:
            insert_rows(handle, data, batch.token)
            self._inserted = batch
            if not self._warehouse.embedded:
                # Others follow the log, and shall not wait for the next batch.
                log.write_done(handle, batch)
                self._noted = batch.number

        await worker.do(insert)
        self._freshness.projected(batch.hi, batch.tenants)
        metrics.PROJECTED_BATCHES.inc()
        metrics.PROJECTED_EVENTS.inc(data.count(b"\n"))
        return batch

    async def _note(self, worker: "_Worker") -> None:
        """Says in the log that the last batch is in, unless that has been said."""
        batch = self._inserted
        if batch is not None and batch.number != self._noted:
            await worker.do(lambda handle: log.write_done(handle, batch))
            self._noted = batch.number

    def _measure(self, horizon: Horizon, last: Batch, *, waiting: bool) -> None:
        now = self._clock.monotonic()
        if horizon.behind != self._horizon or horizon.behind == horizon.assigned:
            self._horizon, self._horizon_moved_at = horizon.behind, now
        self._seen_at = now
        metrics.LAG_XIDS.set(max(0, horizon.behind - last.hi) if waiting else 0)
        metrics.LAG_SECONDS.set(self._freshness.lag_ms / 1000)
        metrics.HORIZON_LAG_XIDS.set(horizon.assigned - horizon.behind)
        metrics.HORIZON_AGE_SECONDS.set(now - self._horizon_moved_at)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A batch, its rows in COPY's text form, and whether more rows wait behind it."""

    batch: Batch
    data: bytes
    more: bool


class _Worker:
    """The projector's own handle and the one thread that uses it."""

    def __init__(self, handle: Handle, thread: ThreadPoolExecutor) -> None:
        self._handle = handle
        self._thread = thread

    async def do(self, action: Callable[[Handle], _T]) -> _T:
        """Runs a blocking action on the handle.

        It is waited for even when the projector is being cancelled: the next user of the store must find it at rest.
        """
        future = asyncio.get_running_loop().run_in_executor(self._thread, action, self._handle)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise


@asynccontextmanager
async def _worker(warehouse: Warehouse) -> AsyncIterator[_Worker]:
    loop = asyncio.get_running_loop()
    thread = ThreadPoolExecutor(1, thread_name_prefix="projector")
    try:
        await loop.run_in_executor(thread, warehouse.create_database)
        handle = await loop.run_in_executor(thread, warehouse.connect)
        try:
            yield _Worker(handle, thread)
        finally:
            handle.close()
    finally:
        thread.shutdown(wait=False)
