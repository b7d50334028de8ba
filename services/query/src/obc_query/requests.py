"""What requests ask, checked: messages in, questions out. Every mistake names its field."""

from dataclasses import dataclass
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from google.protobuf.message import Message

from obc.query.v1 import dashboard_pb2, metrics_pb2, stored_event_pb2
from obc_common import page_tokens
from obc_common.errors import InvalidArgument
from obc_query.buckets import make_buckets
from obc_query.cohorts.directory import KnownCohorts
from obc_query.fields import resolve_field
from obc_query.filters import parse_filters
from obc_query.insights.insight import Question
from obc_query.metric_names import parse_metrics
from obc_query.questions.list_events import EventKey, ListQuestion, page_size_of
from obc_query.questions.metrics import MetricsQuestion
from obc_query.ranges import TimeRange, check_order, next_full_minute, parse_moment, parse_range, parse_timezone

_EQUALS = ("event_name", "event_category", "user_id", "session_id")
DEFAULT_INTERVAL = "day"
_FOR_EVER = 1 << 62


def list_question(request: stored_event_pb2.ListEventsRequest, tenant_id: str, secret: str) -> ListQuestion:
    """The page a request asks for.

    Raises:
        InvalidArgument: BAD_TIME, BAD_RANGE, BAD_FILTER, UNKNOWN_OPERATOR, UNKNOWN_FIELD, BAD_PAGE_SIZE,
            BAD_PAGE_TOKEN.
    """
    start = parse_moment(request.from_time, "from") if request.from_time else None
    end = parse_moment(request.to_time, "to") if request.to_time else None
    if start is not None and end is not None:
        check_order(start, end)
    after: EventKey | None = None
    filters = parse_filters(list(request.filter))
    if request.page_token:
        position = page_tokens.decode(secret, page_binding(request, tenant_id), request.page_token)
        after = EventKey(int(position[0]), UUID(position[1]))
    return ListQuestion(
        start_ms=start,
        end_ms=end,
        equals=[(name, value) for name in _EQUALS if (value := getattr(request, name))],
        filters=filters,
        page_size=page_size_of(request.page_size),
        after=after,
    )


def page_token(request: stored_event_pb2.ListEventsRequest, tenant_id: str, secret: str, after: EventKey) -> str:
    """The token of the page behind a key."""
    return page_tokens.encode(secret, page_binding(request, tenant_id), [after.event_time_ms, str(after.event_id)])


def page_binding(request: stored_event_pb2.ListEventsRequest, tenant_id: str) -> str:
    """What a page token is tied to: tenant and arguments; the page's size may change on the way."""
    arguments = [getattr(request, name) for name in _EQUALS]
    parts = [tenant_id, *arguments, request.from_time, request.to_time, list(request.filter)]
    return "ListEvents/" + orjson.dumps(parts).decode()


@dataclass(frozen=True, slots=True)
class MetricsRequest:
    """A question about metrics, and what its answer repeats of it."""

    question: MetricsQuestion
    interval: str
    timezone: str


def metrics_request(request: metrics_pb2.GetMetricsRequest, now_ms: int) -> MetricsRequest:
    """The metrics a request asks for.

    Raises:
        InvalidArgument: UNKNOWN_METRIC, NO_METRICS, TOO_MANY_METRICS, BAD_TIME, BAD_RANGE, BAD_TIMEZONE,
            UNKNOWN_INTERVAL, TOO_MANY_BUCKETS, UNKNOWN_WEEK_START, UNKNOWN_FIELD, BAD_FILTER, UNKNOWN_OPERATOR.
    """
    metrics = parse_metrics(list(request.metrics))
    span = parse_range(request.from_time, request.to_time, now_ms)
    zone = parse_timezone(request.timezone)
    interval = request.interval or DEFAULT_INTERVAL
    if request.week_start not in ("", "monday", "sunday"):
        raise InvalidArgument("UNKNOWN_WEEK_START", "a week starts on monday or sunday", field="week_start")
    buckets = make_buckets(span, interval, zone, sunday_first=request.week_start == "sunday")
    breakdown = resolve_field(request.breakdown, "breakdown") if request.breakdown else None
    question = MetricsQuestion(metrics, span, buckets, breakdown, parse_filters(list(request.filter)))
    return MetricsRequest(question, interval, zone.key)


@dataclass(frozen=True, slots=True)
class DashboardRequest:
    """When the dashboard is about."""

    span: TimeRange
    zone: ZoneInfo


def dashboard_request(request: dashboard_pb2.GetDashboardRequest, now_ms: int) -> DashboardRequest:
    """The period a request asks for. Raises InvalidArgument: BAD_TIME, BAD_RANGE, BAD_TIMEZONE."""
    return DashboardRequest(parse_range(request.from_time, request.to_time, now_ms), parse_timezone(request.timezone))


def canonical(request: Message) -> bytes:
    """The bytes of a request. `now` is in the resolved range already; everything else of it decides on the answer."""
    return request.SerializeToString(deterministic=True)


def cache_question(method: str, resolved: list[object], request: bytes, *, end_ms: int, now_ms: int) -> bytes:
    """The canonical bytes of a question.

    A range that reaches into the future is another question every minute, for what is incomplete changes with time.
    """
    minute = next_full_minute(now_ms) if end_ms > now_ms else 0
    return orjson.dumps([method, resolved, minute]) + b"\x00" + request


def insight_key(name: str, question: Question, cohorts: KnownCohorts, request: Message, now_ms: int) -> bytes:
    """The canonical bytes of an insight's question.

    Another version of a cohort makes it another question, and so does every minute where time decides who is in one.
    """
    span = question.span
    resolved: list[object] = [span.start_ms, span.end_ms, cohorts.versions]
    end_ms = _FOR_EVER if cohorts.moving else question.settled_ms
    return cache_question(name, resolved, canonical(request), end_ms=end_ms, now_ms=now_ms)
