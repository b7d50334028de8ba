"""What a job is, and what it is given to work with."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from obc_common.postgres import Connection


class LeaseLostError(Exception):
    """Somebody else has the job, or nobody: this process may change nothing of it any more."""


class StoppedError(Exception):
    """The process ends; the job goes on elsewhere, from its last transaction."""


@dataclass(frozen=True, slots=True, order=True)
class JobKey:
    """One share of a job: what one worker does at a time.

    Attributes:
        job: the job's name.
        shard: which share of it.
    """

    job: str
    shard: str


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a share until it expires or is claimed by another.

    Attributes:
        key: what it is for.
        fence_token: grows with every claim; an older one is worth nothing.
        attempts: begun since the last success, this one included.
        last_error: why the attempt before failed; empty = it did not say.
        progress: where the share was left.
    """

    key: JobKey
    fence_token: int
    attempts: int
    last_error: str
    progress: str


class Work(Protocol):
    """What a job does its work through. Everything it changes, it changes inside `transaction`."""

    @property
    def shard(self) -> str:
        """Which share is to be done."""
        ...

    @property
    def progress(self) -> str:
        """What the share's last worker saved."""
        ...

    def read(self) -> AbstractAsyncContextManager[Connection]:
        """A connection to find out what is to be done. It holds no lease, and so needs no transaction id: the read
        model waits for every open one. What it finds may be out of date when it is acted on.

        Raises StoppedError.
        """
        ...

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """A transaction that holds the lease: it commits only if nobody else has claimed the job before.

        To be short: a bounded batch. Raises LeaseLostError and StoppedError; a job lets both pass.
        """
        ...

    async def save_progress(self, connection: Connection, progress: str) -> None:
        """Remembers where to go on, with the transaction."""
        ...


class Job(Protocol):
    """A job: run again and again, by any worker, in any order, any number of times; done twice is done once."""

    @property
    def name(self) -> str:
        """Its name; a label of metrics."""
        ...

    @property
    def shards(self) -> Sequence[str]:
        """Its shares."""
        ...

    async def run(self, work: Work) -> None:
        """Does everything that is to be done now. Raises whatever goes wrong."""
        ...
