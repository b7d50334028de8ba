"""Events written straight into PostgreSQL, as ingest would have stored them."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import orjson

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = (
    "tenant_id", "event_id", "event_name", "event_category", "user_id", "anonymous_id", "session_id", "properties",
    "timestamp", "received_at", "skew_ms", "event_time", "page_url", "referrer", "device_info", "sample_rate",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stored:
    """One stored event; `at` is its event_time in unix milliseconds.

    Not stored are `owner`, whose event it is when it has no user, as `tests.oracle.identity` finds it out, and
    `cohorts`, the ids of those that its person is in, as `tests.oracle.cohorts` does.
    """

    at: int
    name: str = "page_view"
    category: str = "navigation"
    user: str | None = None
    anonymous: str | None = None
    session: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    page_url: str | None = None
    referrer: str | None = None
    device: Mapping[str, Any] = field(default_factory=dict)
    sample_rate: float = 1.0
    event_id: uuid.UUID = field(default_factory=uuid.uuid4)
    owner: str | None = None
    cohorts: frozenset[str] = frozenset()


def moment(unix_ms: int) -> datetime:
    """A time of PostgreSQL."""
    return _EPOCH + timedelta(milliseconds=unix_ms)


async def insert_events(dsn: str, tenant_id: str, events: Iterable[Stored]) -> int:
    """Stores events in one transaction, making partitions as needed; how many."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        stored = list(events)
        await ensure_partitions(connection, stored)
        async with connection.transaction():
            return await insert_with(connection, tenant_id, stored)
    finally:
        await connection.close()


async def insert_with(
    connection: "asyncpg.Connection[asyncpg.Record]", tenant_id: str, events: Iterable[Stored]
) -> int:
    """Stores events in the caller's transaction; their partitions must exist."""
    rows = [
        (
            uuid.UUID(tenant_id), event.event_id, event.name, event.category, event.user, event.anonymous,
            event.session, orjson.dumps(event.properties).decode(), moment(event.at), moment(event.at), 0,
            moment(event.at), event.page_url, event.referrer, orjson.dumps(event.device).decode(), event.sample_rate,
        )
        for event in events
    ]  # fmt: skip
    if rows:
        await connection.copy_records_to_table("analytics_events", records=rows, columns=list(_COLUMNS))
    return len(rows)


async def ensure_partitions(connection: "asyncpg.Connection[asyncpg.Record]", events: Iterable[Stored]) -> None:
    """Makes the partitions of events, in a transaction of its own: its lock must not outlive it."""
    times = [moment(event.at) for event in events]
    if times:
        await connection.execute("SELECT obc_ensure_partitions($1, $2)", min(times), max(times))
