"""What a request for retention asks, checked."""

from dataclasses import dataclass

from obc.query.v1 import retention_pb2
from obc_common.errors import InvalidArgument
from obc_query.buckets import Buckets, more_buckets
from obc_query.fields import Field, resolve_breakdown
from obc_query.insights.filter_tree import Filter, Selector
from obc_query.insights.reading import (
    Window,
    read_choice,
    read_count,
    read_optional_filter,
    read_people_window,
    read_selector,
)
from obc_query.ranges import TimeRange

MODES = ("first_time", "recurring")
RULES = ("calendar", "rolling", "rolling_hour")
CRITERIA = ("on", "on_or_after")
_PRESETS = {
    "": ("", "", ""),
    "mixpanel": ("", "rolling", "on_or_after"),
    "posthog": ("recurring", "calendar", "on"),
    "amplitude": ("", "rolling_hour", ""),
}
"""Mode, rule of the periods and criteria; '' = the default."""
MAX_CELLS = 200_000
HOUR_MS = 3_600_000
_PERIOD_MS = {"hour": HOUR_MS, "day": 24 * HOUR_MS, "week": 7 * 24 * HOUR_MS, "month": 30 * 24 * HOUR_MS}


@dataclass(frozen=True, slots=True)
class RetentionQuestion:
    """Who of those who start in a window comes back, and when.

    Attributes:
        window: when the cohorts start, and their intervals.
        start: what makes somebody part of a cohort.
        returning: what counts as coming back.
        filter: a further condition on both; None = none.
        recurring: whether every start counts, not the first one ever.
        rule: of the periods: one of RULES.
        or_after: whether coming back in a later period counts too.
        periods: how many after period 0.
        breakdown: field of the start event to split by; None = no split.
        breakdown_limit: how many of its values are told apart.
        calendar: the buckets of the cohorts, and those that their last periods reach into.
    """

    window: Window
    start: Selector
    returning: Selector
    filter: Filter | None
    recurring: bool
    rule: str
    or_after: bool
    periods: int
    breakdown: Field | None
    breakdown_limit: int
    calendar: Buckets

    @property
    def span(self) -> TimeRange:
        """The range asked for."""
        return self.window.span

    @property
    def rolling(self) -> bool:
        """Whether each person has periods of their own."""
        return self.rule != "calendar"

    @property
    def period_ms(self) -> int:
        """Length of a rolling period."""
        return _PERIOD_MS[self.window.interval]

    @property
    def settled_ms(self) -> int:
        """When the last period of everybody who may have started is over."""
        return self.span.end_ms + (self.periods + 1) * self.period_ms if self.rolling else self.calendar.end


def read(request: retention_pb2.QueryRetentionRequest, now_ms: int) -> RetentionQuestion:
    """Checks a request. Raises InvalidArgument, naming the field."""
    mode, rule, criteria = _PRESETS[read_choice(request.preset, tuple(_PRESETS), "preset")]
    window = read_people_window(
        request.from_time, request.to_time, request.interval, request.timezone, request.week_start, now_ms
    )
    start, returning = (
        read_selector(request.start_event, "start_event"),
        read_selector(request.return_event, "return_event"),
    )
    if not returning.names and returning.filter is None:
        returning = start
    periods = read_count(request.periods, 10, 1, 366, "periods")
    breakdown = resolve_breakdown(request.breakdown, "breakdown") if request.breakdown else None
    limit = read_count(request.breakdown_limit, 25, 1, 200, "breakdown_limit")
    _check_cells(len(window.buckets.starts) * (periods + 1) * (1 if breakdown is None else limit + 1))
    return RetentionQuestion(
        window=window,
        start=start,
        returning=returning,
        filter=read_optional_filter(request, "filter"),
        recurring=read_choice(request.mode or mode, MODES, "mode") == "recurring",
        rule=read_choice(request.buckets or rule, RULES, "buckets"),
        or_after=read_choice(request.criteria or criteria, CRITERIA, "criteria") == "on_or_after",
        periods=periods,
        breakdown=breakdown,
        breakdown_limit=limit,
        calendar=more_buckets(window.buckets, periods, window.interval, window.zone),
    )


def _check_cells(cells: int) -> None:
    if cells > MAX_CELLS:
        raise InvalidArgument(
            "TOO_MANY_CELLS",
            f"cohorts x periods x values of the breakdown are more than {MAX_CELLS} cells; ask for fewer of them",
            field="periods",
            metadata={"max_cells": str(MAX_CELLS)},
        )
