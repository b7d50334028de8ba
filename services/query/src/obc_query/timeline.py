"""Requests and answers about one person's events. Pages go both ways: a token knows its direction."""

from typing import Any
from uuid import UUID

import orjson

from obc.query.v1 import timeline_pb2
from obc_common import page_tokens
from obc_common.errors import InvalidArgument
from obc_query.codec import stored_event
from obc_query.comparison import Comparison
from obc_query.fields import resolve_field
from obc_query.insights.reading import MAX_NAME, MAX_NAMES
from obc_query.questions.list_events import EventKey, EventPage, ListQuestion, page_size_of
from obc_query.ranges import check_order, parse_moment

_MAX_ID = 200
_OLDER, _NEWER = "older", "newer"


def timeline_question(request: timeline_pb2.GetUserTimelineRequest, tenant_id: str, secret: str) -> ListQuestion:
    """The page a request asks for.

    Raises:
        InvalidArgument: BAD_ID, BAD_EVENT_NAME, TOO_MANY_NAMES, BAD_TIME, BAD_RANGE, BAD_PAGE_SIZE, BAD_PAGE_TOKEN.
    """
    if not 0 < len(request.id) <= _MAX_ID:
        raise InvalidArgument("BAD_ID", f"an id has 1 to {_MAX_ID} characters", field="id")
    if len(request.event_name) > MAX_NAMES:
        raise InvalidArgument("TOO_MANY_NAMES", f"at most {MAX_NAMES} event names", field="event_name")
    if not all(0 < len(name) <= MAX_NAME for name in request.event_name):
        raise InvalidArgument("BAD_EVENT_NAME", f"an event name has 1 to {MAX_NAME} characters", field="event_name")
    start = parse_moment(request.from_time, "from") if request.from_time else None
    end = parse_moment(request.to_time, "to") if request.to_time else None
    if start is not None and end is not None:
        check_order(start, end)
    direction, key = _OLDER, None
    if request.page_token:
        direction, at, event_id = page_tokens.decode(secret, _binding(request, tenant_id), request.page_token)
        key = EventKey(int(at), UUID(event_id))
    names = tuple(request.event_name)
    return ListQuestion(
        start_ms=start,
        end_ms=end,
        # Whose an event is says `person`, for every question the same.
        equals=[("person", request.id)],
        filters=[Comparison(resolve_field("event_name", "event_name"), "eq", names)] if names else [],
        page_size=page_size_of(request.page_size),
        after=key if direction == _OLDER else None,
        newer_than=key if direction == _NEWER else None,
    )


def timeline_response(
    page: EventPage, request: timeline_pb2.GetUserTimelineRequest, tenant_id: str, secret: str
) -> timeline_pb2.GetUserTimelineResponse:
    """The answer with the tokens of the pages beside it."""

    def token(direction: str, key: EventKey | None) -> str:
        if key is None:
            return ""
        position: list[Any] = [direction, key.event_time_ms, str(key.event_id)]
        return page_tokens.encode(secret, _binding(request, tenant_id), position)

    return timeline_pb2.GetUserTimelineResponse(
        events=[stored_event(row) for row in page.rows],
        next_page_token=token(_OLDER, page.next_after),
        previous_page_token=token(_NEWER, page.newer_than),
    )


def _binding(request: timeline_pb2.GetUserTimelineRequest, tenant_id: str) -> str:
    parts = [tenant_id, request.id, list(request.event_name), request.from_time, request.to_time]
    return "GetUserTimeline/" + orjson.dumps(parts).decode()
