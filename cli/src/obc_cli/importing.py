"""`obc import`: sends a file, shows how far it is, and goes on where it broke off.

Answers come in the order of the lines, so the number of the last answered line says it all. It is kept beside the file;
lines that were sent and not answered are sent again, which is safe: an event that is stored already is a duplicate.
"""

import asyncio
import gzip
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TextIO

import aiohttp
import orjson

from obc_cli.client import ApiFailure, Target, failure_of, unreachable

_BLOCK = 256 * 1024
_MOST_ATTEMPTS = 8
_LONGEST_PAUSE = 30.0
_PROGRESS_SECONDS = 1.0
# No total: a file may take hours. Ingest waits half a minute for its database at most.
_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=10, sock_read=90)


@dataclass(slots=True)
class ImportJob:
    """A file, and how far it is imported."""

    file: Path
    checkpoint: Path
    next_line: int = 1
    counts: Counter[str] = field(default_factory=Counter)

    def load(self) -> None:
        """Takes up what an earlier run left; another file of the same name begins anew."""
        if self.checkpoint.exists():
            kept = orjson.loads(self.checkpoint.read_bytes())
            if kept["file"] == self._identity():
                self.next_line, self.counts = kept["next_line"], Counter(kept["counts"])

    def save(self) -> None:
        """Writes it, whole or not at all."""
        kept = {"file": self._identity(), "next_line": self.next_line, "counts": dict(self.counts)}
        scratch = self.checkpoint.with_name(self.checkpoint.name + ".new")
        scratch.write_bytes(orjson.dumps(kept))
        scratch.replace(self.checkpoint)

    def _identity(self) -> list[Any]:
        status = self.file.stat()
        return [status.st_size, status.st_mtime_ns]


async def run_import(target: Target, job: ImportJob, out: TextIO, log: TextIO) -> int:
    """Imports; 0 when nothing was rejected, else 1. Rejected and dropped events go to `out`, progress to `log`.

    Raises:
        ApiFailure: refused, or not reachable for minutes; the checkpoint stays.
        OSError: the file cannot be read.
    """
    job.load()
    if job.next_line > 1:
        log.write(f"going on from line {job.next_line}\n")
    attempt = 0
    async with aiohttp.ClientSession(headers=target.headers, timeout=_TIMEOUT) as session:
        while True:
            before = job.next_line
            try:
                await _attempt(session, target.url, job, out, log)
                break
            except ApiFailure as failure:
                job.save()
                attempt = 1 if job.next_line > before else attempt + 1
                if not failure.temporary or attempt >= _MOST_ATTEMPTS:
                    raise
                pause = failure.retry_after or min(_LONGEST_PAUSE, 0.5 * 2**attempt)
                log.write(f"{failure}; going on from line {job.next_line} in {pause:g} s\n")
                await asyncio.sleep(pause)
    job.checkpoint.unlink(missing_ok=True)
    log.write(f"done: {_text(job)}\n")
    return 1 if job.counts["rejected"] else 0


async def _attempt(session: aiohttp.ClientSession, url: str, job: ImportJob, out: TextIO, log: TextIO) -> None:
    shown_at = time.monotonic()
    headers = {"Content-Type": "application/x-ndjson"}
    try:
        async with session.post(
            f"{url}/v1/import",
            params={"first_line": str(job.next_line)},
            data=_blocks(job.file, job.next_line),
            headers=headers,
        ) as answer:
            if answer.status >= 400:
                raise failure_of(answer.status, await answer.read(), answer.headers.get("Retry-After", ""))
            async for text in answer.content:
                line = orjson.loads(text)
                if "error" in line:
                    raise failure_of(line["error"]["code"], text)
                if "summary" in line:
                    job.next_line = line["summary"]["next_line"]
                    return
                job.next_line = line["line"] + 1
                job.counts[line["result"]] += 1
                if line["result"] in ("rejected", "dropped"):
                    out.write(text.decode())
                if time.monotonic() - shown_at >= _PROGRESS_SECONDS:
                    shown_at = time.monotonic()
                    job.save()
                    log.write(f"line {job.next_line - 1}: {_text(job)}\n")
    except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError) as error:
        raise unreachable(error) from error
    raise ApiFailure("the answer ended early", temporary=True)


async def _blocks(file: Path, first_line: int) -> AsyncIterator[bytes]:
    """The file from a line on."""
    with _opened(file) as content:
        skipped = 1
        while skipped < first_line and content.readline():
            skipped += 1
        while block := content.read(_BLOCK):
            yield block


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """The file's text, whatever it is packed in. Raises OSError."""
    if file.suffix == ".gz":
        with gzip.open(file, "rb") as unpacked:
            yield unpacked
    elif file.suffix == ".zst":
        try:
            import zstandard
        except ImportError:
            raise OSError("reading .zst needs the package zstandard") from None
        with zstandard.open(file, "rb") as unpacked_frames:
            yield unpacked_frames
    else:
        with file.open("rb") as plain:
            yield plain


def _text(job: ImportJob) -> str:
    return ", ".join(f"{job.counts[name]} {name}" for name in ("accepted", "duplicate", "dropped", "rejected"))
