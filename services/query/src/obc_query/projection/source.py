"""What the projector reads from PostgreSQL: the horizon, where to cut a batch, and its rows.

A transaction id is behind the horizon when no transaction at or below it is still open: its rows will never be more.
Rows leave PostgreSQL in COPY's text form, which is ClickHouse's TabSeparated form exactly, so no row is touched here.
"""

from dataclasses import dataclass
from io import BytesIO

from obc_common.postgres import Connection

_TIMEOUT = 30.0
# A whole rebuild is cut into batches, but one import transaction may be large.
_COPY_TIMEOUT = 300.0
_MAX_PIXELS = 65_535

_HORIZON = """
SELECT pg_snapshot_xmin(s)::text::bigint AS behind, pg_snapshot_xmax(s)::text::bigint AS completed
FROM pg_current_snapshot() AS s
"""

# A snapshot's xmax is one past the newest transaction that has ended; newer ones may be open. Each has locked its id.
_OPEN = "SELECT transactionid::text::bigint AS xid FROM pg_locks WHERE locktype = 'transactionid' AND granted"
_EPOCH = 1 << 32

# A standby promoted, a restored dump and a wiped database all differ in at least one of these.
_IDENTITY = """
SELECT system_identifier::text || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())
FROM pg_control_system()
"""

# The planner cannot know how few rows are ahead mostly and how many in a rebuild; sorting them all for each batch would
# make a rebuild quadratic.
_ALONG_THE_INDEX = "SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off"

# `e.`: a bare name would mean the output column, a number that no index knows.
_CUT = """
SELECT (SELECT ingest_xid::text::bigint FROM analytics_events AS e
            WHERE ingest_xid >= $1::text::xid8 AND ingest_xid < $2::text::xid8
            ORDER BY e.ingest_xid LIMIT 1) AS first,
       (SELECT ingest_xid::text::bigint FROM analytics_events AS e
            WHERE ingest_xid >= $1::text::xid8 AND ingest_xid < $2::text::xid8
            ORDER BY e.ingest_xid OFFSET $3 LIMIT 1) AS beyond,
       (SELECT ingest_xid::text::bigint FROM analytics_events AS e
            WHERE ingest_xid >= $1::text::xid8 AND ingest_xid < $2::text::xid8
            ORDER BY e.ingest_xid DESC LIMIT 1) AS last
"""


def _pixels(name: str) -> str:
    return (
        f"CASE WHEN jsonb_typeof(device_info->'{name}') = 'number' "
        f"THEN least(greatest(round((device_info->>'{name}')::numeric), 0), {_MAX_PIXELS}) ELSE 0 END"
    )


def _device(name: str) -> str:
    return f"coalesce(device_info->>'{name}', '')"


# In the order of schema.EVENTS_COLUMNS. The order of rows is total, so that a repeated batch is the same batch.
_ROWS = f"""
SELECT tenant_id, event_id, event_name, event_category,
       coalesce(user_id, ''), coalesce(anonymous_id, ''), coalesce(session_id, ''),
       date_trunc('milliseconds', event_time) AT TIME ZONE 'UTC',
       date_trunc('milliseconds', received_at) AT TIME ZONE 'UTC',
       coalesce(page_url, ''), coalesce(referrer, ''),
       {_device("device_type")}, {_device("browser")}, {_device("browser_version")},
       {_device("os")}, {_device("os_version")}, {_device("language")}, {_device("timezone")},
       {_pixels("screen_width")}, {_pixels("screen_height")}, {_pixels("viewport_width")}, {_pixels("viewport_height")},
       properties, CASE WHEN sample_rate > 0 AND sample_rate <= 1 THEN sample_rate ELSE 1 END
FROM analytics_events
WHERE ingest_xid >= '{{lo}}'::xid8 AND ingest_xid < '{{hi}}'::xid8
ORDER BY ingest_xid, tenant_id, event_id
"""  # noqa: S608  # built from constants of this module


@dataclass(frozen=True, slots=True)
class Horizon:
    """What is settled in PostgreSQL.

    Attributes:
        behind: every transaction id below it has ended.
        assigned: every transaction id given out so far is below it.
    """

    behind: int
    assigned: int


async def read_horizon(connection: Connection) -> Horizon:
    """The horizon now."""
    # Locks first: what is open now is either still open then, and seen here, or has ended before the snapshot.
    open_ids = [row["xid"] for row in await connection.fetch(_OPEN, timeout=_TIMEOUT)]
    row = await connection.fetchrow(_HORIZON, timeout=_TIMEOUT)
    assert row is not None  # the query has no condition
    behind, assigned = row["behind"], row["completed"]
    for xid in open_ids:
        ahead = (xid - behind) % _EPOCH  # locks know the lower 32 bits only
        if ahead < _EPOCH // 2:
            assigned = max(assigned, behind + ahead + 1)
    return Horizon(behind, assigned)


async def read_identity(connection: Connection) -> str:
    """Which database this is; another one needs another read model."""
    identity = await connection.fetchval(_IDENTITY, timeout=_TIMEOUT)
    assert isinstance(identity, str)
    return identity


async def next_cut(connection: Connection, lo: int, behind: int, max_rows: int) -> int | None:
    """Where the batch from `lo` ends, exclusive: at whole transactions and about `max_rows` rows; None = no rows.

    A transaction with more rows than that is a batch of its own.

    The end is right behind the last row, never the horizon itself: PostgreSQL that crashes gives out again the ids of
    transactions that had been rolled back shortly before, and a cursor beyond them would miss what is written under
    them. Rows that are seen here are on disk, so their ids never come again.
    """
    async with connection.transaction(readonly=True):
        await connection.execute(_ALONG_THE_INDEX, timeout=_TIMEOUT)
        row = await connection.fetchrow(_CUT, str(lo), str(behind), max_rows, timeout=_TIMEOUT)
    assert row is not None  # a SELECT of scalars
    first, beyond = row["first"], row["beyond"]
    if first is None:
        return None
    if beyond is None:
        return int(row["last"]) + 1
    return int(beyond) if beyond > first else int(first) + 1


async def read_rows(connection: Connection, lo: int, hi: int) -> bytes:
    """The rows of [lo, hi) in COPY's text form, in the order of schema.EVENTS_COLUMNS."""
    buffer = BytesIO()
    query = _ROWS.format(lo=int(lo), hi=int(hi))
    await connection.copy_from_query(query, output=buffer, format="text", timeout=_COPY_TIMEOUT)
    return buffer.getvalue()
