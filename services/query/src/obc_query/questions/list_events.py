"""ListEvents: the read model finds a page of keys, PostgreSQL tells what they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from obc_common.errors import InvalidArgument
from obc_common.postgres import Pool, map_postgres_error, tenant_transaction
from obc_query.asker import Asker
from obc_query.comparison import Comparison, condition
from obc_query.engine import Row
from obc_query.moments import moment, unix_ms
from obc_query.questions.expressions import EVENT_MS
from obc_query.statement import Binder, Events, Select, Statement

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
# Well under what one gRPC message may hold; a page of large events ends early.
_MAX_PAGE_BYTES = 8 << 20
_ROW_BYTES = 2048  # everything but properties and addresses, at most
_DAY_MS = 24 * 3_600_000
# Each look reads about eight times what the one before did, so looking in vain costs a seventh at most.
_LOOK_BACK_DAYS = (1, 8, 64)

# event_time is kept to the microsecond, keys to the millisecond. Each row is looked up by itself (LIMIT keeps it that
# way): joined, the planner takes the range for many rows and reads whole partitions. Rows that are gone (erased,
# expired) since they were found are left out.
_HYDRATE = """
SELECT e.*
FROM unnest($2::timestamptz[], $3::uuid[]) WITH ORDINALITY AS k (at, event_id, position)
CROSS JOIN LATERAL (
    SELECT event_id, event_name, event_category, user_id, anonymous_id, session_id, properties, "timestamp",
           event_time, received_at, skew_ms, page_url, referrer, user_agent, device_info, correlation_id, sample_rate
    FROM analytics_events
    WHERE tenant_id = $1 AND event_id = k.event_id
      AND event_time >= k.at AND event_time < k.at + interval '1 millisecond'
    LIMIT 1
) AS e
ORDER BY k.position
"""


@dataclass(frozen=True, slots=True)
class EventKey:
    """Where an event is in the list: newest first, then by id."""

    event_time_ms: int
    event_id: UUID


@dataclass(frozen=True, slots=True)
class ListQuestion:
    """A page of events.

    Attributes:
        start_ms: first event_time, inclusive; None = no bound.
        end_ms: last event_time, exclusive; None = no bound.
        equals: event columns and the one value each must have.
        filters: further conditions.
        page_size: most events; 1 to MAX_PAGE_SIZE.
        after: the last key of the page before; None = first page.
        newer_than: the first key of the page behind, when paging back: the events next to it that are newer. Not with
            `after`.
    """

    start_ms: int | None
    end_ms: int | None
    equals: Sequence[tuple[str, str]]
    filters: Sequence[Comparison]
    page_size: int
    after: EventKey | None
    newer_than: EventKey | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events as PostgreSQL has them, newest first.

    Attributes:
        rows: the events.
        next_after: behind which older ones follow; None = end.
        newer_than: before which there are newer ones on this way of paging; None = no.
    """

    rows: Sequence["asyncpg.Record"]
    next_after: EventKey | None
    newer_than: EventKey | None = None


def page_size_of(requested: int) -> int:
    """The page size to use: 0 = default, too large = the largest. Raises InvalidArgument(BAD_PAGE_SIZE) below 0."""
    if requested < 0:
        raise InvalidArgument("BAD_PAGE_SIZE", "the page size must not be negative", field="page_size")
    return min(requested or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def keys_statement(tenant_id: str, question: ListQuestion, *, since_ms: int | None = None) -> Statement:
    """Finds the keys of a page and one more, which tells whether there is a next page.

    Args:
        tenant_id: whose.
        question: which page.
        since_ms: looks no further back than this, beside the question's own bounds.
    """
    binder = Binder()
    where = [f"{column} = {binder.bind(value, 'String')}" for column, value in question.equals]
    where += [condition(item, binder) for item in question.filters]
    if question.after is not None:
        at = binder.moment(question.after.event_time_ms)
        event_id = binder.bind(question.after.event_id, "UUID")
        where.append(f"event_time < {at} OR (event_time = {at} AND event_id < {event_id})")
    end = question.end_ms
    if question.after is not None:
        # Beside the exact condition: a bound that partitions and index are pruned by.
        end = min(question.after.event_time_ms + 1, end if end is not None else question.after.event_time_ms + 1)
    starts = [start for start in (question.start_ms, since_ms) if start is not None]
    order = "DESC"
    if question.newer_than is not None:
        at = binder.moment(question.newer_than.event_time_ms)
        event_id = binder.bind(question.newer_than.event_id, "UUID")
        where.append(f"event_time > {at} OR (event_time = {at} AND event_id > {event_id})")
        starts.append(question.newer_than.event_time_ms)
        order = "ASC"
    events = Events(
        start=binder.moment(max(starts)) if starts else None,
        end=None if end is None else binder.moment(end),
        where=where,
    )
    select = Select(
        columns=[f"{EVENT_MS} AS ms", "event_id"],
        source=events,
        order_by=[f"event_time {order}", f"event_id {order}"],
        limit=question.page_size + 1,
    )
    return Statement(tenant_id, "list_events", select, binder)


async def list_events(asker: Asker, pool: Pool, tenant_id: str, question: ListQuestion, now_ms: int) -> EventPage:
    """A page of events, newest first.

    The newest day nearly always holds a page, so older ones are looked at only when it does not.

    Raises:
        DomainError: what the engine raises; Unavailable(DATABASE_UNAVAILABLE).
    """
    found = await _find(asker, tenant_id, question, now_ms)
    page = found[: question.page_size]
    far_end = page[-1] if len(found) > question.page_size else None
    rows = await _hydrate(pool, tenant_id, page)
    fitting = _fitting(rows)
    if fitting < len(rows):
        last = rows[fitting - 1]
        rows, far_end = rows[:fitting], EventKey(unix_ms(last["event_time"]), last["event_id"])
    near_end = page[0] if page else None
    if question.newer_than is not None:
        return EventPage(rows[::-1], near_end, far_end)
    return EventPage(rows, far_end, near_end if question.after is not None else None)


async def _find(asker: Asker, tenant_id: str, question: ListQuestion, now_ms: int) -> list[EventKey]:
    """The keys, beginning next to where the page before ended."""
    if question.newer_than is not None:
        return _keys(await asker.fetch(keys_statement(tenant_id, question)))
    ends = [question.end_ms, None if question.after is None else question.after.event_time_ms]
    newest = min([now_ms, *(end for end in ends if end is not None)])
    for days in _LOOK_BACK_DAYS:
        since = max(0, newest - days * _DAY_MS)
        enough = question.start_ms is not None and since <= question.start_ms
        rows = await asker.fetch(keys_statement(tenant_id, question, since_ms=None if enough else since))
        if enough or len(rows) > question.page_size:
            return _keys(rows)
    return _keys(await asker.fetch(keys_statement(tenant_id, question)))


def _keys(rows: Sequence[Row]) -> list[EventKey]:
    return [EventKey(int(ms), event_id) for ms, event_id in rows]


def _fitting(rows: Sequence["asyncpg.Record"]) -> int:
    """How many rows fit into one answer; at least one."""
    size = 0
    for index, row in enumerate(rows):
        size += _ROW_BYTES + len(row["properties"]) + len(row["page_url"] or "") + len(row["referrer"] or "")
        if size > _MAX_PAGE_BYTES and index > 0:
            return index
    return len(rows)


async def _hydrate(pool: Pool, tenant_id: str, keys: Sequence[EventKey]) -> Sequence["asyncpg.Record"]:
    if not keys:
        return []
    moments = [moment(key.event_time_ms) for key in keys]
    ids: list[Any] = [key.event_id for key in keys]
    try:
        async with tenant_transaction(pool, tenant_id, readonly=True) as connection:
            return await connection.fetch(_HYDRATE, UUID(tenant_id), moments, ids)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise map_postgres_error(error) from error
