"""Runs statements: a pool of handles behind threads, with a deadline and a memory cap for each statement.

The engine releases the interpreter lock, so threads are real parallelism here. A statement whose caller goes away or
whose time is up is killed by its mark; its handle returns to the pool when the engine has let go of it.
"""

import asyncio
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

from clickhouse_connect.driver.exceptions import ClickHouseError

from obc_common.clock import Clock
from obc_common.errors import DeadlineExceeded, DomainError, Internal, ResourceExhausted, Unavailable
from obc_common.logs import get_logger
from obc_query.metrics import STATEMENT_FAILURES, STATEMENT_SECONDS
from obc_query.statement import Statement
from obc_query.turns import Turns
from obc_query.warehouse import Answer, Handle, Warehouse, error_code

_log = get_logger(__name__)

Row = Sequence[Any]

_TIMEOUT_CODES = frozenset({159, 160})
_MEMORY_CODES = frozenset({241})
_CANCELLED_CODES = frozenset({394})
# Lets the engine's own deadline, whose error is the better one, fire first.
_MARGIN_SECONDS = 1.0
_KILL_SECONDS = 5.0
# As many as there are processors, unless the engine is told otherwise.
_THREADS = "SELECT toUInt64(getSetting('max_threads'))"


class Engine:
    """Statements in, rows out. Made by `open`, ended by `close`."""

    def __init__(
        self,
        handles: Sequence[Handle],
        killer: Handle,
        clock: Clock,
        *,
        max_memory_bytes: int,
        tenant_handles: int,
        statement_threads: int,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._turns = Turns(handles, most=tenant_handles)
        self._handles = [*handles, killer]
        self._killer = killer
        self._killing = asyncio.Lock()
        self._clock = clock
        self._max_memory_bytes = max_memory_bytes
        self._statement_threads = statement_threads
        self._threads = threads
        self._kills: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(
        cls, warehouse: Warehouse, clock: Clock, *, clients: int, tenant_clients: int, max_memory_bytes: int
    ) -> Self:
        """Connects `clients` handles, of which one tenant uses at most `tenant_clients`. The database must exist."""
        threads = ThreadPoolExecutor(clients + 1, thread_name_prefix="warehouse")
        loop = asyncio.get_running_loop()
        handles = [await loop.run_in_executor(threads, warehouse.connect) for _ in range(clients + 1)]
        [[statement_threads]] = await loop.run_in_executor(threads, handles[-1].query, _THREADS)
        return cls(
            handles[:-1],
            handles[-1],
            clock,
            max_memory_bytes=max_memory_bytes,
            tenant_handles=tenant_clients,
            statement_threads=int(statement_threads),
            threads=threads,
        )

    async def close(self) -> None:
        """Waits for what is under way, then lets every handle go."""
        await asyncio.gather(*self._kills, return_exceptions=True)
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)
        for handle in self._handles:
            handle.close()

    async def fetch(self, statement: Statement, *, timeout: float) -> Answer:
        """The rows of a statement, and what they cost.

        Args:
            statement: what to read, and for whom.
            timeout: seconds, waiting for the tenant's turn included.

        Raises:
            DeadlineExceeded: QUERY_TIMEOUT.
            ResourceExhausted: QUERY_TOO_HEAVY, over the memory cap.
            Unavailable: READ_MODEL_UNAVAILABLE, the engine cannot be reached.
            Internal: QUERY_FAILED. The statement is logged, never echoed.
        """
        give_up_at = self._clock.monotonic() + timeout
        try:
            async with asyncio.timeout(timeout):
                handle = await self._turns.take(statement.tenant_id)
        except TimeoutError:
            raise DeadlineExceeded("QUERY_TIMEOUT", "the question waited longer than it may") from None
        mark = f"obc:{uuid.uuid4().hex}"
        left = give_up_at - self._clock.monotonic()
        future = self._start(handle, mark, statement, left)
        try:
            async with asyncio.timeout(left + _MARGIN_SECONDS):
                return await asyncio.shield(future)
        except TimeoutError:
            self._kill_soon(mark)
            raise _timed_out() from None
        except asyncio.CancelledError:
            self._kill_soon(mark)
            raise
        except ClickHouseError as error:
            raise self._domain_error(error, statement) from error

    async def ping(self) -> None:
        """A health check: the engine answers."""
        async with self._killing:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._killer.query, "SELECT 1")

    def _start(self, handle: Handle, mark: str, statement: Statement, seconds: float) -> asyncio.Future[Answer]:
        settings = {
            "max_execution_time": max(round(seconds, 3), 0.001),
            "max_memory_usage": self._max_memory_bytes,
            # Handles are shared fairly, processors by threads: a statement that would take them all takes its part.
            "max_threads": max(1, self._statement_threads // self._turns.tenants),
            "json_type_escape_dots_in_keys": 1,
            # Found again by it in the list of what runs; a query id cannot be given to the embedded engine.
            "log_comment": mark,
        }

        def run() -> Answer:
            with STATEMENT_SECONDS.labels(statement.purpose).time():
                return handle.answer(statement.sql, statement.parameters, settings)

        def give_back(done: asyncio.Future[Answer]) -> None:
            self._turns.give_back(statement.tenant_id, handle)
            if not done.cancelled():
                done.exception()  # read here, for nobody else may be left to read it

        future = asyncio.get_running_loop().run_in_executor(self._threads, run)
        future.add_done_callback(give_back)
        return future

    def _kill_soon(self, mark: str) -> None:
        task = asyncio.create_task(self._kill(mark), name="kill statement")
        self._kills.add(task)
        task.add_done_callback(self._kills.discard)

    async def _kill(self, mark: str) -> None:
        try:
            async with asyncio.timeout(_KILL_SECONDS), self._killing:
                await asyncio.get_running_loop().run_in_executor(
                    self._threads,
                    self._killer.query,
                    "KILL QUERY WHERE Settings['log_comment'] = {mark:String} ASYNC",
                    {"mark": mark},
                )
        except (ClickHouseError, TimeoutError, RuntimeError) as error:  # RuntimeError: the threads are shut down
            # The engine's own deadline ends it a little later.
            _log.warning("kill_statement_failed", error=str(error)[:200])

    def _domain_error(self, error: ClickHouseError, statement: Statement) -> DomainError:
        code = error_code(error)
        if code in _TIMEOUT_CODES or code in _CANCELLED_CODES:
            failure: DomainError = _timed_out()
        elif code in _MEMORY_CODES:
            failure = ResourceExhausted(
                "QUERY_TOO_HEAVY",
                "the question needs more memory than one may take; take a shorter range or fewer groups",
            )
        elif code == 0:
            failure = Unavailable("READ_MODEL_UNAVAILABLE", "the read model is not available", retry_after=1.0)
        else:
            failure = Internal("QUERY_FAILED", "the question could not be answered")
        STATEMENT_FAILURES.labels(failure.reason).inc()
        if not isinstance(failure, DeadlineExceeded):
            _log.error("statement_failed", purpose=statement.purpose, sql=statement.sql, error=str(error)[:2000])
        return failure


def _timed_out() -> DeadlineExceeded:
    return DeadlineExceeded("QUERY_TIMEOUT", "the question took longer than it may; take a shorter range")
