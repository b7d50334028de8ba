"""A process that sends events as fast as they are taken, or at a given rate, and prints what it saw as JSON.

With a rate, batches are due at random moments (Poisson) that do not depend on answers, and their time is counted from
the moment they were due: a service that stalls is charged for every batch that had to wait (no coordinated omission).

    python -m bench.ingest_load rest http://127.0.0.1:8000 <key> --lanes 16 --size 50 --seconds 15 [--rate 5000]
"""

import argparse
import asyncio
import gc
import json
import random
import resource
import time
from dataclasses import asdict, dataclass, field

import uvloop

from bench.ingest_ways import WAYS, Lane, Refused, open_lanes

_SEED = 20_240_601


@dataclass
class Report:
    """What happened.

    Attributes:
        events: acknowledged.
        seconds: from the first send to the last acknowledgement.
        refused: batches that were not accepted whole, with their first answers.
        p50_ms, p99_ms, max_ms: from when a batch was due (or sent, without a rate) to its acknowledgement.
        cpu_seconds: of this process.
    """

    events: int = 0
    seconds: float = 0.0
    refused: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0
    cpu_seconds: float = 0.0
    answers: list[str] = field(default_factory=list)


class Load:
    """Sends on all lanes.

    Args:
        lanes: open connections.
        size: events of a batch.
    """

    def __init__(self, lanes: list[Lane], size: int) -> None:
        self._lanes = lanes
        self._size = size
        self._report = Report()
        self._waits: list[float] = []

    async def run(self, seconds: float, rate: float) -> Report:
        """Sends for that many seconds; `rate` in events per second, 0 = as fast as possible."""
        started = time.perf_counter()
        cpu = _cpu()
        if rate:
            await self._at_rate(seconds, rate / self._size)
        else:
            end = started + seconds
            await asyncio.gather(*(self._until(lane, end) for lane in self._lanes for _ in range(lane.window)))
        report = self._report
        report.seconds = time.perf_counter() - started
        report.cpu_seconds = _cpu() - cpu
        self._waits.sort()
        if self._waits:
            report.p50_ms, report.p99_ms, report.max_ms = (
                round(1000 * self._waits[min(int(len(self._waits) * share), len(self._waits) - 1)], 2)
                for share in (0.5, 0.99, 1.0)
            )
        return report

    async def _until(self, lane: Lane, end: float) -> None:
        while (now := time.perf_counter()) < end:
            await self._send(lane, now)

    async def _at_rate(self, seconds: float, batches_per_second: float) -> None:
        due: asyncio.Queue[float | None] = asyncio.Queue()
        workers = [asyncio.create_task(self._serve(lane, due)) for lane in self._lanes for _ in range(lane.window)]
        chance = random.Random(_SEED)
        at = time.perf_counter()
        end = at + seconds
        while at < end:
            at += chance.expovariate(batches_per_second)
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            due.put_nowait(at)
        for _ in workers:
            due.put_nowait(None)
        await asyncio.gather(*workers)

    async def _serve(self, lane: Lane, due: "asyncio.Queue[float | None]") -> None:
        while (at := await due.get()) is not None:
            await self._send(lane, at)

    async def _send(self, lane: Lane, at: float) -> None:
        try:
            await lane.send()
        except (Refused, TimeoutError) as error:
            self._report.refused += 1
            if len(self._report.answers) < 3:
                self._report.answers.append(f"{type(error).__name__}: {error}")
            await asyncio.sleep(0.1)
        else:
            self._report.events += self._size
            self._waits.append(time.perf_counter() - at)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def main() -> None:
    """Runs one load."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("target", help="the gateway's URL, or for grpc the target of ingest")
    parser.add_argument("key", help="a write or secret key")
    parser.add_argument("--lanes", type=int, default=16, help="connections, sockets or streams")
    parser.add_argument("--size", type=int, default=50, help="events of a batch")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--rate", type=float, default=0, help="events per second; 0 = as fast as possible")
    arguments = parser.parse_args()
    async with open_lanes(arguments.way, arguments.target, arguments.key, arguments.lanes, arguments.size) as lanes:
        gc.freeze()
        report = await Load(lanes, arguments.size).run(arguments.seconds, arguments.rate)
    print(json.dumps(asdict(report)))


if __name__ == "__main__":
    uvloop.run(main())
