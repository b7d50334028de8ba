"""The projector's log, in the read model itself: what is about to be inserted, and what was."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from obc_query.schema import LOG_SLOTS
from obc_query.warehouse import Handle

_READ = """
SELECT state, batch, lo, hi, token, tenants, generation, source
FROM projection_log WHERE batch >= {after:UInt64} ORDER BY batch, state
"""
_WRITE = """
INSERT INTO projection_log (state, slot, batch, lo, hi, token, tenants, generation, source) VALUES
({state:String}, {slot:UInt16}, {batch:UInt64}, {lo:UInt64}, {hi:UInt64}, {token:String}, {tenants:Array(UUID)},
 {generation:String}, {source:String})
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """A range of transaction ids that is inserted as one.

    Attributes:
        number: counts up by one.
        lo: first transaction id, inclusive.
        hi: last, exclusive.
        token: the engine drops a second insert with it (a connection that is tried again).
        tenants: whose rows it holds.
        generation: id of the store's life since it was made.
        source: identity of the PostgreSQL database.
    """

    number: int
    lo: int
    hi: int
    token: str
    tenants: tuple[str, ...]
    generation: str
    source: str


@dataclass(frozen=True, slots=True)
class LogTail:
    """The newest entries.

    Attributes:
        done: the last batch that is said to be in, if it is the newest or the one before; None = none.
        open: a batch after it that may be in, in part or not at all; None = none.
    """

    done: Batch | None
    open: Batch | None


def read_tail(handle: Handle) -> LogTail:
    """Where the log ends. Blocking."""
    newest = handle.query("SELECT max(batch) FROM projection_log")[0][0]
    done: Batch | None = None
    intent: Batch | None = None
    for state, batch in _read(handle, max(0, int(newest) - 1)):
        if state == "done":
            done = batch
        else:
            intent = batch
    if intent is not None and (done is None or intent.number > done.number):
        return LogTail(done, intent)
    return LogTail(done, None)


def read_done_after(handle: Handle, number: int) -> list[Batch]:
    """Batches done after one, oldest first, as far back as the log's ring goes. Blocking."""
    return [batch for state, batch in _read(handle, number + 1) if state == "done"]


def write_intent(handle: Handle, batch: Batch) -> None:
    """Says that a batch is about to be inserted, and so that all before it are in. Blocking."""
    _write(handle, "intent", batch)


def write_done(handle: Handle, batch: Batch) -> None:
    """Says that a batch is in. Blocking."""
    _write(handle, "done", batch)


def _read(handle: Handle, after: int) -> Sequence[tuple[str, Batch]]:
    return [
        (state, Batch(number, lo, hi, token, tuple(str(tenant) for tenant in tenants), generation, source))
        for state, number, lo, hi, token, tenants, generation, source in handle.query(_READ, {"after": after})
    ]


def _write(handle: Handle, state: str, batch: Batch) -> None:
    handle.command(
        _WRITE,
        {
            "state": state,
            "slot": batch.number % LOG_SLOTS,
            "batch": batch.number,
            "lo": batch.lo,
            "hi": batch.hi,
            "token": batch.token,
            "tenants": [uuid.UUID(tenant) for tenant in batch.tenants],
            "generation": batch.generation,
            "source": batch.source,
        },
    )
