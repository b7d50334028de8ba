"""The worker as a process: rounds, two at once, one stopped, the database away, health, metrics and its end."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import aiohttp
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from obc_dev.servers.ports import free_ports
from obc_dev.servers.postgres import PostgresServer
from obc_migrations.runner import migrate
from obc_worker.app import SERVICE, build
from tests.support.eventually import eventually
from tests.support.tenant_config import SECRET
from tests.support.worker import DAY, event_times, execute, fetch, new_tenant, store_events, worker_settings

SERVING = health_pb2.HealthCheckResponse.SERVING


@asynccontextmanager
async def worker_process(dsn: str, **settings: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A real process and its admin port; killed at the end if it still runs."""
    [admin_port] = free_ports(1)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ANALYTICS_")},
        "ANALYTICS_DATABASE_URL": dsn,
        "ANALYTICS_INTERNAL_SECRET": SECRET,
        "ANALYTICS_WORKER_GRPC_PORT": "0",
        "ANALYTICS_WORKER_ADMIN_PORT": str(admin_port),
        "ANALYTICS_PROCESSING_INTERVAL": "0.1",
        "ANALYTICS_WORKER_LEASE_SECONDS": "1",
        "ANALYTICS_WORKER_RETRY_SECONDS": "0.1",
        **settings,
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "obc_worker", env=environment)
    try:
        yield process, admin_port
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ready(admin_port: int) -> dict[str, Any] | None:
    """What /readyz says once it is 200."""
    try:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://127.0.0.1:{admin_port}/readyz", timeout=aiohttp.ClientTimeout(2)) as answer,
        ):
            body: dict[str, Any] = await answer.json()
            return body if answer.status == 200 else None
    except (aiohttp.ClientError, TimeoutError):
        return None


async def metrics(admin_port: int) -> str:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{admin_port}/metrics") as answer:
        return await answer.text()


async def all_jobs_done(dsn: str) -> bool:
    rows = await fetch(dsn, "SELECT count(*) AS all, count(last_success_at) AS done FROM obc_jobs.leases")
    return bool(rows[0]["all"] and rows[0]["all"] == rows[0]["done"])


async def old_event(dsn: str) -> Any:
    """A tenant that keeps events a day, with one of now and one that is expired."""
    tenant, now = await new_tenant(dsn, 1), datetime.now(UTC)
    await store_events(dsn, tenant, [now - 3 * DAY, now])

    async def cleaned() -> bool:
        return len(await event_times(dsn, tenant)) == 1

    return cleaned


async def test_a_worker_does_every_job_tells_so_and_ends_in_peace(database: str) -> None:
    cleaned = await old_event(database)
    async with worker_process(database) as (process, admin_port):
        body = await eventually(lambda: ready(admin_port), timeout=20)
        await eventually(cleaned, timeout=20)
        await eventually(lambda: all_jobs_done(database), timeout=20)
        assert {"database", "rounds", "jobs"} <= set(body["components"])
        text = await metrics(admin_port)
        for wanted in (
            'obc_worker_job_lag_seconds{job="expired_events"}',
            'obc_worker_job_runs_total{job="old_event_ids",outcome="done"}',
            'obc_worker_job_seconds_count{job="partitions_ahead"}',
            'obc_worker_dead_letters{job="queue_log"} 0.0',
            'obc_worker_removed_rows_total{what="event"} 1.0',
        ):
            assert wanted in text
        # a tenant that comes while it runs is served too
        await eventually(await old_event(database), timeout=20)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    rows = await fetch(
        database, "SELECT count(*) AS held FROM obc_jobs.leases WHERE lease_until > now() OR attempts > 0"
    )
    assert rows[0]["held"] == 0


async def test_of_two_workers_one_may_be_stopped_or_killed_at_any_time(database: str) -> None:
    async with worker_process(database) as (first, first_port), worker_process(database) as (second, second_port):
        for port in (first_port, second_port):
            await eventually(partial(ready, port), timeout=20)
        await eventually(await old_event(database), timeout=20)
        for paused in (first, second, first):
            paused.send_signal(signal.SIGSTOP)
            await eventually(await old_event(database), timeout=20)
            paused.send_signal(signal.SIGCONT)
        await eventually(await old_event(database), timeout=20)
        first.kill()
        await eventually(await old_event(database), timeout=20)
        # Both worked, nobody's work was lost, and nothing is left behind.
        rows = await fetch(database, "SELECT count(*) AS dead FROM obc_jobs.dead_letters")
        assert rows[0]["dead"] == 0


async def test_a_database_that_goes_away_is_told_and_the_work_goes_on_when_it_is_back(
    own_postgres: PostgresServer,
) -> None:
    dsn = own_postgres.dsn("postgres")
    await migrate(dsn)
    async with worker_process(dsn) as (_, admin_port):
        await eventually(lambda: ready(admin_port), timeout=20)
        await asyncio.to_thread(own_postgres.stop)

        async def unready() -> bool:
            return await ready(admin_port) is None

        await eventually(unready, timeout=20)
        await asyncio.to_thread(own_postgres.start)
        await eventually(lambda: ready(admin_port), timeout=30)
        await eventually(await old_event(dsn), timeout=30)


async def test_grpc_health_tells_whether_it_is_ready_and_nothing_else_is_answered(database: str) -> None:
    async with build(worker_settings(database)) as worker:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{worker.port}") as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)

            async def serving(name: str) -> bool:
                answer = await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
                return bool(answer.status == SERVING)

            for name in ("", SERVICE, "component.database", "component.jobs"):
                await eventually(partial(serving, name), timeout=10)
        await worker.drain()


async def test_a_failing_job_is_retried_by_the_queue_until_it_works(database: str) -> None:
    # Given a function that refuses its first two callers
    await execute(database, "CREATE SEQUENCE calls; ")
    await execute(database, "GRANT USAGE ON SEQUENCE calls TO obc_worker")
    await execute(
        database,
        """CREATE OR REPLACE FUNCTION obc_prune_config_changes(as_of timestamptz, most integer) RETURNS bigint
           LANGUAGE plpgsql AS 'BEGIN
               IF nextval(''calls'') <= 2 THEN RAISE EXCEPTION ''not yet''; END IF; RETURN 0; END'""",
    )
    async with build(worker_settings(database, processing_interval=3600)) as worker:

        async def done() -> bool:
            rows = await fetch(
                database,
                "SELECT 1 FROM obc_jobs.leases WHERE job = 'old_config_changes' AND last_success_at IS NOT NULL",
            )
            return bool(rows)

        # Then it need not wait for the next round
        await eventually(done, timeout=20)
        await worker.drain()
