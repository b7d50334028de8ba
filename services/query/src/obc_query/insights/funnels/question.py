"""What a request for a funnel asks, checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from obc.query.v1 import funnels_pb2
from obc_common.errors import InvalidArgument
from obc_query.buckets import Buckets, make_buckets
from obc_query.fields import Field, resolve_breakdown
from obc_query.insights.filter_tree import Filter, Selector
from obc_query.insights.reading import (
    read_choice,
    read_count,
    read_fields,
    read_optional_filter,
    read_selector,
    read_week_start,
)
from obc_query.ranges import TimeRange, parse_range, parse_timezone

MIN_STEPS, MAX_STEPS = 2, 20
MAX_EXCLUSIONS = 10
MAX_HELD = 3
MAX_BARS = 100
CODES = 32
"""Kinds of events that are told apart at little cost: the steps, what is none, and combinations of exclusions."""
GRACE_MS = 2_000
_DAY_MS = 24 * 3_600_000
_DEFAULT_VALUES, _MAX_VALUES = 25, 200
_PRESETS = {"posthog": {}, "mixpanel": {"entry": "first", "ties": "grace"}}
_ORDERS = ("ordered", "strict", "any")
_ENTRIES = ("any", "first")
_COUNTINGS = ("users", "sessions", "totals")
_TIES = ("by_step", "grace", "strict_time")
_ATTRIBUTIONS = ("first", "last", "step")
_INTERVALS = ("hour", "day", "week", "month")


@dataclass(frozen=True, slots=True)
class Exclusion:
    """An event that must not happen between the events of two steps; 1 is the first step."""

    event: Selector
    from_step: int
    to_step: int


@dataclass(frozen=True, slots=True)
class Breakdown:
    """What a funnel is split by.

    Attributes:
        field: whose values.
        step: whose event has the value: 1 for the first, 0 = the last that was taken.
        values: how many values are told apart.
    """

    field: Field
    step: int
    values: int


@dataclass(frozen=True, slots=True)
class FunnelQuestion:
    """Who goes through steps. Attributes as in QueryFunnelsRequest; presets and defaults are resolved."""

    span: TimeRange
    steps: tuple[Selector, ...]
    order: str
    window_ms: int
    entry: str
    counting: str
    ties: str
    exclusions: tuple[Exclusion, ...]
    held_constant: tuple[Field, ...]
    filter: Filter | None
    breakdown: Breakdown | None
    trend: Buckets | None
    bars: int

    @property
    def settled_ms(self) -> int:
        """The windows of the last entries are over."""
        return self.span.end_ms + self.window_ms

    @property
    def events_span(self) -> TimeRange:
        """When the events of all attempts happen. With grace a step may be a moment before the entry."""
        early = GRACE_MS if self.ties == "grace" else 0
        return TimeRange(max(0, self.span.start_ms - early), self.span.end_ms + self.window_ms)

    @property
    def one_step_each(self) -> bool:
        """Whether no event can match two steps: the steps have names, and no two the same."""
        names = [set(step.names) for step in self.steps]
        return all(names) and not any(one & other for one, other in combinations(names, 2))

    @property
    def exclusions_apart(self) -> bool:
        """Whether no excluded event can be a step, and there are few kinds of them: they have names of their own."""
        steps = {name for step in self.steps for name in step.names}
        own = all(one.event.names and steps.isdisjoint(one.event.names) for one in self.exclusions)
        return own and self.one_step_each and len(self.steps) + 2 ** len(self.exclusions) <= CODES


def read(request: funnels_pb2.QueryFunnelsRequest, now_ms: int) -> FunnelQuestion:
    """Checks a request. Raises InvalidArgument, naming the field."""
    steps = tuple(read_selector(step, f"steps[{index}]") for index, step in enumerate(request.steps))
    if not MIN_STEPS <= len(steps) <= MAX_STEPS:
        raise InvalidArgument("BAD_STEPS", f"a funnel has {MIN_STEPS} to {MAX_STEPS} steps", field="steps")
    span = parse_range(request.from_time, request.to_time, now_ms)
    preset = _PRESETS[read_choice(request.preset, tuple(_PRESETS), "preset")]
    order = read_choice(request.order, _ORDERS, "order")
    ties = read_choice(request.ties or preset.get("ties", ""), _TIES, "ties")
    if order == "strict" and ties == "grace":
        raise InvalidArgument(
            "GRACE_IS_NOT_STRICT",
            "what is interchangeable has nothing between it: with order strict, ties is by_step or strict_time",
            field="ties",
        )
    if len(request.exclusions) > MAX_EXCLUSIONS:
        raise InvalidArgument("TOO_MANY_EXCLUSIONS", f"at most {MAX_EXCLUSIONS} exclusions", field="exclusions")
    return FunnelQuestion(
        span=span,
        steps=steps,
        order=order,
        window_ms=read_count(request.window_ms, 7 * _DAY_MS, 1, 366 * _DAY_MS, "window_ms"),
        entry=read_choice(request.entry or preset.get("entry", ""), _ENTRIES, "entry"),
        counting=read_choice(request.counting, _COUNTINGS, "counting"),
        ties=ties,
        exclusions=tuple(
            _exclusion(exclusion, len(steps), f"exclusions[{index}]")
            for index, exclusion in enumerate(request.exclusions)
        ),
        held_constant=read_fields(request.held_constant, MAX_HELD, "held_constant"),
        filter=read_optional_filter(request, "filter"),
        breakdown=_breakdown(request, len(steps)),
        trend=_trend(request, span),
        bars=read_count(request.histogram_bars, 0, 0, MAX_BARS, "histogram_bars"),
    )


def excluded_steps(exclusions: Sequence[Exclusion], step: int) -> tuple[int, ...]:
    """Which exclusions are about what lies between a step and the next; 1 is the first step."""
    return tuple(place for place, one in enumerate(exclusions) if one.from_step <= step < one.to_step)


def _exclusion(message: funnels_pb2.FunnelExclusion, steps: int, field: str) -> Exclusion:
    from_step = read_count(message.from_step, 1, 1, steps - 1, f"{field}.from_step")
    to_step = read_count(message.to_step, steps, from_step + 1, steps, f"{field}.to_step")
    return Exclusion(read_selector(message.event, f"{field}.event"), from_step, to_step)


def _breakdown(request: funnels_pb2.QueryFunnelsRequest, steps: int) -> Breakdown | None:
    attribution = read_choice(request.attribution, _ATTRIBUTIONS, "attribution")
    values = read_count(request.breakdown_limit, _DEFAULT_VALUES, 1, _MAX_VALUES, "breakdown_limit")
    step = {"first": 1, "last": 0, "step": request.attribution_step}[attribution]
    if attribution == "step":
        if not 1 <= step <= steps:
            raise InvalidArgument(
                "OUT_OF_RANGE", f"attribution_step is a number from 1 to {steps}", field="attribution_step"
            )
    elif request.attribution_step:
        raise InvalidArgument(
            "UNUSED_OPTION", "attribution_step goes with attribution step only", field="attribution_step"
        )
    if not request.breakdown:
        return None
    return Breakdown(resolve_breakdown(request.breakdown, "breakdown"), step, values)


def _trend(request: funnels_pb2.QueryFunnelsRequest, span: TimeRange) -> Buckets | None:
    zone, sunday_first = parse_timezone(request.timezone), read_week_start(request.week_start)
    if not request.trend_interval:
        return None
    interval = read_choice(request.trend_interval, _INTERVALS, "trend_interval")
    return make_buckets(span, interval, zone, sunday_first=sunday_first, field="trend_interval")
