"""Measures of every process while it works: memory, descriptors, threads, queues, lag."""

import asyncio
import math
import time
from collections import defaultdict
from dataclasses import dataclass, field

import psutil

from tests.support.chaos.stack import BrokenStack
from tests.support.soak.trend import trend

_MIB = 1024 * 1024
_REST_SECONDS = 60.0
# What may be added after the warm-up. The engine in query keeps parts and marks in memory and merges them in waves.
_ALLOWED = {"memory MiB": 16.0, "descriptors": 8.0, "threads": 4.0, "processes": 2.0}
_ALLOWED_OF = {
    ("query", "memory MiB"): 96.0,
    ("query", "descriptors"): 200.0,  # files of parts, open while it merges
    ("query", "threads"): 64.0,  # its pools grow to their size when it is busy
    ("postgres", "memory MiB"): 32.0,
}
_GAUGES = {
    ("ingest", "queue events"): ("obc_ingest_queue_events", 1000.0),
    ("ingest", "streams"): ("obc_ingest_streams", 4.0),
    ("query", "lag s"): ("obc_query_read_model_lag_seconds", 1.0),
    ("query", "live subscribers"): ("obc_query_live_subscribers", 4.0),
    ("gateway", "requests"): ("obc_gateway_http_requests_in_flight", 16.0),
    ("gateway", "sockets"): ("obc_gateway_sockets", 4.0),
}

Key = tuple[str, str]


@dataclass(slots=True)
class Samples:
    """Points by (process, measure)."""

    stack: BrokenStack
    points: dict[Key, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    rested: dict[Key, float] = field(default_factory=dict)
    pids: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    async def take(self) -> None:
        """One sample of everything."""
        now = time.monotonic()
        for key, value in (await self._measure()).items():
            self.points[key].append((now, value))

    async def rest(self) -> None:
        """What is left of everything once the load has ended. Who merges ever larger parts takes ever more for it, and
        gives it back; what leaks does not come back.
        """
        await asyncio.sleep(_REST_SECONDS)
        self.rested = await self._measure()

    async def _measure(self) -> dict[Key, float]:
        values: dict[Key, float] = {}
        for name in self.stack.names:
            pid = self.stack.pid(name)
            if pid is None:
                continue
            self.pids[name].add(pid)
            for measure, value in _of_process(name, psutil.Process(pid)).items():
                values[name, measure] = value
        for process in {process for process, _ in _GAUGES}:
            metrics = await self.stack.metrics(process)
            for (owner, measure), (gauge, _) in _GAUGES.items():
                if owner == process and gauge in metrics:
                    values[owner, measure] = metrics[gauge]
        return values

    def judge(self) -> tuple[str, list[str]]:
        """A table for the reader, and what is wrong."""
        lines = [f"{'process':<14}{'measure':<18}{'begin':>10}{'end':>10}{'growth':>10}{'at rest':>10}{'allowed':>10}"]
        wrong = [f"{name} was started {len(pids)} times" for name, pids in self.pids.items() if len(pids) > 1]
        for (process, measure), points in sorted(self.points.items()):
            if len(points) < 10:
                wrong.append(f"only {len(points)} samples of {process}'s {measure}")
                continue
            found, allowed = trend(points), _allowed(process, measure)
            rested = self.rested.get((process, measure), math.inf)
            too_much = found.growth > allowed and rested - found.begin > allowed
            lines.append(
                f"{process:<14}{measure:<18}{found.begin:>10.1f}{found.end:>10.1f}{found.growth:>+10.2f}{rested:>10.1f}{allowed:>10.1f}"
                + ("  GROWS" if too_much else "")
            )
            if too_much:
                wrong.append(f"{process}'s {measure} grows by {found.growth:.2f} (allowed {allowed:g})")
        return "\n".join(lines), wrong


def _allowed(process: str, measure: str) -> float:
    if (process, measure) in _GAUGES:
        return _GAUGES[process, measure][1]
    return _ALLOWED_OF.get((process, measure), _ALLOWED[measure])


def _of_process(name: str, process: psutil.Process) -> dict[str, float]:
    if name != "postgres":
        with process.oneshot():
            return {
                "memory MiB": process.memory_info().rss / _MIB,
                "descriptors": process.num_fds(),
                "threads": process.num_threads(),
            }
    # Its processes share most of what they hold: what counts is each one's own, and how many there are.
    own = []
    for one in (process, *process.children()):
        try:
            own.append(one.memory_full_info().uss / _MIB)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return {"memory MiB": sum(own), "processes": len(own)}
