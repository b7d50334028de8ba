"""ListBadRows and GetDataQuality: a tenant's own bad rows, counted, listed and paged."""

import uuid
from typing import Any

import asyncpg
import pytest

from obc.query.v1 import bad_row_pb2 as pb
from obc_common.errors import InvalidArgument
from obc_common.postgres import tenant_transaction
from obc_query.bad_row_codec import bad_rows_question, bad_rows_response, data_quality_response
from obc_query.questions.bad_rows import list_bad_rows
from obc_query.questions.data_quality import get_data_quality
from obc_query.ranges import TimeRange
from tests.support.read_model import ReadModel
from tests.support.stored_events import moment

NOW = 1_760_000_000_000
SECRET = "s" * 32


async def keep(read_model: ReadModel, tenant_id: str, *rows: dict[str, Any]) -> list[int]:
    """Keeps bad rows as ingest would; their ids."""
    connection = await asyncpg.connect(read_model.dsn)
    try:
        return [
            await connection.fetchval(
                "INSERT INTO bad_rows (tenant_id, received_at, code, field, message, sdk, event_id, body, truncated)"
                " VALUES ($1, $2, $3, $4, 'm', $5, 'e', $6, false) RETURNING id",
                uuid.UUID(tenant_id),
                moment(row.get("at", NOW)),
                row.get("code", "bad_type"),
                row.get("field", ""),
                row.get("sdk", ""),
                row.get("body", b"{}"),
            )
            for row in rows
        ]
    finally:
        await connection.close()


async def listed(read_model: ReadModel, tenant_id: str, **arguments: Any) -> pb.ListBadRowsResponse:
    """A page."""
    request = pb.ListBadRowsRequest(**arguments)
    page = await list_bad_rows(read_model.pool, tenant_id, bad_rows_question(request, tenant_id, SECRET))
    return bad_rows_response(page, request, tenant_id, SECRET)


async def ids(read_model: ReadModel, tenant_id: str, **arguments: Any) -> list[int]:
    """The ids of a page."""
    return [row.id for row in (await listed(read_model, tenant_id, **arguments)).bad_rows]


async def test_rows_come_newest_first_and_another_tenants_never(read_model: ReadModel, tenant_id: str) -> None:
    first, second = await keep(read_model, tenant_id, {"at": NOW}, {"at": NOW + 5})
    await keep(read_model, str(uuid.uuid4()), {"at": NOW + 9})

    assert await ids(read_model, tenant_id) == [second, first]


async def test_every_filter_chooses(read_model: ReadModel, tenant_id: str) -> None:
    a, b, c = await keep(
        read_model,
        tenant_id,
        {"code": "too_old", "sdk": "js/1"},
        {"field": "user_id", "at": NOW + 10},
        {"sdk": "py/1", "at": NOW + 20},
    )

    assert await ids(read_model, tenant_id, code="too_old") == [a]
    assert await ids(read_model, tenant_id, field="user_id") == [b]
    assert await ids(read_model, tenant_id, sdk="py/1") == [c]
    assert await ids(read_model, tenant_id, from_time=str(NOW + 10), to_time=str(NOW + 20)) == [b]
    assert await ids(read_model, tenant_id, code="x' OR '1'='1\0") == []
    assert await ids(read_model, tenant_id, state="replayed") == []


async def test_pages_hold_every_row_once_while_more_arrive(read_model: ReadModel, tenant_id: str) -> None:
    wanted = await keep(read_model, tenant_id, *({"at": NOW} for _ in range(5)))
    first = await listed(read_model, tenant_id, page_size=2)
    await keep(read_model, tenant_id, {"at": NOW + 1})
    second = await listed(read_model, tenant_id, page_size=2, page_token=first.next_page_token)
    third = await listed(read_model, tenant_id, page_size=2, page_token=second.next_page_token)

    assert [row.id for page in (first, second, third) for row in page.bad_rows] == wanted[::-1]
    assert third.next_page_token == ""


async def test_a_page_of_large_rows_ends_early_and_goes_on(read_model: ReadModel, tenant_id: str) -> None:
    await keep(read_model, tenant_id, *({"body": b'"%s"' % (b"x" * 65_000)} for _ in range(150)))
    first = await listed(read_model, tenant_id, page_size=1000)
    second = await listed(read_model, tenant_id, page_size=1000, page_token=first.next_page_token)

    assert 100 < len(first.bad_rows) < 150
    assert len(first.bad_rows) + len(second.bad_rows) == 150


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"page_size": -1}, "BAD_PAGE_SIZE"),
        ({"page_token": "x"}, "BAD_PAGE_TOKEN"),
        ({"state": "lost"}, "BAD_STATE"),
        ({"from_time": "soon"}, "BAD_TIME"),
        ({"from_time": "20", "to_time": "10"}, "BAD_RANGE"),
    ],
)
def test_line_39_mistakes_are_named(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        bad_rows_question(pb.ListBadRowsRequest(**arguments), str(uuid.uuid4()), SECRET)
    assert refused.value.reason == reason


async def test_quality_counts_by_code_field_and_sdk_with_samples(read_model: ReadModel, tenant_id: str) -> None:
    # given rows of two kinds in the range and one outside, and counts of what was left out
    old = await keep(
        read_model,
        tenant_id,
        *({"code": "too_old", "sdk": "js/1", "at": NOW + n, "body": b'"%s"' % (b"x" * 3000)} for n in range(5)),
    )
    await keep(
        read_model, tenant_id, {"code": "bad_user_id", "field": "user_id"}, {"at": NOW - 1}, {"at": NOW + 3_600_000}
    )
    connection = await asyncpg.connect(read_model.dsn)
    await connection.execute(
        "UPDATE bad_rows SET replayed_at = now(), replay_result = 'accepted' WHERE id = $1", old[0]
    )
    await connection.execute(
        "INSERT INTO left_out_counts VALUES ($1, $2, 'stripped_property', 'shoe_size', 'js/1', 7),"
        " ($1, $2, 'unknown_field', 'shoe', 'js/1', 9)",
        uuid.UUID(tenant_id),
        moment(NOW),
    )
    await connection.close()
    # when
    span = TimeRange(NOW, NOW + 3_600_000)
    view = data_quality_response(await get_data_quality(read_model.pool, tenant_id, span), span)
    # then
    assert [(g.code, g.field, g.sdk, g.count, g.open) for g in view.bad_rows] == [
        ("too_old", "", "js/1", 5, 4),
        ("bad_user_id", "user_id", "", 1, 1),
    ]
    assert [sample.id for sample in view.bad_rows[0].samples] == old[:1:-1]
    assert all(len(sample.body) == 2000 and sample.truncated for sample in view.bad_rows[0].samples)
    assert (view.bad_rows[0].first_at_ms, view.bad_rows[0].last_at_ms) == (NOW, NOW + 4)
    assert view.bad_row_count == 6
    assert [(one.kind, one.name, one.count) for one in view.left_out] == [
        ("unknown_field", "shoe", 9),
        ("stripped_property", "shoe_size", 7),
    ]


@pytest.mark.parametrize("table", ["bad_rows", "left_out_counts", "analytics_events"])
async def test_line_45_without_a_tenant_or_with_another_no_row_is_seen(
    read_model: ReadModel, tenant_id: str, table: str
) -> None:
    await keep(read_model, tenant_id, {})
    assert await read_model.pool.fetchval(f"SELECT count(*) FROM {table}") == 0
    for named in ("", str(uuid.uuid4())):
        async with tenant_transaction(read_model.pool, named, readonly=True) as connection:
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
