import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from obc_common.clock import ManualClock
from obc_common.postgres import Connection, Pool, create_pool
from obc_ingest.flush import Flusher
from obc_ingest.limits import Limits
from obc_ingest.metrics import FLUSH_RETRIES
from obc_ingest.model import BadRow, Event, Outcome
from obc_ingest.partitions import Partitions
from obc_ingest.store import EventStore
from obc_ingest.validate import Reception, validate
from tests.support.ingest import now_ms
from tests.support.tenant_config import connected


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    pool = await create_pool(database, role="obc_ingest", name="test")
    yield pool
    await pool.close()


def events(count: int, tenant_id: str) -> list[Event]:
    now = now_ms()
    reception, limits = Reception(tenant_id, now, 0, 0), Limits()
    return [
        validate({"event_id": str(uuid4()), "event_name": "x", "timestamp": now}, reception, limits)
        for _ in range(count)
    ]


async def test_overlapping_flushes_in_every_order_never_deadlock(database: str, pool: Pool) -> None:
    flusher = Flusher(EventStore(pool, Partitions(pool, ManualClock(now_ms()))))
    shared = [event for _ in range(4) for event in events(100, str(uuid4()))]
    before = FLUSH_RETRIES._value.get()

    orders = [shared, shared[::-1], shared[200:] + shared[:200], sorted(shared, key=lambda event: event.event_id)]
    verdicts = [v for part in await asyncio.gather(*(flusher.flush(order, ()) for order in orders * 3)) for v in part]

    assert verdicts.count(Outcome.ACCEPTED) == 400
    assert verdicts.count(Outcome.DUPLICATE) == 11 * 400
    assert FLUSH_RETRIES._value.get() == before
    async with connected(database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM analytics_events") == 400


async def test_a_duplicate_is_only_ever_said_of_a_committed_row(database: str, pool: Pool) -> None:
    """A twin waits for the first's transaction; when that rolls back, the twin is the one that is stored."""
    flusher = Flusher(EventStore(pool, Partitions(pool, ManualClock(now_ms()))))
    [event] = events(1, str(uuid4()))
    async with connected(database) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "INSERT INTO event_ids VALUES ($1, $2, current_date, 0)", event.tenant_id, event.event_id
        )
        twin = asyncio.create_task(flusher.flush([event], ()))
        done, _ = await asyncio.wait([twin], timeout=0.3)
        assert not done
        await transaction.rollback()

    assert await twin == [Outcome.ACCEPTED]


async def test_accepted_is_never_said_of_an_event_whose_id_left_the_ledger_meanwhile(database: str, pool: Pool) -> None:
    class Purged(EventStore):
        """The id is purged after it was found known and before its fingerprint is read."""

        async def _stored_fingerprints(self, connection: Connection, events: list[Event]) -> dict[str, int]:
            async with connected(database) as other:
                await other.execute("DELETE FROM event_ids")
            return await super()._stored_fingerprints(connection, events)

    flusher = Flusher(Purged(pool, Partitions(pool, ManualClock(now_ms()))))
    [event] = events(1, str(uuid4()))

    assert await flusher.flush([event], ()) == [Outcome.ACCEPTED]
    assert await flusher.flush([event], ()) == [Outcome.DUPLICATE]

    async with connected(database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM analytics_events") == 1


async def test_the_role_can_read_no_event(pool: Pool) -> None:
    for table in ("analytics_events", "bad_rows"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.fetch(f"SELECT * FROM {table}")


async def test_a_bad_row_that_cannot_be_stored_does_not_hold_up_the_events(database: str, pool: Pool) -> None:
    flusher = Flusher(EventStore(pool, Partitions(pool, ManualClock(now_ms()))))
    tenant = str(uuid4())

    def row(body: bytes) -> BadRow:
        return BadRow(tenant, now_ms(), "c", "", "", "", "", body, False)

    verdicts = await flusher.flush(events(10, tenant), [row(b"good"), row(b"x" * 70_000), row(b"also good")])

    assert verdicts == [Outcome.ACCEPTED] * 10
    async with connected(database) as connection:
        bodies = [record["body"] for record in await connection.fetch("SELECT body FROM bad_rows ORDER BY id")]
    assert bodies == [b"good", b"also good"]


async def test_a_value_that_cannot_even_be_encoded_is_found_like_one_that_is_refused(pool: Pool) -> None:
    flusher = Flusher(EventStore(pool, Partitions(pool, ManualClock(now_ms()))))
    some = events(5, str(uuid4()))
    some[3].skew_ms = 2**70

    verdicts = await flusher.flush(some, ())

    assert [verdict is Outcome.ACCEPTED for verdict in verdicts] == [True, True, True, False, True]
