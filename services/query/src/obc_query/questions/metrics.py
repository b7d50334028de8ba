"""GetMetrics: named metrics over time, whole and split by a field.

Metrics of one kind share a statement, and its one pass gives the buckets and the whole range.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from obc_query.asker import Asker
from obc_query.buckets import Buckets
from obc_query.comparison import Comparison, condition
from obc_query.engine import Row
from obc_query.fields import Field
from obc_query.metric_names import Family, Metric
from obc_query.questions import quarters
from obc_query.questions.expressions import (
    EVENT_MS,
    IS_ERROR,
    IS_MEASUREMENT,
    IS_PAGE_VIEW,
    MEASUREMENT_NAME,
    MEASUREMENT_VALUE,
    NONE,
    OTHER,
    people,
    weight,
)
from obc_query.questions.sampling import answer_sampled_or_not
from obc_query.questions.sessions import Extra, sessions_select
from obc_query.ranges import TimeRange
from obc_query.statement import Binder, Events, Rows, Select, Statement, Union

TOP_VALUES = 200
_WHOLE_KEY = -1
# Finer than that, a guess that fails would gather too many groups.
_MAX_GUESS_BUCKETS = 400
_TOGETHER = ((Family.EVENTS, Family.USERS), (Family.SESSIONS,), (Family.PERFORMANCE,))
"""Families of one statement."""


@dataclass(frozen=True, slots=True)
class MetricsQuestion:
    """Metrics over a range.

    Attributes:
        metrics: what to measure.
        span: when.
        buckets: how time is cut.
        breakdown: field to split by; None = no split.
        filters: conditions on events.
    """

    metrics: Sequence[Metric]
    span: TimeRange
    buckets: Buckets
    breakdown: Field | None
    filters: Sequence[Comparison]


@dataclass(frozen=True, slots=True)
class Point:
    """One bucket; no value where there is none."""

    start_ms: int
    value: float | None
    incomplete: bool


@dataclass(frozen=True, slots=True)
class Series:
    """One metric, of one breakdown value if there is a breakdown."""

    metric: Metric
    breakdown_value: str | None
    total: float | None
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class MetricsAnswer:
    """The series in the order of the metrics, and whether events in the range were sampled."""

    series: Sequence[Series]
    sampled: bool


@dataclass(frozen=True, slots=True)
class _Shape:
    """What every statement of a question shares."""

    tenant_id: str
    question: MetricsQuestion
    top: Sequence[str] | None
    sampled: bool

    def events(self, binder: Binder, *extra: str) -> Events:
        span = self.question.span
        where = [condition(item, binder) for item in self.question.filters]
        return Events(binder.moment(span.start_ms), binder.moment(span.end_ms), [*where, *extra])

    def value(self, binder: Binder) -> str:
        """The breakdown value of an event; once the top ones are known everything beyond them is one."""
        if self.question.breakdown is None:
            return "''"
        label = _label(self.question.breakdown)
        if self.top is None:
            return label
        return f"if(has({binder.bind(list(self.top), 'Array(String)')}, {label} AS label), label, '{OTHER}')"

    def bucket(self, milliseconds: str, binder: Binder) -> str:
        return self.question.buckets.expression(milliseconds, binder)

    def metrics(self, family: Family) -> list[Metric]:
        return [metric for metric in self.question.metrics if metric.family is family]

    @property
    def weight(self) -> str:
        return weight(sampled=self.sampled)


_Values = dict[str, dict[int, float]]
"""Breakdown value -> bucket start (or _WHOLE_KEY) -> value."""


async def get_metrics(asker: Asker, tenant_id: str, question: MetricsQuestion, now_ms: int) -> MetricsAnswer:
    """Answers the metrics. Raises what the engine raises."""
    whole = _Shape(tenant_id, question, None, sampled=False)
    binder = Binder()

    async def answer(sampled: bool) -> Sequence[Series]:
        return await _measure(asker, replace(whole, sampled=sampled), now_ms)

    return MetricsAnswer(*await answer_sampled_or_not(asker, tenant_id, whole.events(binder), binder, answer))


async def _measure(asker: Asker, shape: _Shape, now_ms: int) -> Sequence[Series]:
    question = shape.question
    values: dict[str, _Values] = {}
    if question.breakdown is not None:
        top, values = await _top_values(asker, shape)
        shape = replace(shape, top=top)
    plans = [plan for families in _TOGETHER if (plan := _plan(families, shape, done=values)) is not None]
    for plan, rows in zip(plans, await asker.fetch_all([plan.statement for plan in plans]), strict=True):
        values |= plan.read(rows)
    labels: list[str] = [""] if shape.top is None else list(shape.top)
    if shape.top is not None and any(OTHER in by_label for by_label in values.values()):
        labels = [*(label for label in labels if label != OTHER), OTHER]
    return [
        _series(metric, label, values[metric.name].get(label, {}), question, now_ms)
        for metric in question.metrics
        for label in labels
    ]


async def _top_values(asker: Asker, shape: _Shape) -> tuple[Sequence[str], dict[str, _Values]]:
    """The most frequent values of the breakdown, and the metrics that were answered on the way.

    Most fields have few values. So the sums over events are asked for with every value, and they are the answer if
    those are not too many; otherwise the top ones are found first.
    """
    buckets = len(shape.question.buckets.starts)
    if buckets <= _MAX_GUESS_BUCKETS:
        plan = _events_plan(shape.metrics(Family.EVENTS), shape)
        limit = (TOP_VALUES + 1) * (buckets + 1) + 1
        guess = replace(plan.statement, select=replace(plan.statement.select, limit=limit))
        rows = await asker.fetch(guess)
        counts = {str(row[2]): float(row[4]) for row in rows if row[0] and not row[1]}
        if len(rows) < limit and len(counts) <= TOP_VALUES:
            return sorted(counts, key=lambda label: (-counts[label], label)), plan.read(rows)
    binder = Binder()
    assert shape.question.breakdown is not None  # asked for breakdowns only
    select = Select(
        columns=[f"{_label(shape.question.breakdown)} AS value"],
        source=shape.events(binder),
        group_by=["value"],
        order_by=[f"sum({shape.weight}) DESC", "value"],
        limit=TOP_VALUES,
    )
    rows = await asker.fetch(Statement(shape.tenant_id, "top_values", select, binder))
    return [str(row[0]) for row in rows], {}


def _label(field: Field) -> str:
    return f"ifNull(toString({field.label}), '{NONE}')"


@dataclass(frozen=True, slots=True)
class _Plan:
    """A statement, and how its rows become values: see `_grouped` for a row."""

    statement: Statement
    metrics: Sequence[Metric]
    terms: Mapping[str, tuple[int, int | None]]
    """Metric name -> the number it is, or the two numbers whose ratio it is."""

    def read(self, rows: Sequence[Row]) -> dict[str, _Values]:
        numbers = {
            (str(value), _WHOLE_KEY if whole else int(bucket)): row
            for whole, everything, value, bucket, *row in rows
            if not everything
        }
        return {metric.name: self._values(metric, numbers) for metric in self.metrics}

    def _values(self, metric: Metric, numbers: Mapping[tuple[str, int], Sequence[float]]) -> _Values:
        numerator, denominator = self.terms[metric.name]
        values: _Values = defaultdict(dict)
        for (label, bucket), row in numbers.items():
            value = float(row[numerator])
            if denominator is not None:
                value = value / float(row[denominator]) if row[denominator] else math.nan
            if math.isfinite(value):  # an average of nothing is no value
                values[label][bucket] = value
        return values


def _plan(families: Sequence[Family], shape: _Shape, *, done: Mapping[str, object]) -> _Plan | None:
    metrics = [metric for family in families for metric in shape.metrics(family) if metric.name not in done]
    if not metrics:
        return None
    if Family.SESSIONS in families:
        return _sessions_plan(metrics, shape)
    if Family.PERFORMANCE in families:
        return _performance_plan(metrics, shape)
    return _events_plan(metrics, shape)


def _grouped(shape: _Shape, source: Rows, bucket: str, value: str, numbers: Sequence[str]) -> Select:
    """Rows: is it the whole range, is it all values together, value, bucket, numbers.

    The whole range is merged from the buckets by the engine, so what is no sum (distinct users, percentiles) is right
    there too, in one pass.
    """
    split = shape.question.breakdown is not None
    return Select(
        columns=[
            "grouping(bucket)",
            "grouping(value)" if split else "0",
            f"{value} AS value" if split else "''",
            f"{bucket} AS bucket",
            *numbers,
        ],
        source=source,
        group_by=["value", "bucket"] if split else ["bucket"],
        rollup=True,
    )


def _events_plan(metrics: Sequence[Metric], shape: _Shape) -> _Plan:
    binder = Binder()
    counts = _counts(metrics, shape, binder)
    each = shape.weight if counts is None else quarters.each(sampled=shape.sampled)
    numbers = [f"sum({each})"]
    terms: dict[str, tuple[int, int | None]] = {}
    for metric in metrics:
        if metric.kind == "events":
            terms[metric.name] = (0, None)
            continue
        terms[metric.name] = (len(numbers), 0 if metric.kind == "error_rate" else None)
        if metric.kind == "users":
            numbers.append(people("true", sampled=shape.sampled))
            continue
        test = IS_ERROR
        if metric.kind == "page_views":
            test = IS_PAGE_VIEW
        elif metric.kind == "count":
            test = f"event_name = {binder.bind(metric.argument, 'String')}"
        numbers.append(f"sumIf({each}, {test})")
    if counts is not None:
        select = _grouped(shape, counts, "bucket", "''", numbers)
    else:
        bucket, value = shape.bucket(EVENT_MS, binder), shape.value(binder)
        select = _grouped(shape, shape.events(binder), bucket, value, numbers)
    return _Plan(Statement(shape.tenant_id, "metrics_events", select, binder), metrics, terms)


def _counts(metrics: Sequence[Metric], shape: _Shape, binder: Binder) -> Union | None:
    """Events counted by quarter, name and category, where that is all that the metrics need."""
    question = shape.question
    if question.breakdown is not None or question.filters or any(metric.kind == "users" for metric in metrics):
        return None
    return quarters.counts(question.span, question.buckets, binder)


def _sessions_plan(metrics: Sequence[Metric], shape: _Shape) -> _Plan:
    binder = Binder()
    extras = [] if shape.question.breakdown is None else [Extra(shape.value(binder))]
    filters = [f"({condition(item, binder)})" for item in shape.question.filters]
    matching = " AND ".join(filters) or None
    sessions = sessions_select(shape.question.span, matching, binder, sampled=shape.sampled, extras=extras)
    numbers = ["sum(weight)", "sum(weight * duration_ms)", "sum(weight * bounced)", "sum(weight * page_views)"]
    select = _grouped(shape, sessions, shape.bucket("start_ms", binder), "extra0[1].2", numbers)
    terms: dict[str, tuple[int, int | None]] = {
        "sessions": (0, None),
        "avg_session_duration": (1, 0),
        "bounce_rate": (2, 0),
        "pages_per_session": (3, 0),
    }
    return _Plan(Statement(shape.tenant_id, "metrics_sessions", select, binder), metrics, terms)


def _performance_plan(metrics: Sequence[Metric], shape: _Shape) -> _Plan:
    binder = Binder()
    names = {metric.argument: binder.bind(metric.argument, "String") for metric in metrics}
    # No number is no measurement: percentiles pass NULL over.
    if len(names) == 1:
        numbers = [f"ifNull(quantileExactInclusive({metric.level:g})(number), nan)" for metric in metrics]
    else:
        numbers = [
            f"ifNull(quantileExactInclusiveIf({metric.level:g})(number, name = {names[metric.argument]}), nan)"
            for metric in metrics
        ]
    measurements = Select(
        columns=[
            f"{shape.bucket(EVENT_MS, binder)} AS bucket",
            f"{shape.value(binder)} AS value",
            f"{MEASUREMENT_NAME} AS name",
            f"{MEASUREMENT_VALUE} AS number",
        ],
        source=shape.events(binder, IS_MEASUREMENT, f"{MEASUREMENT_NAME} IN ({', '.join(names.values())})"),
    )
    terms: dict[str, tuple[int, int | None]] = {metric.name: (index, None) for index, metric in enumerate(metrics)}
    select = _grouped(shape, measurements, "bucket", "value", numbers)
    return _Plan(Statement(shape.tenant_id, "metrics_performance", select, binder), metrics, terms)


def _series(metric: Metric, label: str, values: Mapping[int, float], question: MetricsQuestion, now_ms: int) -> Series:
    nothing = 0.0 if metric.unit == "count" else None
    points = points_of(question.buckets, values, now_ms, nothing=nothing)
    breakdown_value = None if question.breakdown is None else label
    return Series(metric, breakdown_value, values.get(_WHOLE_KEY, nothing), points)


def points_of(
    buckets: Buckets, values: Mapping[int, float | None], now_ms: int, *, nothing: float | None
) -> list[Point]:
    """A point for each bucket, `nothing` where `values` say nothing. What is not over yet is never said to be zero."""
    points = []
    for index, start in enumerate(buckets.starts):
        incomplete = buckets.end_of(index) > now_ms
        value = values.get(start, nothing)
        points.append(Point(start, None if incomplete and not value else value, incomplete))
    return points
