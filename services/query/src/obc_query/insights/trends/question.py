"""What a request for trends asks, checked."""

from collections.abc import Sequence
from dataclasses import dataclass

from obc.query.v1 import trends_pb2
from obc_common.errors import InvalidArgument
from obc_query.buckets import Buckets, make_buckets
from obc_query.fields import Field, resolve_field
from obc_query.insights.breakdown import MAX_BREAKDOWNS, TOP_VALUES
from obc_query.insights.filter_tree import Filter, Selector
from obc_query.insights.reading import (
    Window,
    read_choice,
    read_count,
    read_fields,
    read_optional_filter,
    read_selector,
    read_window,
)
from obc_query.insights.trends.formula import Node, parse_formula
from obc_query.ranges import TimeRange

MAX_SERIES = 10
MAX_FORMULAS = 10
MAX_ROLLING = 366
LEVELS = {"median": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99}
NUMERIC_MEASURES = ("sum", "avg", "min", "max", *LEVELS)
PROPERTY_MEASURES = (*NUMERIC_MEASURES, "distinct")
MEASURES = ("total", "unique_users", "sessions", "per_user", *PROPERTY_MEASURES)


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a trend.

    Attributes:
        event: which events.
        measure: one of MEASURES.
        property: what is measured; None = the measure needs none.
    """

    event: Selector
    measure: str
    property: Field | None


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula over the series, as it was written and as it was understood."""

    text: str
    node: Node


@dataclass(frozen=True, slots=True)
class Period:
    """A range and its buckets."""

    span: TimeRange
    buckets: Buckets


@dataclass(frozen=True, slots=True)
class TrendsQuestion:
    """How events develop over time.

    Attributes:
        window: when, and its buckets.
        series: what is measured, at least one.
        filter: a further condition on the events; None = none.
        breakdowns: fields to split by.
        breakdown_limit: how many values are told apart.
        previous: the period before; None = it is not asked for.
        cumulative: whether a point measures everything since the range's start.
        rolling: of how many buckets a point is the mean; 1 = of itself.
        formulas: what is computed of the series.
    """

    window: Window
    series: tuple[Series, ...]
    filter: Filter | None
    breakdowns: tuple[Field, ...]
    breakdown_limit: int
    previous: Period | None
    cumulative: bool
    rolling: int
    formulas: tuple[Formula, ...]

    @property
    def span(self) -> TimeRange:
        """The range asked for."""
        return self.window.span

    @property
    def settled_ms(self) -> int:
        """Buckets are incomplete until they are over."""
        return self.window.buckets.end

    @property
    def periods(self) -> tuple[Period, ...]:
        """The range asked for, then the one before where it is compared."""
        current = Period(self.window.span, self.window.buckets)
        return (current,) if self.previous is None else (current, self.previous)

    @property
    def whole(self) -> TimeRange:
        """Everything the question looks at."""
        return TimeRange(self.periods[-1].span.start_ms, self.span.end_ms)


def read(request: trends_pb2.QueryTrendsRequest, now_ms: int) -> TrendsQuestion:
    """Checks a request. Raises InvalidArgument, naming the field."""
    window = read_window(
        request.from_time, request.to_time, request.interval, request.timezone, request.week_start, now_ms
    )
    if not 1 <= len(request.series) <= MAX_SERIES:
        raise InvalidArgument("BAD_SERIES", f"1 to {MAX_SERIES} series", field="series")
    if request.cumulative and request.rolling_average:
        raise InvalidArgument("BAD_COMBINATION", "either rolling_average or cumulative", field="rolling_average")
    return TrendsQuestion(
        window=window,
        series=tuple(_series(series, f"series[{index}]") for index, series in enumerate(request.series)),
        filter=read_optional_filter(request, "filter"),
        breakdowns=read_fields(request.breakdowns, MAX_BREAKDOWNS, "breakdowns"),
        breakdown_limit=read_count(request.breakdown_limit, TOP_VALUES, 1, TOP_VALUES, "breakdown_limit"),
        previous=_previous(window) if request.compare_previous else None,
        cumulative=request.cumulative,
        rolling=read_count(request.rolling_average, 1, 1, MAX_ROLLING, "rolling_average"),
        formulas=_formulas(request.formulas, len(request.series)),
    )


def _series(message: trends_pb2.TrendSeries, field: str) -> Series:
    event = read_selector(message.event, f"{field}.event")
    measure = read_choice(message.measure, MEASURES, f"{field}.measure")
    if (measure in PROPERTY_MEASURES) != bool(message.property):
        needs = "needs a" if measure in PROPERTY_MEASURES else "takes no"
        raise InvalidArgument("BAD_PROPERTY", f"{measure} {needs} property", field=f"{field}.property")
    return Series(event, measure, resolve_field(message.property, f"{field}.property") if message.property else None)


def _previous(window: Window) -> Period:
    span = window.span.previous
    return Period(span, make_buckets(span, window.interval, window.zone, sunday_first=window.sunday_first))


def _formulas(texts: Sequence[str], series: int) -> tuple[Formula, ...]:
    if len(texts) > MAX_FORMULAS:
        raise InvalidArgument("TOO_MANY_FORMULAS", f"at most {MAX_FORMULAS} formulas", field="formulas")
    return tuple(Formula(text, parse_formula(text, series, f"formulas[{i}]")) for i, text in enumerate(texts))
