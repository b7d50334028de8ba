"""`make bench-query EVENTS=10000000`: a question in the service, by hand on the same store, and in PostgreSQL.

Starts a PostgreSQL, stores seeded events by COPY, lets the shipped query process copy them into the embedded engine
with its own projector, and asks everything three ways, turn by turn, so that a busy machine is busy for all. The answer
cache is off. Everything lives in a temporary folder and is removed. The last line is JSON.
"""

import argparse
import asyncio
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from bench import query_database as database
from bench.query_questions import Question, Times, list_request, live, questions
from bench.query_traffic import BIG_TENANT, Traffic
from obc_common.clients import QueryClient
from obc_common.identity import IdentityMinter
from obc_dev.servers.ports import free_ports
from obc_query.questions.list_events import EventKey
from obc_query.requests import page_token

_SECRET = "a secret of the benchmark, long enough"
_DAY_MS = 86_400_000
_DAYS = 30
_RUNS = 15
_POSTGRES_SECONDS = 20.0
_READY_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians in milliseconds."""

    question: Question
    service: float
    minimal: float
    postgres: float

    @property
    def allowed(self) -> float:
        return 1.3 * self.minimal + 5


class QueryProcess:
    """The query process and its side door."""

    def __init__(self, folder: Path, dsn: str, tenant_config_port: int) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANALYTICS_")} | {
            "ANALYTICS_INTERNAL_SECRET": _SECRET,
            "ANALYTICS_DATABASE_URL": dsn,
            "ANALYTICS_WAREHOUSE_URL": f"chdb://{folder / 'warehouse'}",
            "ANALYTICS_QUERY_GRPC_PORT": "0",
            "ANALYTICS_QUERY_ADMIN_PORT": "0",
            "ANALYTICS_REDIS_URL": "redis://127.0.0.1:1",
            "ANALYTICS_ANSWER_CACHE_SECONDS": "0",
            "ANALYTICS_TENANT_CONFIG_ADDRESS": f"127.0.0.1:{tenant_config_port}",
            "ANALYTICS_TENANT_CONFIG_GRPC_PORT": str(tenant_config_port),
            "ANALYTICS_TENANT_CONFIG_ADMIN_PORT": "0",
            "ANALYTICS_DRAIN_DELAY_SECONDS": "0",
            "ANALYTICS_LOG_LEVEL": "error",
        }
        self._rules = subprocess.Popen([sys.executable, "-m", "obc_tenant_config"], env=environment, stdout=sys.stderr)
        self._query = subprocess.Popen(
            [sys.executable, "-m", "bench.query_process"],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            self.port = int(self._read()["port"])
        except BaseException:
            self.stop()
            raise

    def run(self, *statements: str) -> dict[str, Any]:
        """Runs statements inside the process: `ms`, and `rows` of each."""
        assert self._query.stdin is not None  # a pipe
        self._query.stdin.write(orjson.dumps(statements) + b"\n")
        self._query.stdin.flush()
        return self._read()

    def rss_mb(self) -> tuple[float, float]:
        """Resident memory of the query process: now, and at most so far."""
        lines = Path(f"/proc/{self._query.pid}/status").read_text().splitlines()
        sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith("Vm")}
        return sizes["VmRSS"], sizes["VmHWM"]

    def stop(self) -> None:
        """Ends both processes."""
        self._query.stdin.close()  # type: ignore[union-attr]  # a pipe
        for process in (self._query, self._rules):
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()

    def _read(self) -> dict[str, Any]:
        assert self._query.stdout is not None  # a pipe
        line = self._query.stdout.readline()
        if not line:
            raise RuntimeError("the query process ended")
        answer: dict[str, Any] = orjson.loads(line)
        return answer


async def main() -> None:
    """Fills, waits, asks, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    running = asyncio.current_task()
    assert running is not None  # this is one
    # Ended from outside it tidies up too: ten million events are a lot to leave behind.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    folder = Path(tempfile.mkdtemp(prefix="obc-bench-query-"))
    try:
        with database.postgres(folder) as dsn:
            await _run(arguments.events, arguments.seed, folder, dsn)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _run(events: int, seed: int, folder: Path, dsn: str) -> None:
    traffic = Traffic(events, seed)
    # The last part is made when everything else is in, so that there is somebody to see in the live view.
    recent = max(1, events // (_DAYS * 24 * 2))
    until = int(time.time() * 1000) // 60_000 * 60_000
    await database.prepare(dsn, datetime.now(UTC) - timedelta(days=_DAYS + 1))
    started = time.perf_counter()
    await database.load(dsn, traffic.lines(events - recent, until - _DAYS * _DAY_MS, until))
    _say(f"{events:,} events stored in {time.perf_counter() - started:.0f} s")
    size = await database.table_bytes(dsn)

    started = time.perf_counter()
    process = QueryProcess(folder, dsn, free_ports(1)[0])
    client = QueryClient(f"127.0.0.1:{process.port}", IdentityMinter(_SECRET, "bench"))
    try:
        await _wait_for_rows(process, events - recent)
        rate = (events - recent) / (time.perf_counter() - started)
        _say(f"copied into the read model at {rate:,.0f} rows/s by the projector")
        load_rss = process.rss_mb()[1]
        started = time.perf_counter()
        await database.add_question_indexes(dsn)
        _say(f"PostgreSQL indexed and analysed for the questions in {time.perf_counter() - started:.0f} s")
        await _wait_for_merges(process)
        now = int(time.time() * 1000)
        await database.load(dsn, traffic.lines(recent, now - 900_000, now + 900_000))
        await _wait_for_rows(process, events)
        measured = await _measure(process, client, dsn, until)
        [[[columns, everything]]] = process.run(_BYTES)["rows"]
        _report(events, measured, float(everything), float(columns), size / (events - recent), rate, process, load_rss)
    finally:
        await client.close()
        process.stop()


# Files of the table's live parts, as they are: nothing is merged by hand.
_BYTES = (
    "SELECT sum(data_compressed_bytes) / sum(rows), sum(bytes_on_disk) / sum(rows) FROM system.parts "
    "WHERE active AND table = 'events' AND database = currentDatabase()"
)


# Of the catalogue, where there is an answer before the table is made, too.
_ROWS = (
    "SELECT toUInt64(coalesce(sum(total_rows), 0)) FROM system.tables "
    "WHERE database = currentDatabase() AND name = 'events'"
)


async def _wait_for_rows(process: QueryProcess, rows: int) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while int((await asyncio.to_thread(process.run, _ROWS))["rows"][0][0][0]) < rows:
        if time.monotonic() > deadline:
            raise TimeoutError("the projector does not catch up")
        await asyncio.sleep(0.5)


async def _wait_for_merges(process: QueryProcess) -> None:
    for _ in range(240):
        if not (await asyncio.to_thread(process.run, "SELECT 1 FROM system.merges WHERE table = 'events'"))["rows"][0]:
            return
        await asyncio.sleep(0.5)


async def _measure(process: QueryProcess, client: QueryClient, dsn: str, until: int) -> list[Measured]:
    deep = page_token(list_request(), BIG_TENANT, _SECRET, EventKey(until - 20 * _DAY_MS, uuid.UUID(int=0)))
    connection = await asyncpg.connect(dsn)
    measured = []
    # The live view first: the made-up present does not last.
    for question in [live(), *questions(Times(until), deep)]:
        service, minimal = [], []
        for turn in range(_RUNS + 1):
            started = time.perf_counter()
            await question.ask(client)
            elapsed = (time.perf_counter() - started) * 1000
            by_hand = (await asyncio.to_thread(process.run, *question.minimal))["ms"]
            if turn:  # the first one warms up
                service.append(elapsed)
                minimal.append(by_hand)
        slow = await _postgres_times(connection, question.postgres)
        measured.append(Measured(question, *(statistics.median(times) for times in (service, minimal, slow))))
        _say(_line(measured[-1]))
    await connection.close()
    return measured


async def _postgres_times(connection: "asyncpg.Connection[asyncpg.Record]", statements: Sequence[str]) -> list[float]:
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < 2 or (len(times) < 6 and time.perf_counter() - began < _POSTGRES_SECONDS):
        started = time.perf_counter()
        for statement in statements:
            await connection.fetch(statement, timeout=600)
        times.append((time.perf_counter() - started) * 1000)
    return times[1:]  # the first one warms up


def _line(one: Measured) -> str:
    return (
        f"{one.question.name:<32}{one.service:>10.1f}{one.minimal:>10.1f}{one.service / one.minimal:>8.2f}"
        f"{'' if one.service <= one.allowed else ' over':<6}{one.postgres:>12.1f}{one.postgres / one.service:>9.1f}"
    )


def _report(
    events: int, measured: Sequence[Measured], disk: float, columns: float, postgres_bytes: float, rate: float,
    process: QueryProcess, load_rss: float,
) -> None:  # fmt: skip
    now, most = process.rss_mb()
    cores = len(os.sched_getaffinity(0))
    print(f"\n{events:,} events of 7 tenants over {_DAYS} days, {cores} cores; a week of the big tenant")
    print(f"{'p50 in ms':<32}{'service':>10}{'by hand':>10}{'ratio':>8}{'':<6}{'PostgreSQL':>12}{'speedup':>9}")
    for one in measured:
        print(_line(one))
    print(
        f"\nread model {disk:.1f} bytes per event on disk ({columns:.1f} in columns), PostgreSQL {postgres_bytes:.0f}"
    )
    print(f"query process {now:.0f} MB now, {most:.0f} MB at most ({load_rss:.0f} MB while it copied everything)")
    counting = [one for one in measured if one.question.counts]
    looking = [one for one in measured if not one.question.counts]
    over = [one.question.name for one in measured if one.service > one.allowed]
    summary = {
        "events": events,
        # 5 ms are allowed for the way through gRPC, rules and protobuf; what is above them is compared.
        "worst_ratio_to_minimal": round(max(max(0.0, one.service - 5) / one.minimal for one in measured), 2),
        "worst_plain_ratio_to_minimal": round(max(one.service / one.minimal for one in counting), 2),
        "over_1_3_minimal_plus_5ms": over,
        "worst_speedup_vs_postgres": round(min(one.postgres / one.service for one in counting), 1),
        "worst_lookup_speedup_vs_postgres": round(min(one.postgres / one.service for one in looking), 2),
        "read_model_bytes_per_event": round(disk, 1),
        "postgres_bytes_per_event": round(postgres_bytes, 1),
        "query_rss_mb": round(most),
        "projector_rows_per_second": round(rate),
    }
    print(orjson.dumps(summary).decode())


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
