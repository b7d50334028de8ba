"""Stores one flush, whatever is in it: repeated ids, rows that PostgreSQL refuses, transactions that lose a race."""

import asyncio
import random
from collections.abc import Sequence

import asyncpg
import orjson

from obc_common.logs import get_logger
from obc_ingest.metrics import FINGERPRINT_MISMATCHES, FLUSH_RETRIES, POISON_ROWS
from obc_ingest.model import BadRow, Event, Outcome, Rejected
from obc_ingest.store import EventStore, is_missing_partition, key_of

_log = get_logger(__name__)

_MAX_TRIES = 4
_FIRST_BACKOFF = 0.01

# The data's fault, not the database's: SQLSTATE classes 22 and 23, and what asyncpg cannot even encode.
_DATA_FAULTS = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    ValueError,
    TypeError,
    OverflowError,
)
_RACES = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)

Verdict = Outcome | Rejected
"""What became of one event that was to be stored: ACCEPTED, DUPLICATE, or why PostgreSQL refused it."""


class Flusher:
    """Turns a list of events into a list of verdicts, by as many transactions as it takes (nearly always one)."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def flush(self, events: Sequence[Event], bad_rows: Sequence[BadRow]) -> list[Verdict]:
        """Stores everything; one verdict per event, in input order.

        Raises:
            asyncpg.PostgresError, asyncpg.InterfaceError, OSError: the database is not well. Some of the events may be
                stored; all may be sent again.
        """
        keys = [key_of(event) for event in events]
        if len(set(keys)) == len(keys):  # nearly always: no id is there twice
            judged = await self._commit(sorted(events, key=key_of), bad_rows)
            return [judged[key] for key in keys]
        verdicts: dict[int, Verdict] = {}
        pending: Sequence[int] = range(len(events))
        while pending or bad_rows:
            leaders: dict[str, int] = {}
            followers: list[int] = []
            for index in pending:
                # The first of an id is stored, the others are its duplicates.
                if leaders.setdefault(key_of(events[index]), index) != index:
                    followers.append(index)
            judged = await self._commit([events[leaders[key]] for key in sorted(leaders)], bad_rows)
            bad_rows = ()
            for key, index in leaders.items():
                verdicts[index] = judged[key]
            pending = []
            for index in followers:
                leader = leaders[key_of(events[index])]
                if isinstance(verdicts[leader], Rejected):
                    pending.append(index)  # its id is still free, and its payload may be another
                else:
                    verdicts[index] = Outcome.DUPLICATE
                    _compare(events[index], events[leader].fingerprint)
        return [verdicts[index] for index in range(len(events))]

    async def _commit(self, events: Sequence[Event], bad_rows: Sequence[BadRow]) -> dict[str, Verdict]:
        try:
            return await self._transaction(events, bad_rows)
        except _DATA_FAULTS as error:
            _log.warning("flush_has_bad_data", error=type(error).__name__, events=len(events), bad_rows=len(bad_rows))
        verdicts = await self._bisect(events) if events else {}
        for row in bad_rows:
            await self._keep_bad_row(row)
        return verdicts

    async def _bisect(self, events: Sequence[Event]) -> dict[str, Verdict]:
        """Finds the rows that PostgreSQL refuses, in about log2(n) transactions each; all others are stored."""
        verdicts: dict[str, Verdict] = {}
        middle = (len(events) + 1) // 2
        for half in (events[:middle], events[middle:]):
            if not half:
                continue
            try:
                verdicts.update(await self._transaction(half, ()))
            except _DATA_FAULTS as error:
                if len(half) > 1:
                    verdicts.update(await self._bisect(half))
                else:
                    verdicts[key_of(half[0])] = await self._reject(half[0], error)
        return verdicts

    async def _transaction(self, events: Sequence[Event], bad_rows: Sequence[BadRow]) -> dict[str, Verdict]:
        """One commit, tried again when it lost a race or its month's partition is gone."""
        for attempt in range(1, _MAX_TRIES + 1):
            try:
                stored_before = await self._store.commit(events, bad_rows)
                break
            except _RACES:
                if attempt == _MAX_TRIES:
                    raise
                FLUSH_RETRIES.inc()
                backoff = _FIRST_BACKOFF * 2**attempt
                await asyncio.sleep(backoff * random.uniform(0.5, 1.5))  # noqa: S311  # jitter, no secret
            except asyncpg.CheckViolationError as error:
                if attempt > 1 or not is_missing_partition(error):
                    raise
                self._store.forget_partitions()
        verdicts: dict[str, Verdict] = dict.fromkeys(map(key_of, events), Outcome.ACCEPTED)
        if stored_before:
            for event in events:
                key = key_of(event)
                if key in stored_before:
                    verdicts[key] = Outcome.DUPLICATE
                    _compare(event, stored_before[key])
        return verdicts

    async def _reject(self, event: Event, error: Exception) -> Rejected:
        """A row that passed validation and that PostgreSQL refuses: a gap in our validation, so it is said loudly."""
        POISON_ROWS.inc()
        _log.error("poison_row", error=type(error).__name__, event_id=event.event_id, tenant_id=event.tenant_id)
        rejected = Rejected("internal", "", "the event could not be stored")
        await self._keep_bad_row(_poison(event, rejected, error))
        return rejected

    async def _keep_bad_row(self, row: BadRow) -> None:
        try:
            await self._transaction((), (row,))
        except _DATA_FAULTS as error:
            # A bad row is there to help; one that cannot be stored must not hold up the events around it.
            POISON_ROWS.inc()
            _log.error("bad_row_lost", error=type(error).__name__, code=row.code, tenant_id=row.tenant_id)


def _compare(event: Event, stored_fingerprint: int) -> None:
    if event.fingerprint != stored_fingerprint:
        FINGERPRINT_MISMATCHES.inc()


def _poison(event: Event, rejected: Rejected, error: Exception) -> BadRow:
    """The event as it was to be stored: scrubbed, hashed and stripped already."""
    body = {
        "event_id": event.event_id,
        "event_name": event.event_name,
        "event_category": event.event_category,
        "user_id": event.user_id,
        "anonymous_id": event.anonymous_id,
        "session_id": event.session_id,
        "properties": event.properties,
        "timestamp": event.timestamp_ms,
        "page_url": event.page_url,
        "referrer": event.referrer,
        "device_info": event.device_info,
        "correlation_id": event.correlation_id,
    }
    return BadRow(
        tenant_id=event.tenant_id,
        received_at_ms=event.received_at_ms,
        code=rejected.code,
        field=rejected.field,
        message=f"{rejected.message}: {type(error).__name__}",
        sdk="",
        event_id=event.event_id,
        body=orjson.dumps(body)[:65_536],
        truncated=False,
    )
