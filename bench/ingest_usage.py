"""What each process of the stack spends while events come in."""

from collections.abc import Mapping
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Usage:
    """Microseconds of CPU per event, by process."""

    cpu_us: dict[str, float]

    def line(self) -> str:
        """For people."""
        parts = ", ".join(f"{name} {spent:g}" for name, spent in self.cpu_us.items())
        return f"  CPU us per event: {parts}; together {sum(self.cpu_us.values()):.0f}"


class UsageMeter:
    """Reads processes and, for PostgreSQL, their children.

    Args:
        pids: of the processes, by name.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._before: dict[str, float] = {}

    def start(self) -> None:
        """Begins a measurement."""
        self._before = self._cpu()

    def stop(self, events: int, loader_cpu: float) -> Usage:
        """Ends it; `loader_cpu` are the seconds that the load generator says it spent."""
        spent = {name: now - self._before[name] for name, now in self._cpu().items()}
        spent["load"] = loader_cpu
        return Usage({name: round(1e6 * seconds / max(events, 1), 1) for name, seconds in spent.items()})

    def rss_mb(self) -> dict[str, int]:
        """Resident memory by process; of PostgreSQL what its processes share is counted once."""
        result = {}
        for name, pid in self._pids.items():
            process = psutil.Process(pid)
            own = process.memory_info().rss
            children = sum(max(0, i.rss - i.shared) for i in (c.memory_info() for c in process.children()))
            result[name] = round((own + children) / 2**20)
        return result

    def _cpu(self) -> dict[str, float]:
        return {name: _cpu_of(psutil.Process(pid)) for name, pid in self._pids.items()}


def _cpu_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in process.children(recursive=True):
        try:
            own = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += own.user + own.system
    return float(total)
