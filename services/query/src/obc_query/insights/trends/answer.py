"""Trends: the breakdown's top values, then every series of every period side by side, then what follows of them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from obc.query.v1 import trends_pb2
from obc_common.errors import InvalidArgument
from obc_query.asker import Asker
from obc_query.codec import metric_points
from obc_query.insights.breakdown import Labels, TopValues, read_top_values, top_values_statement
from obc_query.insights.filter_tree import matching_events
from obc_query.insights.trends.lines import Line, computed_line, measured_line, rolling
from obc_query.insights.trends.one_pass import fits_one_pass, one_pass, shown_values
from obc_query.insights.trends.question import Period, TrendsQuestion
from obc_query.insights.trends.statements import Measured, Plan, plans
from obc_query.questions.expressions import EVENT_MS, weight
from obc_query.questions.sampling import answer_sampled_or_not
from obc_query.statement import Binder, Events, Statement

MAX_POINTS = 100_000
"""Of one answer: 2 MB as a message. More is for nobody to look at."""
MAX_COMPUTED = 1_000_000
"""Operations of all formulas at all points: half a second."""

_Found = Mapping[tuple[int, int], Measured]


@dataclass(frozen=True, slots=True)
class _Measurement:
    """What the engine said: the breakdown's values with their numbers, and for each period the lines of all series."""

    shown: Sequence[tuple[int, Labels]]
    lines: Sequence[Mapping[tuple[int, int], Line]]


async def answer(asker: Asker, tenant_id: str, question: TrendsQuestion, now_ms: int) -> trends_pb2.QueryTrendsResponse:
    """Asks the engine. Raises what the engine raises, and InvalidArgument(TOO_MANY_POINTS)."""
    binder = Binder()

    async def ask(sampled: bool) -> _Measurement:
        return await _measure(asker, tenant_id, question, now_ms, sampled=sampled)

    measurement, sampled = await answer_sampled_or_not(asker, tenant_id, _events(question, binder), binder, ask)
    response = trends_pb2.QueryTrendsResponse(
        from_ms=question.span.start_ms,
        to_ms=question.span.end_ms,
        interval=question.window.interval,
        timezone=question.window.zone.key,
    )
    for index, series in enumerate(question.series):
        for value, labels in measurement.shown:
            lines = [by_value[index, value] for by_value in measurement.lines]
            response.results.append(_result(question, chr(ord("A") + index), series.event.label, labels, lines))
            await asyncio.sleep(0)
    for formula in question.formulas:
        for value, labels in measurement.shown:
            lines = [
                computed_line(formula.node, [by_value[i, value] for i in range(len(question.series))], period, now_ms)
                for period, by_value in zip(question.periods, measurement.lines, strict=True)
            ]
            response.results.append(_result(question, formula.text, formula.text, labels, lines))
            # Ten thousand points take a while: others have their turn.
            await asyncio.sleep(0)
    response.info.sampled = sampled
    return response


def top_statement(tenant_id: str, question: TrendsQuestion, *, sampled: bool) -> Statement:
    """Asks for the breakdown's values; those of the period before come last, as having no events."""
    binder = Binder()
    each = weight(sampled=sampled)
    events = _events(question, binder)
    if question.previous is not None:
        each = f"if({EVENT_MS} >= {binder.bind(question.span.start_ms, 'Int64')}, {each}, 0)"
    return top_values_statement(tenant_id, question.breakdowns, events, binder, each, question.breakdown_limit)


def _events(question: TrendsQuestion, binder: Binder) -> Events:
    return matching_events(question.whole, [series.event for series in question.series], question.filter, binder)


async def _measure(
    asker: Asker, tenant_id: str, question: TrendsQuestion, now_ms: int, *, sampled: bool
) -> _Measurement:
    if not sampled and fits_one_pass(question):
        return await _measure_at_once(asker, tenant_id, question, now_ms)
    top: TopValues | None = None
    shown: Sequence[tuple[int, Labels]] = [(0, ())]
    if question.breakdowns:
        rows = await asker.fetch(top_statement(tenant_id, question, sampled=sampled))
        top = read_top_values(question.breakdowns, rows, question.breakdown_limit)
        shown = top.shown
    _check_size(question, len(shown))
    if not shown:
        return _Measurement(shown, [{} for _ in question.periods])
    by_period = [plans(tenant_id, question, period, top, sampled=sampled) for period in question.periods]
    statements = [plan.statement for period_plans in by_period for plan in period_plans]
    rows_of = iter(await asker.fetch_all(statements))
    lines = []
    for period, period_plans in zip(question.periods, by_period, strict=True):
        found: dict[tuple[int, int], Line] = {}
        for plan in period_plans:
            found |= _lines(plan, plan.read(next(rows_of)), period, shown, now_ms)
        lines.append(found)
    return _Measurement(shown, lines)


async def _measure_at_once(asker: Asker, tenant_id: str, question: TrendsQuestion, now_ms: int) -> _Measurement:
    plan = one_pass(tenant_id, question)
    rows = await asker.fetch(plan.statement)
    shown = shown_values(question, rows)
    _check_size(question, len(shown))
    return _Measurement(shown, [_lines(plan, plan.read(rows), period, shown, now_ms) for period in question.periods])


def _lines(
    plan: Plan, found: _Found, period: Period, shown: Sequence[tuple[int, Labels]], now_ms: int
) -> dict[tuple[int, int], Line]:
    return {
        (series, value): measured_line(
            found.get((series, value), Measured(measure.nothing)), period, now_ms, nothing=measure.nothing
        )
        for series, measure in plan.measures.items()
        for value, _ in shown
    }


def _check_size(question: TrendsQuestion, values: int) -> None:
    buckets = sum(len(period.buckets.starts) for period in question.periods)
    points = (len(question.series) + len(question.formulas)) * values * buckets
    computed = sum(formula.node.nodes for formula in question.formulas) * values * buckets
    if points > MAX_POINTS or computed > MAX_COMPUTED:
        raise InvalidArgument(
            "TOO_MANY_POINTS",
            f"the answer would hold {points} points, {MAX_POINTS} are the most, and {computed} operations of formulas, "
            f"{MAX_COMPUTED} are the most; take a longer interval or fewer values of the breakdown",
            field="breakdown_limit" if question.breakdowns else "interval",
        )


def _result(
    question: TrendsQuestion, series: str, label: str, labels: Labels, lines: Sequence[Line]
) -> trends_pb2.TrendResult:
    current, *before = [rolling(line, question.rolling) for line in lines]
    result = trends_pb2.TrendResult(
        series=series,
        label=label,
        breakdown_values=labels,
        total=current.total,
        points=metric_points(current.points),
        skipped=current.skipped,
    )
    for previous in before:
        if previous.total is not None:
            result.previous_total = previous.total
        result.previous_points.extend(metric_points(previous.points))
    return result
