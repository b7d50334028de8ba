"""`make bench-query EVENTS=10000000`: a question in the service, by hand on the same store, and in PostgreSQL.

Starts a PostgreSQL, stores seeded events by COPY, lets the shipped query process copy them into the embedded engine
with its own projector, and asks everything three ways, turn by turn, so that a busy machine is busy for all. What the
service answers is compared with what the other two say. The answer cache is off. Everything lives in a temporary folder
and is removed, unless `--store` names one to keep and to ask again. The last line is JSON.
"""

import argparse
import asyncio
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import query_database as database
from bench.query_measure import Measurement, measure
from bench.query_report import report
from bench.query_store import kept, load, query_process, wait_for_merges


@dataclass(frozen=True, slots=True)
class Arguments:
    """What is asked for on the command line."""

    events: int
    seed: int
    linked: bool
    store: Path | None
    only: tuple[str, ...]
    runs: int
    postgres: bool


def _arguments() -> Arguments:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--linked", action="store_true", help="users' devices are anonymous before they sign in")
    parser.add_argument("--store", type=Path, help="folder with the stores; filled when it is empty, and kept")
    parser.add_argument("--only", default="", help="begin of questions' names, several with commas: funnels,retention")
    parser.add_argument("--runs", type=int, default=15, help="how often everything is asked, beside once to warm up")
    parser.add_argument("--no-postgres", action="store_true", help="the service and the statements by hand only")
    given = parser.parse_args()
    only = tuple(name.strip() for name in given.only.split(",") if name.strip())
    return Arguments(given.events, given.seed, given.linked, given.store, only, given.runs, not given.no_postgres)


async def main() -> None:
    """Fills, waits, asks, prints."""
    arguments = _arguments()
    running = asyncio.current_task()
    assert running is not None  # this is one
    # Ended from outside it tidies up too: ten million events are a lot to leave behind.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    with _folder(arguments.store) as folder, database.postgres(folder) as dsn:
        store = kept(folder, arguments.events, arguments.seed, linked=arguments.linked)
        if store is None:
            store = await load(folder, dsn, arguments.events, arguments.seed, linked=arguments.linked)
        with query_process(folder, dsn) as process:
            await wait_for_merges(process)
            how = Measurement(arguments.only, arguments.runs, with_postgres=arguments.postgres)
            report(store, await measure(how, store, process, dsn), process)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    folder = Path(tempfile.mkdtemp(prefix="obc-bench-query-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    asyncio.run(main())
