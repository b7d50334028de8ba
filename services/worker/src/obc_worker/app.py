"""The only place that builds concrete things. What is opened is closed in reverse."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from obc_common.admin import admin_server
from obc_common.clock import Clock, SystemClock
from obc_common.context import Principal
from obc_common.errors import Unauthenticated
from obc_common.health import HealthRegistry
from obc_common.logs import get_logger
from obc_common.postgres import create_pool, ping
from obc_common.server import GrpcServer
from obc_common.tasks import background
from obc_worker.jobs.expired_bad_rows import ExpiredBadRows
from obc_worker.jobs.expired_events import ExpiredEvents
from obc_worker.jobs.expired_partitions import ExpiredPartitions
from obc_worker.jobs.old_config_changes import OldConfigChanges
from obc_worker.jobs.old_event_ids import OldEventIds
from obc_worker.jobs.partitions_ahead import PartitionsAhead
from obc_worker.jobs.queue_log import QueueLog
from obc_worker.leases import Leases
from obc_worker.model import Job
from obc_worker.queue import JobQueue
from obc_worker.rounds import Rounds
from obc_worker.runner import Runner
from obc_worker.settings import Settings

SERVICE = "obc.worker"
"""The name under which gRPC health tells whether the worker is ready; it has no methods."""
_ROLE = "obc_worker"
_log = get_logger(__name__)


def all_jobs(settings: Settings, clock: Clock) -> Sequence[Job]:
    """Every job there is."""
    return (
        PartitionsAhead(settings.partition_months_ahead),
        ExpiredPartitions(clock),
        ExpiredEvents(clock, settings.worker_batch_rows),
        ExpiredBadRows(clock, settings.bad_row_retention_days, settings.worker_batch_rows),
        OldEventIds(clock, settings.dedup_window_days, settings.worker_ledger_blocks),
        OldConfigChanges(clock, settings.worker_batch_rows),
        QueueLog(clock, settings.worker_batch_rows),
    )


class Worker:
    """The running worker.

    Attributes:
        port: where it answers for its health.
    """

    def __init__(self, server: GrpcServer, stopping: asyncio.Event, stopped: asyncio.Event, grace: float) -> None:
        self._server = server
        self._stopping = stopping
        self._stopped = stopped
        self._grace = grace
        self.port = server.port

    async def drain(self) -> None:
        """Ends gracefully: jobs end with their transaction under way and give their leases back."""
        self._stopping.set()
        try:
            async with asyncio.timeout(self._grace):
                await self._stopped.wait()
        except TimeoutError:
            _log.warning("jobs_cut_off", grace=self._grace)
        # Nobody calls the worker, so there is nobody to go on serving for.
        await self._server.stop()


class _NobodyCalls:
    """The worker has no methods: health needs no identity, and nothing else is answered."""

    async def authenticate(self, metadata: dict[str, str | bytes]) -> Principal:
        """Refuses."""
        raise Unauthenticated("BAD_CREDENTIAL", "this process answers no calls")


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Worker]:
    """A started worker."""
    async with AsyncExitStack() as stack:
        clock = SystemClock()
        health = HealthRegistry(clock)
        stopping, stopped = asyncio.Event(), asyncio.Event()
        dsn = settings.database_url.get_secret_value()
        pool = await create_pool(dsn, role=_ROLE, name="obc-worker", max_size=settings.database_pool_size)
        stack.push_async_callback(pool.close)

        jobs = all_jobs(settings, clock)
        leases = Leases(pool, f"{socket.gethostname()}:{os.getpid()}", settings.worker_lease_seconds)
        runner = Runner(
            {job.name: job for job in jobs},
            leases,
            clock,
            stopping,
            retry_seconds=settings.worker_retry_seconds,
            dead_letter_retry_seconds=settings.worker_dead_letter_retry_seconds,
        )
        rounds = Rounds(pool, leases, jobs, clock, settings.processing_interval)
        queue = JobQueue(
            dsn,
            jobs,
            runner.run,
            rounds.due,
            stopping,
            interval=settings.processing_interval,
            heartbeat=settings.worker_lease_seconds,
            concurrent=settings.worker_concurrent_jobs,
        )
        health.register("database", lambda: ping(pool))
        health.register("rounds", rounds.check_rounds, interval=1.0)
        # A job that fails makes no other worker better: it is told, and the process goes on.
        health.register("jobs", rounds.check_jobs, interval=1.0, critical=False)
        server = GrpcServer(
            settings, service="worker", authenticator=_NobodyCalls(), health=health, port=settings.grpc_port
        )
        server.announce(SERVICE)

        async def work() -> None:
            await queue.run()
            stopped.set()

        bodies = {"queue": work, "health": health.run, "verdicts": server.run_verdicts}
        await stack.enter_async_context(background(bodies))
        # Before anything is cancelled: a job that is cut off keeps its lease until it runs out.
        stack.callback(stopping.set)
        await stack.enter_async_context(admin_server(settings.host, settings.admin_port, health))
        await server.start()
        stack.push_async_callback(server.stop)
        yield Worker(server, stopping, stopped, settings.drain_grace_seconds)
