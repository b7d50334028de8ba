"""GetMetrics: named metrics over time, whole and split by a field.

Metrics of one family share a statement. Sums are added up over buckets for the whole range; distinct users and
percentiles are not sums, so the whole range is a statement of its own.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from obc_query.asker import Asker
from obc_query.buckets import Buckets
from obc_query.engine import Row
from obc_query.fields import Field
from obc_query.filters import Filter, condition
from obc_query.metric_names import Family, Metric
from obc_query.questions.expressions import (
    EVENT_MS,
    IS_ERROR,
    IS_MEASUREMENT,
    IS_PAGE_VIEW,
    MEASUREMENT_NAME,
    MEASUREMENT_VALUE,
    NONE,
    OTHER,
    WEIGHT,
)
from obc_query.questions.sessions import first_extra, sessions_select
from obc_query.ranges import TimeRange
from obc_query.statement import Binder, Events, Select, Statement

TOP_VALUES = 200
_WHOLE = "toInt64(-1)"
_WHOLE_KEY = -1


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
    filters: Sequence[Filter]


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
        """The breakdown value of an event; everything beyond the top ones is one."""
        if self.question.breakdown is None or self.top is None:
            return "''"
        label = _label(self.question.breakdown)
        return f"if(has({binder.bind(list(self.top), 'Array(String)')}, {label} AS label), label, '{OTHER}')"

    def bucket(self, milliseconds: str, binder: Binder, *, whole: bool) -> str:
        return _WHOLE if whole else self.question.buckets.expression(milliseconds, binder)


_Values = dict[str, dict[int, float]]
"""Breakdown value -> bucket start (or _WHOLE_KEY) -> value."""


async def get_metrics(asker: Asker, tenant_id: str, question: MetricsQuestion, now_ms: int) -> MetricsAnswer:
    """Answers the metrics. Raises what the engine raises."""
    top, sampled = await _prepare(asker, tenant_id, question)
    shape = _Shape(tenant_id, question, top, sampled)
    plans = [plan for family in Family if (plan := _plan(family, shape)) is not None]
    results = await asker.fetch_all([statement for plan in plans for statement in plan.statements])
    values: dict[str, _Values] = {}
    for plan in plans:
        rows = [row for _ in plan.statements for row in results.pop(0)]
        values |= plan.read(rows)
    labels: list[str] = [""] if top is None else list(top)
    if top is not None and any(OTHER in by_label for by_label in values.values()):
        labels = [*(label for label in labels if label != OTHER), OTHER]
    series = [
        _series(metric, label, values[metric.name].get(label, {}), question, now_ms)
        for metric in question.metrics
        for label in labels
    ]
    return MetricsAnswer(series, sampled)


async def _prepare(asker: Asker, tenant_id: str, question: MetricsQuestion) -> tuple[Sequence[str] | None, bool]:
    shape = _Shape(tenant_id, question, None, sampled=False)
    binder = Binder()
    sampled = Statement(
        tenant_id, "sampled", Select(["count() > 0 AND min(sample_rate) < 1"], shape.events(binder)), binder
    )
    if question.breakdown is None:
        return None, bool((await asker.fetch(sampled))[0][0])
    binder = Binder()
    values = Select(
        columns=[f"{_label(question.breakdown)} AS value"],
        source=shape.events(binder),
        group_by=["value"],
        order_by=[f"sum({WEIGHT}) DESC", "value"],
        limit=TOP_VALUES,
    )
    flag, rows = await asker.fetch_all([sampled, Statement(tenant_id, "top_values", values, binder)])
    return [str(row[0]) for row in rows], bool(flag[0][0])


def _label(field: Field) -> str:
    return f"ifNull(toString({field.label}), '{NONE}')"


@dataclass(frozen=True, slots=True)
class _Plan:
    """Statements of one family, and how their rows become values. A row is: bucket, breakdown value, numbers."""

    statements: Sequence[Statement]
    metrics: Sequence[Metric]
    terms: Mapping[str, tuple[int, int | None]]
    """Metric name -> the number it is, or the two numbers whose ratio it is."""
    additive: bool

    def read(self, rows: Sequence[Row]) -> dict[str, _Values]:
        numbers: dict[tuple[str, int], Sequence[float]] = {(row[1], int(row[0])): row[2:] for row in rows}
        if self.additive:
            by_label: defaultdict[str, list[Sequence[float]]] = defaultdict(list)
            for (label, _), row in numbers.items():
                by_label[label].append(row)
            for label, parts in by_label.items():
                numbers[label, _WHOLE_KEY] = [math.fsum(column) for column in zip(*parts, strict=True)]
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


def _plan(family: Family, shape: _Shape) -> _Plan | None:
    metrics = [metric for metric in shape.question.metrics if metric.family is family]
    if not metrics:
        return None
    if family is Family.EVENTS:
        return _events_plan(metrics, shape)
    if family is Family.SESSIONS:
        return _sessions_plan(metrics, shape)
    if family is Family.USERS:
        statements = [_users_statement(shape, whole=whole) for whole in (False, True)]
        return _Plan(statements, metrics, {metric.name: (0, None) for metric in metrics}, additive=False)
    statements = [_performance_statement(metrics, shape, whole=whole) for whole in (False, True)]
    terms: dict[str, tuple[int, int | None]] = {metric.name: (index, None) for index, metric in enumerate(metrics)}
    return _Plan(statements, metrics, terms, additive=False)


def _events_plan(metrics: Sequence[Metric], shape: _Shape) -> _Plan:
    binder = Binder()
    columns = [f"sum({WEIGHT})"]
    terms: dict[str, tuple[int, int | None]] = {}
    for metric in metrics:
        if metric.kind == "events":
            terms[metric.name] = (0, None)
            continue
        test = IS_ERROR
        if metric.kind == "page_views":
            test = IS_PAGE_VIEW
        elif metric.kind == "count":
            test = f"event_name = {binder.bind(metric.argument, 'String')}"
        terms[metric.name] = (len(columns), 0 if metric.kind == "error_rate" else None)
        columns.append(f"sumIf({WEIGHT}, {test})")
    select = Select(
        columns=[
            f"{shape.bucket(EVENT_MS, binder, whole=False)} AS bucket",
            f"{shape.value(binder)} AS value",
            *columns,
        ],
        source=shape.events(binder),
        group_by=["bucket", "value"],
    )
    return _Plan([Statement(shape.tenant_id, "metrics_events", select, binder)], metrics, terms, additive=True)


def _sessions_plan(metrics: Sequence[Metric], shape: _Shape) -> _Plan:
    binder = Binder()
    sessions = sessions_select(shape.question.span, shape.question.filters, binder, extras=[shape.value(binder)])
    select = Select(
        columns=[
            f"{shape.bucket('start_ms', binder, whole=False)} AS bucket",
            f"toString({first_extra(0)}) AS value",
            "sum(weight)",
            "sum(weight * duration_ms)",
            "sum(weight * bounced)",
            "sum(weight * page_views)",
        ],
        source=sessions,
        group_by=["bucket", "value"],
    )
    terms: dict[str, tuple[int, int | None]] = {
        "sessions": (0, None),
        "avg_session_duration": (1, 0),
        "bounce_rate": (2, 0),
        "pages_per_session": (3, 0),
    }
    return _Plan([Statement(shape.tenant_id, "metrics_sessions", select, binder)], metrics, terms, additive=True)


def _users_statement(shape: _Shape, *, whole: bool) -> Statement:
    binder = Binder()
    bucket = f"{shape.bucket(EVENT_MS, binder, whole=whole)} AS bucket"
    value = f"{shape.value(binder)} AS value"
    events = shape.events(binder, "person != ''")
    if shape.sampled:
        # A kept user stands for 1/rate users; where the rate changed, for as many as at the highest rate seen.
        people = Select(
            [bucket, value, "person", f"min({WEIGHT}) AS weight"], events, group_by=["bucket", "value", "person"]
        )
        select = Select(["bucket", "value", "sum(weight)"], people, group_by=["bucket", "value"])
    else:
        select = Select([bucket, value, "uniqExact(person)"], events, group_by=["bucket", "value"])
    return Statement(shape.tenant_id, "metrics_users", select, binder)


def _performance_statement(metrics: Sequence[Metric], shape: _Shape, *, whole: bool) -> Statement:
    binder = Binder()
    names = [binder.bind(metric.argument, "String") for metric in metrics]
    columns = [
        f"quantileExactInclusiveIf({metric.level:g})(number, name = {name})"
        for metric, name in zip(metrics, names, strict=True)
    ]
    measurements = Select(
        columns=[
            f"{shape.bucket(EVENT_MS, binder, whole=whole)} AS bucket",
            f"{shape.value(binder)} AS value",
            f"ifNull({MEASUREMENT_NAME}, '') AS name",
            f"assumeNotNull({MEASUREMENT_VALUE}) AS number",
        ],
        source=shape.events(binder, IS_MEASUREMENT, f"isNotNull({MEASUREMENT_VALUE})"),
    )
    select = Select(["bucket", "value", *columns], measurements, group_by=["bucket", "value"])
    return Statement(shape.tenant_id, "metrics_performance", select, binder)


def _series(metric: Metric, label: str, values: Mapping[int, float], question: MetricsQuestion, now_ms: int) -> Series:
    nothing = 0.0 if metric.unit == "count" else None
    points = []
    for index, start in enumerate(question.buckets.starts):
        incomplete = question.buckets.end_of(index) > now_ms
        value = values.get(start, nothing)
        # What is not over yet is never said to be zero.
        points.append(Point(start, None if incomplete and not value else value, incomplete))
    breakdown_value = None if question.breakdown is None else label
    return Series(metric, breakdown_value, values.get(_WHOLE_KEY, nothing), points)
