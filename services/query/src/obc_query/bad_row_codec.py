"""Requests and answers about bad rows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from obc.query.v1 import bad_row_pb2
from obc_common import page_tokens
from obc_common.errors import InvalidArgument
from obc_query.moments import unix_ms
from obc_query.questions.bad_rows import STATES, BadRowKey, BadRowsPage, BadRowsQuestion
from obc_query.questions.data_quality import DataQuality
from obc_query.questions.list_events import page_size_of
from obc_query.ranges import TimeRange, check_order, parse_moment

if TYPE_CHECKING:
    import asyncpg

_SAMPLE_CHARACTERS = 2000
_ARGUMENTS = ("code", "field", "sdk", "from_time", "to_time", "state")


def bad_rows_question(request: bad_row_pb2.ListBadRowsRequest, tenant_id: str, secret: str) -> BadRowsQuestion:
    """The page a request asks for.

    Raises:
        InvalidArgument: BAD_TIME, BAD_RANGE, BAD_STATE, BAD_PAGE_SIZE, BAD_PAGE_TOKEN.
    """
    start = parse_moment(request.from_time, "from") if request.from_time else None
    end = parse_moment(request.to_time, "to") if request.to_time else None
    if start is not None and end is not None:
        check_order(start, end)
    state = request.state or STATES[0]
    if state not in STATES:
        raise InvalidArgument("BAD_STATE", f"state must be one of {', '.join(STATES)}", field="state")
    after: BadRowKey | None = None
    if request.page_token:
        position = page_tokens.decode(secret, _binding(request, tenant_id), request.page_token)
        after = BadRowKey(int(position[0]), int(position[1]))
    return BadRowsQuestion(
        # PostgreSQL has no NUL in texts, so nothing matches it.
        code=_matchable(request.code),
        field=_matchable(request.field),
        sdk=_matchable(request.sdk),
        start_ms=start,
        end_ms=end,
        state=state,
        page_size=page_size_of(request.page_size),
        after=after,
    )


def bad_rows_response(
    page: BadRowsPage, request: bad_row_pb2.ListBadRowsRequest, tenant_id: str, secret: str
) -> bad_row_pb2.ListBadRowsResponse:
    """The answer with the token of the next page."""
    token = ""
    if page.next_after is not None:
        position: list[Any] = [page.next_after.received_at_us, page.next_after.id]
        token = page_tokens.encode(secret, _binding(request, tenant_id), position)
    return bad_row_pb2.ListBadRowsResponse(bad_rows=[_row(row) for row in page.rows], next_page_token=token)


def data_quality_response(view: DataQuality, span: TimeRange) -> bad_row_pb2.GetDataQualityResponse:
    """The answer."""
    return bad_row_pb2.GetDataQualityResponse(
        bad_rows=[_group(group, view.samples) for group in view.groups],
        bad_row_count=view.bad_row_count,
        left_out=[
            bad_row_pb2.LeftOut(kind=row["kind"], name=row["name"], sdk=row["sdk"], count=row["count"])
            for row in view.left_out
        ],
        from_ms=span.start_ms,
        to_ms=span.end_ms,
    )


def _group(group: "asyncpg.Record", samples: Mapping[int, "asyncpg.Record"]) -> bad_row_pb2.BadRowGroup:
    # A row may be erased between the two statements.
    rows = [_row(samples[row_id]) for row_id in group["sample_ids"] if row_id in samples]
    for row in rows:
        row.truncated = row.truncated or len(row.body) > _SAMPLE_CHARACTERS
        row.body = row.body[:_SAMPLE_CHARACTERS]
    return bad_row_pb2.BadRowGroup(
        code=group["code"],
        field=group["field"],
        sdk=group["sdk"],
        count=group["count"],
        open=group["open"],
        first_at_ms=unix_ms(group["first_at"]),
        last_at_ms=unix_ms(group["last_at"]),
        samples=rows,
    )


def _row(row: "asyncpg.Record") -> bad_row_pb2.BadRow:
    return bad_row_pb2.BadRow(
        id=row["id"],
        received_at_ms=unix_ms(row["received_at"]),
        code=row["code"],
        field=row["field"],
        message=row["message"],
        sdk=row["sdk"],
        event_id=row["event_id"],
        body=row["body"].decode("utf-8", "replace"),
        truncated=row["truncated"],
        replayed_at_ms=unix_ms(row["replayed_at"]) if row["replayed_at"] else 0,
        replay_result=row["replay_result"] or "",
        replay_of=row["replay_of"] or 0,
    )


def _matchable(text: str) -> str:
    return text.replace("\0", "\ufffd")


def _binding(request: bad_row_pb2.ListBadRowsRequest, tenant_id: str) -> str:
    arguments = [tenant_id, *(getattr(request, name) for name in _ARGUMENTS)]
    return "ListBadRows/" + orjson.dumps(arguments).decode()
