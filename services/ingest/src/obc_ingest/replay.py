"""Judges bad rows again after their cause was fixed, by the tenant's rules and the limits of now.

A row's event is as old or as new as it was when it was received, so waiting for the fix costs it nothing; it is stored
with the moment of the replay as `received_at`, for that is when it came in, and its id is remembered from then on. What
was scrubbed from the row stays scrubbed. The ledger of ids makes the whole thing idempotent: should the process end
after the events are stored and before their rows are closed, the next replay finds duplicates and closes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from obc_common.clock import Clock
from obc_common.context import RequestInfo
from obc_ingest.evaluation import Evaluation
from obc_ingest.ingestor import Ingestor
from obc_ingest.model import EventResult, Outcome, Rejected
from obc_ingest.replay_store import KeptRow, ReplayStore, RowFilter
from obc_ingest.scrub import REDACTED
from obc_ingest.validate import Reception

MAX_ROWS = 1000
_WAY = "replay"
_IDENTITIES = ("event_id", "user_id", "anonymous_id", "session_id")


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one row. `outcome` None: nothing was done, `code` says why."""

    id: int
    event_id: str
    outcome: Outcome | None
    code: str = ""
    field: str = ""
    message: str = ""


class Replayer:
    """Replays bad rows.

    Args:
        ingestor: judges and stores.
        rows: reads and closes rows.
        clock: when the event is received now.
    """

    def __init__(self, ingestor: Ingestor, rows: ReplayStore, clock: Clock) -> None:
        self._ingestor = ingestor
        self._rows = rows
        self._clock = clock

    async def replay_ids(self, tenant_id: str, ids: Sequence[int]) -> list[Replayed]:
        """Replays these rows; one result per id, in order. Raises Unavailable: the same ids may be replayed again."""
        found = await self._rows.by_ids(tenant_id, ids)
        done = await self._replay(tenant_id, [row for row in found.values() if not row.replayed])
        return [done.get(one) or _untouched(one, found.get(one)) for one in ids]

    async def replay_matching(
        self, tenant_id: str, wanted: RowFilter, after_id: int, most: int
    ) -> tuple[list[Replayed], int | None]:
        """Replays open rows behind an id, oldest first; their results, and the last id when there may be more.

        Raises:
            Unavailable: the same call may be made again.
        """
        rows = await self._rows.by_filter(tenant_id, wanted, after_id, most)
        done = await self._replay(tenant_id, rows)
        return [done[row.id] for row in rows], rows[-1].id if len(rows) == most else None

    async def _replay(self, tenant_id: str, rows: Sequence[KeptRow]) -> dict[int, Replayed]:
        whole = [row for row in rows if not row.truncated]
        done = {row.id: _skipped(row, "truncated", "the row is not whole") for row in rows if row.truncated}
        if not whole:
            return done
        now = self._clock.now_ms()
        evaluation = await self._ingestor.evaluation(Reception(tenant_id, now, 0, 0), RequestInfo(), live=False)
        for row in whole:
            _judge(row, evaluation)
        for event in evaluation.events:
            event.received_at_ms = now
        # A row that is bad for the same reason as before stays as it is: no second one is needed.
        code_before = {row.id: row.code for row in whole}
        still_bad = {row.replay_of for row in evaluation.bad_rows if code_before[row.replay_of] == row.code}
        evaluation.bad_rows = [row for row in evaluation.bad_rows if row.replay_of not in still_bad]
        results = await self._ingestor.store(evaluation, _WAY)
        await self._rows.close(
            tenant_id,
            [(r.id, result.outcome) for r, result in zip(whole, results, strict=True) if r.id not in still_bad],
        )
        done.update((row.id, _result(row, result)) for row, result in zip(whole, results, strict=True))
        return done


def _judge(row: KeptRow, evaluation: Evaluation) -> None:
    """Judges a row as of when it was received."""
    evaluation.turn_to(row.received_at_ms, row.sdk, row.id)
    try:
        evaluation.take(_event_of(row))
    except Rejected as rejected:
        evaluation.reject(orjson.loads(row.body), rejected)


def _event_of(row: KeptRow) -> Any:
    """The event that a body means. Raises Rejected for one that scrubbing has taken the person out of."""
    raw = orjson.loads(row.body)
    if row.code in ("bad_json", "bad_encoding"):
        raise Rejected(row.code, row.field, "the line was no JSON, and so it stays")
    if type(raw) is not dict:
        return raw
    for name in _IDENTITIES:
        value = raw.get(name)
        if type(value) is str and REDACTED in value:
            raise Rejected("redacted_id", name, f"{name} was personal data and is not kept: send the event again")
    # What is redacted whole says nothing any more: no user agent is better than this one.
    if raw.get("user_agent") == REDACTED:
        del raw["user_agent"]
    return raw


def _result(row: KeptRow, result: EventResult) -> Replayed:
    return Replayed(row.id, result.event_id, result.outcome, result.code, result.field, result.message)


def _untouched(row_id: int, row: KeptRow | None) -> Replayed:
    if row is None:
        return Replayed(row_id, "", None, "not_found", message="there is no such bad row")
    return _skipped(row, "already_replayed", "the row was replayed before")


def _skipped(row: KeptRow, code: str, message: str) -> Replayed:
    return Replayed(row.id, row.event_id, None, code, message=message)
