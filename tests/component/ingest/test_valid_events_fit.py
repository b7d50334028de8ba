"""Validation and PostgreSQL agree: whatever passes the one is stored by the other, exactly as it was meant."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import asyncpg
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obc_common.clock import SystemClock
from obc_common.postgres import Pool, create_pool
from obc_ingest.flush import Flusher
from obc_ingest.limits import Limits
from obc_ingest.model import Event, Outcome, Rejected
from obc_ingest.partitions import Partitions
from obc_ingest.store import EventStore
from obc_ingest.validate import Reception, validate
from tests.support.ingest import now_ms

# What means something in COPY's text form, next to any text at all.
_SPECIAL = ("\\N", "\\.", "\\", "\\\\t", "a\tb", "a\nb", "a\r\nb", "\x0b")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(_SPECIAL)
NUMBER = st.integers(-(2**53), 2**53) | st.floats(-1e15, 1e15, allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)
EVENT = st.fixed_dictionaries(
    {"event_name": TEXT, "properties": st.dictionaries(TEXT, JSON, max_size=6)},
    optional={
        **dict.fromkeys(("event_category", "user_id", "anonymous_id", "session_id", "page_url", "referrer"), TEXT),
        "correlation_id": TEXT,
        "device_info": st.dictionaries(st.sampled_from(["browser", "os", "language"]), TEXT, max_size=3),
    },
)


@pytest.fixture(scope="module")
async def pool(module_database: str) -> AsyncIterator[Pool]:
    pool = await create_pool(module_database, role="obc_ingest", name="test")
    yield pool
    await pool.close()


async def test_every_valid_event_is_stored_as_it_was_meant(pool: Pool, module_database: str) -> None:
    tenant = str(uuid4())
    now = now_ms()
    valid: list[Event] = []

    @settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
    @given(EVENT)
    def collect(raw: dict[str, Any]) -> None:
        event = {"event_id": str(uuid4()), "timestamp": now, **raw}
        # Through the parser, as every event comes.
        parsed = orjson.loads(orjson.dumps(event))
        with suppress(Rejected):
            valid.append(validate(parsed, Reception(tenant, now, 0, 0), Limits()))

    collect()
    verdicts = await Flusher(EventStore(pool, Partitions(pool, SystemClock()))).flush(valid, ())

    assert len(valid) > 100
    assert set(verdicts) == {Outcome.ACCEPTED}
    connection = await asyncpg.connect(module_database, timeout=10)
    rows = await connection.fetch("SELECT * FROM analytics_events WHERE tenant_id = $1", tenant)
    await connection.close()
    stored = {str(row["event_id"]): row for row in rows}
    for event in valid:
        row = stored[event.event_id]
        assert orjson.loads(row["properties"]) == event.properties
        assert (row["event_name"], row["user_id"] or "") == (event.event_name, event.user_id)
