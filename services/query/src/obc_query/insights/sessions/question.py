"""What a request for the report on sessions asks, checked."""

from dataclasses import dataclass

from obc.query.v1 import activity_pb2
from obc_query.fields import Field, resolve_breakdown
from obc_query.insights.filter_tree import Filter
from obc_query.insights.reading import Window, read_count, read_optional_filter, read_window
from obc_query.ranges import TimeRange

_DEFAULT_VALUES = 25
_MAX_VALUES = 200
# A session is followed for a day after the range.
_FOLLOWED_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class SessionsQuestion:
    """The sessions that start in a window.

    Attributes:
        window: when they start, and its buckets.
        filter: one event of a session must meet it; None = none.
        breakdown: field of a session's first event to split by; None = no split.
        values: how many values of it are told apart.
    """

    window: Window
    filter: Filter | None
    breakdown: Field | None
    values: int

    @property
    def span(self) -> TimeRange:
        """The range asked for."""
        return self.window.span

    @property
    def settled_ms(self) -> int:
        """Buckets are incomplete until they are over."""
        return self.window.buckets.end + _FOLLOWED_MS


def read(request: activity_pb2.QuerySessionsRequest, now_ms: int) -> SessionsQuestion:
    """Checks a request. Raises InvalidArgument, naming the field."""
    return SessionsQuestion(
        read_window(request.from_time, request.to_time, request.interval, request.timezone, request.week_start, now_ms),
        read_optional_filter(request, "filter"),
        resolve_breakdown(request.breakdown, "breakdown") if request.breakdown else None,
        read_count(request.breakdown_limit, _DEFAULT_VALUES, 1, _MAX_VALUES, "breakdown_limit"),
    )
