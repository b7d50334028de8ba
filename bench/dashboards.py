"""`make bench-dashboards EVENTS=2500000`: 50 viewers of 5 tenants, without and with heavy funnels of one of them.

Everything goes over gRPC to the shipped query process, with the answer cache off. A viewer opens a dashboard (the
standing one and two trends at the same time), waits for all of it, and opens the next one of another range, after a
pause if `--pause` says so. Measured in turns: each tenant's ten viewers with nobody else; all 50, which is what "alone"
means for the ratio that must stay under 2; all 50 while eight callers of the largest tenant ask funnels without pause.
Its own viewers are shown, and not judged. A question may take minutes here, and a tenant may have more of them waiting
than by default, so that nothing is left out. The last line is JSON.
"""

import argparse
import asyncio
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from bench import query_database as database
from bench.dashboard_viewers import Load, look
from bench.query_service import SECRET, QueryProcess
from bench.query_store import wait_for_merges, wait_for_rows
from bench.query_traffic import BIG_TENANT, TENANTS, Traffic
from obc_common.clients import QueryClient
from obc_common.identity import IdentityMinter
from obc_dev.servers.ports import free_ports

PATIENCE = {"query_timeout_seconds": "300", "tenant_waiting_questions": "100"}
_DAY_MS = 86_400_000
_DAYS = 30
_VIEWED = TENANTS
_VIEWERS_EACH = 10
_FUNNEL_CALLERS = 8
_ALLOWED = 2.0


@dataclass(slots=True)
class Compared:
    """The same viewers in three situations: a tenant's own only, all of them, and all of them beside funnels."""

    single: Load = field(default_factory=Load)
    alone: Load = field(default_factory=Load)
    crowded: Load = field(default_factory=Load)


async def main() -> None:
    """Fills, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--events", type=int, default=2_500_000, help="of all; 60 percent are of the tenant with the funnels"
    )
    add_arguments(parser)
    arguments = parser.parse_args()
    running = asyncio.current_task()
    assert running is not None  # this is one
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    folder = Path(tempfile.mkdtemp(prefix="obc-bench-dashboards-"))
    try:
        with database.postgres(folder) as dsn:
            until = int(time.time() * 1000) // 60_000 * 60_000
            await database.prepare(dsn, datetime.now(UTC) - timedelta(days=_DAYS + 1))
            start = until - _DAYS * _DAY_MS
            traffic = Traffic(arguments.events, arguments.seed, start, until, linked=False)
            await database.load(dsn, traffic.lines(arguments.events, start, until))
            process = QueryProcess(folder, dsn, free_ports(1)[0], **PATIENCE)
            try:
                await wait_for_rows(process, arguments.events)
                await wait_for_merges(process)
                compared = await measure(process.port, until, arguments)
            finally:
                process.stop()
        report(arguments.events, compared)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `measure` can be told."""
    parser.add_argument("--seconds", type=float, default=20.0, help="in which the views of a phase begin")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--pause", type=float, default=0.0, help="mean seconds between two views of a viewer")
    parser.add_argument("--seed", type=int, default=7)


async def measure(port: int, until: int, arguments: argparse.Namespace) -> Compared:
    """All situations, turn by turn."""
    client = QueryClient(f"127.0.0.1:{port}", IdentityMinter(SECRET, "bench"))
    everyone = [tenant for tenant in _VIEWED for _ in range(_VIEWERS_EACH)]
    compared = Compared()

    async def phase(load: Load, viewers: list[str], heavy: list[str], seconds: float, turn: int) -> None:
        await look(
            client, load, viewers=viewers, heavy=heavy, until=until, seconds=seconds, pause=arguments.pause,
            seed=arguments.seed + turn,
        )  # fmt: skip

    try:
        await phase(Load(), everyone, [], 1.0, 0)  # warms up
        for turn in range(arguments.turns):
            for tenant in _VIEWED:
                await phase(compared.single, [tenant] * _VIEWERS_EACH, [], arguments.seconds / 4, turn)
            await phase(compared.alone, everyone, [], arguments.seconds, turn)
            await phase(compared.crowded, everyone, [BIG_TENANT] * _FUNNEL_CALLERS, arguments.seconds, turn)
            print(f"turn {turn + 1} of {arguments.turns}", file=sys.stderr, flush=True)
    finally:
        await client.close()
    return compared


def report(events: int, compared: Compared) -> None:
    """Prints what was found; the ratios count."""
    cores = len(os.sched_getaffinity(0))
    print(f"\n{events:,} events over {_DAYS} days, {_VIEWERS_EACH} viewers of each tenant, {cores} cores")
    print("p50 / p95 of a view in ms")
    print(f"{'tenant':<8}{'its viewers only':>20}{'all 50':>18}{'all 50 + funnels':>20}{'p95 ratio':>11}{'views':>12}")
    loads = (compared.single, compared.alone, compared.crowded)
    worst = 0.0
    for number, tenant in enumerate(_VIEWED, 1):
        levels = [_levels(load.views[tenant]) for load in loads]
        ratio = levels[2][1] / levels[1][1]
        if tenant != BIG_TENANT:
            worst = max(worst, ratio)
        single, alone, crowded = (f"{p50 * 1000:.0f} / {p95 * 1000:.0f}" for p50, p95 in levels)
        counts = "/".join(str(len(load.views[tenant])) for load in loads)
        print(f"{number:<8}{single:>20}{alone:>18}{crowded:>20}{ratio:>11.2f}{counts:>12}")
    funnels = compared.crowded.funnels
    if funnels:
        print(f"{len(funnels)} funnels meanwhile, p50 {statistics.median(funnels) * 1000:.0f} ms")
    failures = compared.single.failures + compared.alone.failures + compared.crowded.failures
    print(f"refused or failed: {dict(failures) or 'nothing'}")
    print(orjson.dumps({"worst_p95_ratio": round(worst, 2), "holds": worst <= _ALLOWED and not failures}).decode())


def _levels(seconds: list[float]) -> tuple[float, float]:
    """The median and the 95th percentile."""
    return statistics.median(seconds), statistics.quantiles(seconds, n=20, method="inclusive")[-1]


if __name__ == "__main__":
    asyncio.run(main())
