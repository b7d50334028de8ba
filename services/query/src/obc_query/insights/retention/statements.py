"""Retention as one pass over the events: gathered by person, each person's cohorts crossed with their returns.

The engine's `retention` function knows neither periods of one's own nor "later than the start", so arrays are folded.
An event's place in the order of a person is one number, PLACE.
"""

from collections.abc import Sequence

from obc_query.insights.filter_tree import filter_condition, selector_condition
from obc_query.insights.retention.hours import full_hour
from obc_query.insights.retention.question import RetentionQuestion
from obc_query.questions.expressions import NONE, OTHER, PLACE, moment_of, weight
from obc_query.statement import Binder, Events, Select, Statement

MEMBERS = -1
"""The period of the row that counts the cohort itself."""


def relevant_events(question: RetentionQuestion, binder: Binder) -> Events:
    """Every event that may start a person or bring them back."""
    start = selector_condition(question.start, binder)
    returning = selector_condition(question.returning, binder)
    where = ["person != ''"]
    if question.filter is not None:
        where.append(filter_condition(question.filter, binder))
    if question.start == question.returning:
        where.append(start)
    else:
        started = f"({start}) AND {may_start(question, binder)}"
        where.append(f"({started}) OR ({returning}) AND {may_return(question, binder)}")
    horizon = None if question.or_after else binder.moment(question.settled_ms)
    return Events(binder.moment(question.span.start_ms) if question.recurring else None, horizon, where)


def cells_statement(
    tenant_id: str,
    question: RetentionQuestion,
    *,
    sampled: bool,
    top: Sequence[str] | None = None,
    limit: int | None = None,
) -> Statement:
    """Rows: value of the breakdown, cohort, period, people, first and last beginning of their periods 0 in unix ms.

    A cohort is the number of its bucket. The row of the period MEMBERS counts everybody. With `or_after` and nothing
    sampled a person is in the row of the last period only that they came back in or after; they count in all before it.

    Args:
        tenant_id: whose.
        question: what.
        sampled: whether events may stand for more than themselves.
        top: values of the breakdown that are told apart; None = all of them.
        limit: of rows; None = no other than the cells there are.
    """
    binder = Binder()
    members = _members(question, binder, sampled=sampled)
    value = "value" if question.breakdown is not None else "''"
    if top is not None:
        value = f"if(has({binder.bind(list(top), 'Array(String)')}, value), value, '{OTHER}')"
    periods = (
        _sampled_periods(question, binder)
        if sampled
        else unsampled_periods(question, period_of(question, moment_of("one"), binder), binder)
    )
    came_back = Select(
        columns=[
            f"{value} AS label",
            "cohort",
            f"arrayJoin(arrayConcat([{_cell(str(MEMBERS), 'weight', sampled)}], {periods})) AS cell",
            "base",
        ],
        source=_later(question, members, binder, sampled=sampled),
    )
    period, people = ("cell.1", "sum(cell.2)") if sampled else ("cell", "count()")
    select = Select(
        columns=["label", "cohort", f"{period} AS period", people, "min(base)", "max(base)"],
        source=came_back,
        group_by=["label", "cohort", "period"],
        limit=limit,
    )
    return Statement(tenant_id, "retention", select, binder)


def top_values_statement(tenant_id: str, question: RetentionQuestion, *, sampled: bool) -> Statement:
    """Rows: the values of the breakdown with the largest cohorts, largest first. One may be `$other` itself."""
    binder = Binder()
    select = Select(
        columns=["value"],
        source=_members(question, binder, sampled=sampled),
        group_by=["value"],
        order_by=["sum(weight) DESC", "value"],
        limit=question.breakdown_limit + 1,
    )
    return Statement(tenant_id, "retention_values", select, binder)


def may_start(question: RetentionQuestion, binder: Binder) -> str:
    """The condition that an event is early enough to make a person part of a cohort."""
    return f"event_time < {binder.moment(question.span.end_ms)}"


def may_return(question: RetentionQuestion, binder: Binder) -> str:
    """The condition that an event is late enough to be a return."""
    return f"event_time >= {binder.moment(question.span.start_ms)}"


def _members(question: RetentionQuestion, binder: Binder, *, sampled: bool) -> Select:
    """One row for each person in each of their cohorts: start, value, weight, returns (with weights when sampled)."""
    start = selector_condition(question.start, binder)
    returning = selector_condition(question.returning, binder)
    label = "''" if question.breakdown is None else f"ifNull(toString({question.breakdown.label}), '{NONE}')"
    events = Select(
        columns=[
            "person",
            f"{PLACE} AS place",
            f"({start}) AND {may_start(question, binder)} AS starts",
            f"({returning}) AND {may_return(question, binder)} AS returning",
            f"{label} AS event_value",
            f"{weight(sampled=sampled)} AS event_weight",
        ],
        source=relevant_events(question, binder),
    )
    returns = f"groupArrayIf({'(place, event_weight)' if sampled else 'place'}, returning) AS returns"
    if not question.recurring:
        by_person = Select(
            columns=[
                "minIf(place, starts) AS start",
                "argMinIf(event_value, place, starts) AS value" if question.breakdown is not None else "'' AS value",
                "argMinIf(event_weight, place, starts) AS weight" if sampled else "1 AS weight",
                returns,
            ],
            source=events,
            group_by=["person"],
        )
        # 0 where there is no start; a place is never 0, for no id is.
        here = f"start > 0 AND {moment_of('start')} >= {binder.bind(question.span.start_ms, 'Int64')}"
        return Select(columns=["start", "value", "weight", "returns"], source=by_person, where=[here])
    by_person = Select(
        columns=["arraySort(groupArrayIf((place, event_value, event_weight), starts)) AS own", returns],
        source=events,
        group_by=["person"],
    )
    cohort = question.window.buckets.index_expression(moment_of("one.1"), binder)
    numbered = Select(columns=["own", f"arrayMap(one -> {cohort}, own) AS cohorts", "returns"], source=by_person)
    split = Select(
        columns=[
            "arrayJoin(arrayFilter((one, before) -> one.2 != before, arrayZip(own, cohorts), "
            "arrayShiftRight(cohorts, 1, toInt64(-1)))) AS first",
            "own",
            "cohorts",
            "returns",
        ],
        source=numbered,
    )
    least = "arrayMin(arrayMap((one, cohort) -> if(cohort = first.2, one.3, first.1.3), own, cohorts))"
    return Select(
        columns=[
            "first.1.1 AS start",
            "first.1.2 AS value",
            f"{least if sampled else '1'} AS weight",
            "returns",
        ],
        source=split,
    )


def _later(question: RetentionQuestion, members: Select, binder: Binder, *, sampled: bool) -> Select:
    """The members with the number of their cohort, the beginning of their period 0, and when they came back."""
    base = moment_of("start")
    if question.rule == "rolling_hour":
        base = full_hour(base, question.span, question.window.zone, binder)
    later = "arrayFilter(one -> one.1 > start, returns)" if sampled else "arrayFilter(one -> one > start, returns)"
    return Select(
        columns=[
            "value",
            "weight",
            f"{question.window.buckets.index_expression(moment_of('start'), binder)} AS cohort",
            f"{base} AS base",
            f"{later} AS later",
        ],
        source=members,
    )


def period_of(question: RetentionQuestion, moment: str, binder: Binder) -> str:
    """The period of a moment in unix ms, for a member with `base` and `cohort`."""
    if question.rolling:
        return f"intDiv({moment} - base, {binder.bind(question.period_ms, 'Int64')})"
    return f"{question.calendar.index_expression(moment, binder)} - cohort"


def unsampled_periods(question: RetentionQuestion, period: str, binder: Binder) -> str:
    """The periods that a member came back in, as an array; with `or_after` only the last one.

    Args:
        question: what.
        period: of `one` in the array `later`, an expression.
        binder: of the statement.
    """
    periods, last = _all_periods(question, period, binder), binder.bind(question.periods, "Int64")
    if question.or_after:
        return f"if(empty(later), [], [toInt64(least(arrayMax({periods}), {last}))])"
    return f"arrayFilter(period -> period <= {last}, arrayDistinct({periods}))"


def _sampled_periods(question: RetentionQuestion, binder: Binder) -> str:
    """The periods that a member came back in with what they weigh there."""
    periods = _all_periods(question, period_of(question, moment_of("one.1"), binder), binder)
    last = binder.bind(question.periods, "Int64")
    if question.or_after:
        counts, cells = ">=", f"if(empty(later), [], range(0, toInt64(least(arrayMax({periods}), {last}) + 1)))"
    else:
        counts, cells = "=", f"arrayFilter(period -> period <= {last}, arrayDistinct({periods}))"
    return (
        f"arrayMap(period -> (period, arrayMin(arrayMap((one, at) -> if(at {counts} period, least(one.2, weight), "
        f"weight), later, {periods}))), {cells})"
    )


def _all_periods(question: RetentionQuestion, period: str, binder: Binder) -> str:
    """The period of each in `later`; all after the last one are one."""
    return f"arrayMap(one -> least({period}, {binder.bind(question.periods, 'Int64')} + 1), later)"


def _cell(period: str, weight_of: str, sampled: bool) -> str:
    return f"(toInt64({period}), toFloat64({weight_of}))" if sampled else f"toInt64({period})"
