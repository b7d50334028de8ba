"""What a request for the lifecycle asks, checked."""

from dataclasses import dataclass

from obc.query.v1 import activity_pb2
from obc_query.buckets import Buckets, with_previous
from obc_query.insights.filter_tree import Filter, Selector
from obc_query.insights.reading import Window, read_optional_filter, read_people_window, read_selector
from obc_query.ranges import TimeRange


@dataclass(frozen=True, slots=True)
class LifecycleQuestion:
    """Which users of a window are new, stay, come back and leave.

    Attributes:
        window: when, and its intervals.
        event: what counts as being active.
        filter: a further condition on the events; None = none.
        calendar: the buckets of the window and the one before them.
    """

    window: Window
    event: Selector
    filter: Filter | None
    calendar: Buckets

    @property
    def span(self) -> TimeRange:
        """The range asked for."""
        return self.window.span

    @property
    def settled_ms(self) -> int:
        """When the last bucket is over."""
        return self.calendar.end


def read(request: activity_pb2.QueryLifecycleRequest, now_ms: int) -> LifecycleQuestion:
    """Checks a request. Raises InvalidArgument, naming the field."""
    window = read_people_window(
        request.from_time, request.to_time, request.interval, request.timezone, request.week_start, now_ms
    )
    return LifecycleQuestion(
        window,
        read_selector(request.event, "event"),
        read_optional_filter(request, "filter"),
        with_previous(window.buckets, window.interval, window.zone, sunday_first=window.sunday_first),
    )
