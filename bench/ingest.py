"""How much the product takes in, next to the floor of the machine it runs on: one run, real processes.

    make bench-ingest [ARGS="--ingest 2 --seconds 15"]

The stack is the one of `make run`, in a folder of its own. Everything shares the machine: PostgreSQL, Redis, the
services, the projector that follows what is stored, and the load generator. Figures of two machines, or of two loads of
one machine, compare by their ratios to the floor. A shared machine is faster in one minute than in the next, so
everything is measured in turns, and the means of the turns are compared.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import asyncpg
import uvloop

from bench.ingest_freshness import measure_freshness, wait_until_projected
from bench.ingest_usage import Usage, UsageMeter
from obc_dev.api import Api, ApiError
from tests.support.product import Product, Tenant
from tests.support.stack_process import StackProcess

_FLOOR_SHAPES = ((500, 2), (1000, 2), (1000, 4), (2000, 2), (2000, 4))
_FLOOR_TRIAL_SECONDS = 4
_FRESH_RATE = 5_000
_WARM_SECONDS = 2.0
_ROUNDS = 3
# What is measured is the product, not the rates it grants to one key.
_NO_LIMITS = {
    "ANALYTICS_INGEST_RATE_PER_SECOND": "10000000",
    "ANALYTICS_INGEST_BURST": "100000000",
    "ANALYTICS_API_RATE_PER_SECOND": "100000",
    "ANALYTICS_API_BURST": "100000",
    "ANALYTICS_LOG_FORMAT": "json",
}
TARGETS = {"rest_ratio": 0.30, "grpc_ratio": 0.50, "ws_ratio": 0.25, "ack_p99_ms": 60.0, "fresh_p99_ms": 1000.0}


@dataclass(frozen=True)
class Way:
    """How one way in is loaded."""

    name: str
    lanes: int
    size: int
    text: str


_WAYS = (
    Way("rest", 16, 50, "REST, JSON batches of 50, 16 connections"),
    Way("ws", 50, 20, "WebSocket, batches of 20, 50 sockets"),
    Way("grpc", 4, 200, "gRPC stream, batches of 200, 4 streams"),
)


class Bench:
    """The measurements on a running stack.

    Args:
        product: where it is reached.
        meter: its processes.
        seconds: of each measurement.
    """

    def __init__(self, product: Product, meter: UsageMeter, seconds: float) -> None:
        self._product = product
        self._meter = meter
        self._seconds = seconds
        self.usage: dict[str, Usage] = {}

    async def floor(self, shapes: tuple[tuple[int, int], ...]) -> tuple[float, tuple[int, int]]:
        """Events per second of the best shape (batch size, connections), and the shape."""
        best = shapes[0]
        if len(shapes) > 1:
            trials = {shape: await self._floor_once(shape, _FLOOR_TRIAL_SECONDS) for shape in shapes}
            best = max(trials, key=lambda shape: trials[shape])
        self._meter.start()
        floor = await self._floor_once(best, self._seconds)
        self.usage["floor"] = self._meter.stop(round(floor * self._seconds), 0.0)
        return floor, best

    async def _floor_once(self, shape: tuple[int, int], seconds: float) -> float:
        await self._tenant()
        batch, connections = shape
        arguments = (f"--batch={batch}", f"--connections={connections}", f"--seconds={seconds}")
        answer = await run_module("bench.ingest_floor", self._product.database_url, *arguments)
        await self._require_rows(answer["tenant_id"], answer["events"])
        return float(answer["events"] / answer["seconds"])

    async def most(self, way: Way, seconds: float) -> float:
        """Events per second, as fast as they are taken."""
        tenant = await self._tenant()
        await self._load(way, tenant, _WARM_SECONDS)
        before = await self._count(tenant.tenant_id)
        self._meter.start()
        report = await self._load(way, tenant, seconds)
        self.usage[way.name] = self._meter.stop(report["events"], report["cpu_seconds"])
        await self._require_rows(tenant.tenant_id, before + report["events"], refused=report["refused"])
        return float(report["events"] / report["seconds"])

    async def paced(self, way: Way, rate: float) -> dict[str, Any]:
        """The load's report at a rate."""
        tenant = await self._tenant()
        await self._load(way, tenant, _WARM_SECONDS, rate)
        return await self._load(way, tenant, self._seconds, rate)

    async def freshness(self) -> float:
        """Milliseconds from ack to visible, 99th percentile, under `_FRESH_RATE` events per second."""
        tenant = await self._tenant()
        load = asyncio.create_task(self._load(_WAYS[0], tenant, self._seconds + 3, _FRESH_RATE))
        await asyncio.sleep(1)
        fresh = await measure_freshness(self._product.url, tenant.secret_key, self._seconds)
        report = await load
        if report["refused"]:
            raise SystemExit(f"batches were refused: {report['answers']}")
        return fresh

    async def _load(self, way: Way, tenant: Tenant, seconds: float, rate: float = 0.0) -> dict[str, Any]:
        target = self._product.ingest_address if way.name == "grpc" else self._product.url
        sizes = (f"--lanes={way.lanes}", f"--size={way.size}", f"--seconds={seconds}", f"--rate={rate}")
        report = await run_module("bench.ingest_load", way.name, target, tenant.secret_key, *sizes)
        if report["refused"]:
            print(f"  {report['refused']} batches refused: {report['answers']}", file=sys.stderr)
        return report

    async def _tenant(self) -> Tenant:
        """A new tenant that every process knows."""
        tenant = await self._product.new_tenant("bench")
        async with Api(self._product.url, tenant.secret_key) as api:
            for _ in range(50):
                try:
                    await api.get("/v1/config")
                    break
                except ApiError:
                    await asyncio.sleep(0.1)
        await asyncio.sleep(2)  # a new tenant is known everywhere within 2 s
        await wait_until_projected(self._product.url, tenant.secret_key)
        await self._vacuum()
        return tenant

    async def _vacuum(self) -> None:
        """Now, rather than by autovacuum in the middle of a measurement of something else."""
        connection = await asyncpg.connect(self._product.database_url, timeout=10)
        try:
            await connection.execute("VACUUM (ANALYZE) event_ids, analytics_events", timeout=120)
        finally:
            await connection.close()

    async def _count(self, tenant_id: str) -> int:
        connection = await asyncpg.connect(self._product.database_url, timeout=10)
        try:
            query = "SELECT count(*) FROM analytics_events WHERE tenant_id = $1"
            return int(await connection.fetchval(query, tenant_id, timeout=60))
        finally:
            await connection.close()

    async def _require_rows(self, tenant_id: str, events: int, refused: int = 0) -> None:
        rows = await self._count(tenant_id)
        if rows != events and not refused:
            raise SystemExit(f"{events} events were acknowledged, {rows} rows are there")


async def run_module(module: str, *arguments: str) -> dict[str, Any]:
    """Runs a module in a process of its own; the JSON of its last line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"{module} ended with {process.returncode}")
    answer: dict[str, Any] = json.loads(output.splitlines()[-1])
    return answer


async def measure(product: Product, meter: UsageMeter, seconds: float, only: str) -> dict[str, Any]:
    """Everything, in order."""
    bench = Bench(product, meter, seconds)
    floor, shape = await bench.floor(_FLOOR_SHAPES[-1:] if only else _FLOOR_SHAPES)
    say(f"floor: {floor:,.0f} events/s (batches of {shape[0]}, {shape[1]} connections)")
    say(bench.usage["floor"].line())
    floors = [floor]
    speeds: dict[str, list[float]] = defaultdict(list)
    for _ in range(_ROUNDS):
        for way in _WAYS:
            if only and way.name not in only:
                continue
            speeds[way.name].append(await bench.most(way, seconds / _ROUNDS))
            say(f"{way.text}: {speeds[way.name][-1]:,.0f} events/s")
            say(bench.usage[way.name].line())
        floors.append((await bench.floor((shape,)))[0])
        say(f"floor again: {floors[-1]:,.0f} events/s")
    result: dict[str, Any] = {f"{name}_eps": fmean(measured) for name, measured in speeds.items()}
    if "rest_eps" in result and (not only or "latency" in only):
        half = result["rest_eps"] / 2
        report = await bench.paced(_WAYS[0], half)
        result |= {"ack_p50_ms": report["p50_ms"], "ack_p99_ms": report["p99_ms"]}
        say(f"REST at {half:,.0f} events/s: p50 {report['p50_ms']} ms, p99 {report['p99_ms']} ms to the ack")
        result["fresh_p99_ms"] = await bench.freshness()
        say(f"visible in a query {result['fresh_p99_ms']} ms after the ack (p99, {_FRESH_RATE:,} events/s)")
    result["floor_eps"] = floor = fmean(floors)
    for way in _WAYS:
        if f"{way.name}_eps" in result:
            result[f"{way.name}_ratio"] = round(result[f"{way.name}_eps"] / floor, 3)
    result["cpu_us_per_event"] = {name: usage.cpu_us for name, usage in bench.usage.items()}
    result["rss_mb"] = meter.rss_mb()
    return {name: round(value) if name.endswith("_eps") else value for name, value in result.items()}


def say(line: str) -> None:
    """Prints at once."""
    print(line, flush=True)


def table(result: Mapping[str, Any]) -> None:
    """Prints what was to be reached, and what was."""
    print(f"\n{'':16}{'measured':>12}{'to reach':>12}")
    for name, wanted in TARGETS.items():
        if name in result:
            sign = "<=" if name.endswith("_ms") else ">="
            met = result[name] <= wanted if sign == "<=" else result[name] >= wanted
            print(f"{name:16}{result[name]:>12}{sign + ' ' + str(wanted):>12}  {'yes' if met else 'NO'}")
    print(json.dumps(result))


async def main() -> None:
    """Starts the stack, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--ingest", type=int, default=min(os.cpu_count() or 1, 8), help="ingest processes, default one per core"
    )
    parser.add_argument("--seconds", type=float, default=18, help="of each measurement, in three turns")
    parser.add_argument("--only", default="", help="e.g. rest,grpc: only these, for profiling")
    arguments = parser.parse_args()
    say(f"load of the machine before: {', '.join(f'{load:.1f}' for load in os.getloadavg())}; {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="obc-bench-") as folder:
        settings = {**_NO_LIMITS, "ANALYTICS_DEV_INGEST_PROCESSES": str(arguments.ingest)}
        stack = StackProcess(Path(folder) / "state", settings)
        try:
            stack.start()
            demo = stack.state.read_demo_env()
            database = f"postgresql://postgres@127.0.0.1:{stack.ports['ANALYTICS_DEV_POSTGRES_PORT']}/analytics"
            product = Product(demo["OBC_URL"], demo["OBC_GRPC_INGEST"], demo["OBC_OPERATOR_KEY"], database)
            note = stack.state.read_note()
            assert note is not None
            table(await measure(product, UsageMeter(note.processes), arguments.seconds, arguments.only))
        finally:
            stack.stop()


if __name__ == "__main__":
    uvloop.run(main())
