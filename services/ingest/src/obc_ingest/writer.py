"""Group commit: batches of all callers wait a few milliseconds for company and share one transaction.

Everything is bounded. Callers wait for the commit, so what is queued is what is unanswered; over the bound a batch is
refused at once, before any work is spent on it. Tenants take turns: a flush takes one batch of each tenant that waits,
then the next of each, so that a tenant that floods waits behind itself.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from obc_common.errors import DomainError, Unavailable
from obc_common.logs import get_logger
from obc_common.postgres import is_connection_failure, map_postgres_error
from obc_ingest.admission import tenant_busy
from obc_ingest.flush import Flusher, Verdict
from obc_ingest.metrics import FLUSH_EVENTS, FLUSH_SECONDS, FLUSHES_FAILED, QUEUE_BYTES, QUEUE_EVENTS
from obc_ingest.model import BadRow, Event, Outcome

_log = get_logger(__name__)

_OVERLOAD_RETRY_AFTER = 1.0


@dataclass(frozen=True, slots=True)
class WriterLimits:
    """When to flush and how much to hold. Times in seconds."""

    flush_events: int = 1000
    flush_bytes: int = 1024 * 1024
    flush_interval: float = 0.004
    flushes_in_flight: int = 2
    flush_timeout: float = 10.0
    queue_events: int = 50_000
    queue_bytes: int = 64 * 1024 * 1024
    tenant_share: float = 0.5


@dataclass(slots=True)
class _Submission:
    tenant_id: str
    events: Sequence[Event]
    bad_rows: Sequence[BadRow]
    rows: int
    size: int
    done: asyncio.Future[list[Verdict]]


class GroupCommitWriter:
    """Writes what many callers submit.

    Args:
        flusher: stores one flush.
        limits: bounds.
        on_stored: told of newly stored events after each commit; must neither block nor raise.
    """

    def __init__(self, flusher: Flusher, limits: WriterLimits, on_stored: Callable[[list[Event]], None]) -> None:
        self._flusher = flusher
        self._limits = limits
        self._on_stored = on_stored
        self._queues: dict[str, deque[_Submission]] = {}  # by tenant, in the order of the round
        self._queued_rows = 0
        self._queued_bytes = 0
        self._held_rows = 0
        self._held_bytes = 0
        self._held_rows_by: dict[str, int] = {}
        self._waiting = asyncio.Event()
        self._full = asyncio.Event()
        self._slots = asyncio.Semaphore(limits.flushes_in_flight)

    def check_room(self, tenant_id: str, events: int, size: int) -> None:
        """Raises Unavailable(OVERLOADED) when that many events and bytes would be too much to hold.

        Raises ResourceExhausted(TENANT_BUSY) when they would be more than the tenant's share.
        """
        limits = self._limits
        if self._held_rows + events > limits.queue_events or self._held_bytes + size > limits.queue_bytes:
            raise Unavailable("OVERLOADED", "too much is waiting to be written", retry_after=_OVERLOAD_RETRY_AFTER)
        of_tenant = self._held_rows_by.get(tenant_id, 0)
        if of_tenant and of_tenant + events > limits.queue_events * limits.tenant_share:
            raise tenant_busy()

    async def submit(self, tenant_id: str, events: Sequence[Event], bad_rows: Sequence[BadRow]) -> list[Verdict]:
        """Stores a tenant's batch; one verdict per event, once they are durable.

        A caller that is cancelled gives up its answer only: its events may be stored all the same.

        Raises:
            Unavailable: OVERLOADED (nothing was stored) or DATABASE_UNAVAILABLE (nobody knows); the same ids may be
                sent again.
            ResourceExhausted: TENANT_BUSY (nothing was stored).
        """
        rows = len(events) + len(bad_rows)
        if rows == 0:
            return []
        size = sum(event.size for event in events) + sum(len(row.body) for row in bad_rows)
        self.check_room(tenant_id, rows, size)
        done = asyncio.get_running_loop().create_future()
        self._hold(tenant_id, rows, size)
        submission = _Submission(tenant_id, events, bad_rows, rows, size, done)
        self._queues.setdefault(tenant_id, deque()).append(submission)
        self._queued_rows += rows
        self._queued_bytes += size
        self._waiting.set()
        if self._queued_rows >= self._limits.flush_events or self._queued_bytes >= self._limits.flush_bytes:
            self._full.set()
        verdicts: list[Verdict] = await done
        return verdicts

    async def run(self) -> None:
        """Flushes until cancelled. To be owned by `tasks.background`; survives being restarted."""
        async with asyncio.TaskGroup() as flushes:
            while True:
                await self._waiting.wait()
                await self._slots.acquire()
                await self._wait_for_company()
                flushes.create_task(self._flush(self._take()))

    def close(self) -> None:
        """Answers everybody who still waits. To be called when `run` has ended for good."""
        for queue in self._queues.values():
            self._fail(list(queue), Unavailable("SHUTTING_DOWN", "the service is stopping", retry_after=1.0))
        self._queues.clear()

    async def _wait_for_company(self) -> None:
        try:
            async with asyncio.timeout(self._limits.flush_interval):
                await self._full.wait()
        except TimeoutError:
            pass

    def _take(self) -> list[_Submission]:
        """Whole submissions, tenants in turn, up to the size of a flush, at least one."""
        taken: list[_Submission] = []
        rows = size = 0
        while self._queues and rows < self._limits.flush_events and size < self._limits.flush_bytes:
            tenant_id = next(iter(self._queues))
            queue = self._queues.pop(tenant_id)
            submission = queue.popleft()
            if queue:
                self._queues[tenant_id] = queue  # at the end of the round
            taken.append(submission)
            rows += submission.rows
            size += submission.size
        self._queued_rows -= rows
        self._queued_bytes -= size
        if self._queued_rows < self._limits.flush_events and self._queued_bytes < self._limits.flush_bytes:
            self._full.clear()
        if not self._queues:
            self._waiting.clear()
        return taken

    async def _flush(self, taken: list[_Submission]) -> None:
        started = time.perf_counter()
        events = [event for submission in taken for event in submission.events]
        bad_rows = [row for submission in taken for row in submission.bad_rows]
        timeout = self._limits.flush_timeout
        slot = ExitStack()
        slot.callback(self._slots.release)
        # Giving back a connection that has gone silent takes seconds of its own: neither these callers nor the next
        # flush wait for that.
        late = asyncio.get_running_loop().call_later(timeout, self._give_up, taken, slot)
        try:
            async with asyncio.timeout(timeout):
                verdicts = await self._flusher.flush(events, bad_rows)
        except asyncio.CancelledError:
            self._fail(taken, Unavailable("SHUTTING_DOWN", "the service is stopping", retry_after=1.0))
            raise
        except Exception as error:  # whatever it is, nobody may be left waiting, and the next flush must run
            if not is_connection_failure(error):
                _log.exception("flush_failed", events=len(events))
            else:
                _log.warning("flush_failed", error=f"{type(error).__name__}: {error}"[:200], events=len(events))
            FLUSHES_FAILED.inc()
            self._fail(taken, map_postgres_error(error))
        else:
            self._answer(taken, verdicts)
            self._on_stored([e for e, verdict in zip(events, verdicts, strict=True) if verdict is Outcome.ACCEPTED])
        finally:
            late.cancel()
            slot.close()
            for submission in taken:
                self._hold(submission.tenant_id, -submission.rows, -submission.size)
            FLUSH_SECONDS.observe(time.perf_counter() - started)
            FLUSH_EVENTS.observe(len(events))

    def _give_up(self, taken: list[_Submission], slot: ExitStack) -> None:
        self._fail(taken, map_postgres_error(TimeoutError()))
        slot.close()

    def _answer(self, taken: list[_Submission], verdicts: list[Verdict]) -> None:
        start = 0
        for submission in taken:
            end = start + len(submission.events)
            if not submission.done.done():
                submission.done.set_result(verdicts[start:end])
            start = end

    def _fail(self, taken: list[_Submission], error: DomainError) -> None:
        for submission in taken:
            if not submission.done.done():
                # One error object each: every waiter's traceback is written into its own.
                submission.done.set_exception(type(error)(error.reason, error.message, retry_after=error.retry_after))

    def _hold(self, tenant_id: str, rows: int, size: int) -> None:
        of_tenant = self._held_rows_by.get(tenant_id, 0) + rows
        if of_tenant:
            self._held_rows_by[tenant_id] = of_tenant
        else:
            del self._held_rows_by[tenant_id]
        self._held_rows += rows
        self._held_bytes += size
        QUEUE_EVENTS.set(self._held_rows)
        QUEUE_BYTES.set(self._held_bytes)
