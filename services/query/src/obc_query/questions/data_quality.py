"""What is wrong with the data that arrives: bad rows by code, field and SDK with samples, and what was left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from obc_common.postgres import Pool, map_postgres_error, tenant_transaction
from obc_query.moments import moment
from obc_query.questions.bad_rows import ROW_COLUMNS
from obc_query.ranges import TimeRange

_MOST = 200
_SAMPLES = 3

_GROUPS = """
WITH numbered AS (
    SELECT id, code, field, sdk, received_at, replayed_at,
           row_number() OVER (PARTITION BY code, field, sdk ORDER BY received_at DESC, id DESC) AS nth
    FROM bad_rows WHERE tenant_id = $1 AND received_at >= $2 AND received_at < $3
)
SELECT code, field, sdk, count(*) AS count, count(*) FILTER (WHERE replayed_at IS NULL) AS open,
       min(received_at) AS first_at, max(received_at) AS last_at,
       array_agg(id ORDER BY nth) FILTER (WHERE nth <= $4) AS sample_ids,
       (sum(count(*)) OVER ())::bigint AS total
FROM numbered GROUP BY code, field, sdk ORDER BY count DESC, code, field, sdk LIMIT $5
"""
_BY_IDS = f"SELECT {ROW_COLUMNS} FROM bad_rows WHERE tenant_id = $1 AND id = ANY($2::bigint[])"  # noqa: S608  # constants
_LEFT_OUT = """
SELECT kind, name, sdk, sum(count)::bigint AS count FROM left_out_counts
WHERE tenant_id = $1 AND hour >= $2 AND hour < $3
GROUP BY kind, name, sdk ORDER BY count DESC, kind, name, sdk LIMIT $4
"""


@dataclass(frozen=True, slots=True)
class DataQuality:
    """Groups and what was left out, as PostgreSQL has them; samples by id."""

    groups: Sequence["asyncpg.Record"]
    samples: Mapping[int, "asyncpg.Record"]
    left_out: Sequence["asyncpg.Record"]
    bad_row_count: int


async def get_data_quality(pool: Pool, tenant_id: str, span: TimeRange) -> DataQuality:
    """The view of a range. Raises Unavailable(DATABASE_UNAVAILABLE)."""
    tenant, start, end = UUID(tenant_id), moment(span.start_ms), moment(span.end_ms)
    try:
        async with tenant_transaction(pool, tenant_id, readonly=True) as connection:
            groups = await connection.fetch(_GROUPS, tenant, start, end, _SAMPLES, _MOST)
            ids = [row_id for group in groups for row_id in group["sample_ids"]]
            samples = await connection.fetch(_BY_IDS, tenant, ids) if ids else []
            left_out = await connection.fetch(_LEFT_OUT, tenant, start, end, _MOST)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise map_postgres_error(error) from error
    total = groups[0]["total"] if groups else 0
    return DataQuality(groups, {row["id"]: row for row in samples}, left_out, total)
