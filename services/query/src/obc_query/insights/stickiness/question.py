"""What a request for stickiness asks, checked."""

from dataclasses import dataclass

from obc.query.v1 import activity_pb2
from obc_query.insights.filter_tree import Filter, Selector
from obc_query.insights.reading import Window, read_count, read_optional_filter, read_selector, read_window
from obc_query.ranges import TimeRange

_MOST_AT_LEAST = 1_000_000


@dataclass(frozen=True, slots=True)
class StickinessQuestion:
    """In how many intervals of a window users are active.

    Attributes:
        window: when, and its intervals.
        event: what counts as being active.
        filter: a further condition on the events; None = none.
        at_least: events that an interval needs to be active.
    """

    window: Window
    event: Selector
    filter: Filter | None
    at_least: int

    @property
    def span(self) -> TimeRange:
        """The range asked for."""
        return self.window.span

    @property
    def settled_ms(self) -> int:
        """Nothing changes with time alone."""
        return 0


def read(request: activity_pb2.QueryStickinessRequest, now_ms: int) -> StickinessQuestion:
    """Checks a request. Raises InvalidArgument, naming the field."""
    return StickinessQuestion(
        read_window(request.from_time, request.to_time, request.interval, request.timezone, request.week_start, now_ms),
        read_selector(request.event, "event"),
        read_optional_filter(request, "filter"),
        read_count(request.at_least, 1, 1, _MOST_AT_LEAST, "at_least"),
    )
