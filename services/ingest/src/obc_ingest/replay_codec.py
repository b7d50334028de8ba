"""Requests and answers of a replay."""

from collections import Counter
from collections.abc import Sequence

import orjson

from obc.ingest.v1 import ingest_service_pb2 as pb
from obc_common import page_tokens
from obc_common.errors import InvalidArgument, OutOfRange
from obc_ingest.codec import encode_outcome
from obc_ingest.model import Outcome
from obc_ingest.replay import MAX_ROWS, Replayed
from obc_ingest.replay_store import RowFilter
from obc_ingest.timestamps import BadTimestamp, parse_ms

_FILTERS = ("code", "field", "sdk", "from_time", "to_time")


def replay_ids(request: pb.ReplayBadRowsRequest) -> list[int]:
    """The ids, each once.

    Raises:
        OutOfRange: TOO_MANY_ROWS.
        InvalidArgument: IDS_OR_FILTER, when a filter is given as well.
    """
    if len(request.ids) > MAX_ROWS:
        raise OutOfRange("TOO_MANY_ROWS", f"a replay may name at most {MAX_ROWS} rows", field="ids")
    for name in (*_FILTERS, "page_token"):
        if getattr(request, name):
            raise InvalidArgument("IDS_OR_FILTER", "give ids or a filter, not both", field=name.removesuffix("_time"))
    return list(dict.fromkeys(request.ids))


def replay_filter(request: pb.ReplayBadRowsRequest) -> RowFilter:
    """The filter. Raises InvalidArgument: BAD_TIME, BAD_RANGE."""
    start, end = _moment(request.from_time, "from"), _moment(request.to_time, "to")
    if start is not None and end is not None and end <= start:
        raise InvalidArgument("BAD_RANGE", "the end of the range must be after its start", field="to")
    # PostgreSQL has no NUL in texts, so nothing matches it.
    code, field, sdk = (text.replace("\0", "\ufffd") for text in (request.code, request.field, request.sdk))
    return RowFilter(code, field, sdk, start, end)


def replay_size(request: pb.ReplayBadRowsRequest) -> int:
    """Most rows of this call. Raises InvalidArgument(BAD_PAGE_SIZE)."""
    if request.page_size < 0:
        raise InvalidArgument("BAD_PAGE_SIZE", "the page size must not be negative", field="page_size")
    return min(request.page_size or MAX_ROWS, MAX_ROWS)


def replay_position(request: pb.ReplayBadRowsRequest, tenant_id: str, secret: str) -> int:
    """The id behind which to go on. Raises InvalidArgument(BAD_PAGE_TOKEN)."""
    if not request.page_token:
        return 0
    return int(page_tokens.decode(secret, _binding(request, tenant_id), request.page_token)[0])


def replay_token(request: pb.ReplayBadRowsRequest, tenant_id: str, secret: str, last_id: int) -> str:
    """The token for the rows behind an id."""
    return page_tokens.encode(secret, _binding(request, tenant_id), [last_id])


def encode_replay(done: Sequence[Replayed]) -> pb.ReplayBadRowsResponse:
    """The answer."""
    counts = Counter(one.outcome for one in done)
    return pb.ReplayBadRowsResponse(
        results=[
            pb.ReplayResult(
                id=one.id,
                event_id=one.event_id,
                result=encode_outcome(one.outcome) if one.outcome else pb.EVENT_OUTCOME_UNSPECIFIED,
                code=one.code,
                field=one.field,
                message=one.message,
            )
            for one in done
        ],
        accepted=counts[Outcome.ACCEPTED],
        duplicate=counts[Outcome.DUPLICATE],
        dropped=counts[Outcome.DROPPED],
        rejected=counts[Outcome.REJECTED],
        skipped=counts[None],
    )


def _moment(text: str, field: str) -> int | None:
    if not text:
        return None
    try:
        return parse_ms(int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text)
    except BadTimestamp as error:
        raise InvalidArgument("BAD_TIME", f"{field} {error}", field=field) from None


def _binding(request: pb.ReplayBadRowsRequest, tenant_id: str) -> str:
    return "ReplayBadRows/" + orjson.dumps([tenant_id, *(getattr(request, name) for name in _FILTERS)]).decode()
