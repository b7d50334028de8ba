"""The same by milliseconds alone, for the usual question: ids of events are large, and hardly ever decide.

They do where somebody starts and comes back in one millisecond and not again in that period: such people are told apart
as DOUBT, and when there are some, the statement with ids has to be asked. It has to be, too, where one event may be
start and return of different conditions, where events are sampled, and for a breakdown (of which start?).
"""

from obc_query.insights.filter_tree import selector_condition
from obc_query.insights.retention.hours import full_hour
from obc_query.insights.retention.question import RetentionQuestion
from obc_query.insights.retention.statements import (
    MEMBERS,
    may_return,
    may_start,
    period_of,
    relevant_events,
    unsampled_periods,
)
from obc_query.questions.expressions import EVENT_MS
from obc_query.statement import Binder, Select, Statement

DOUBT = -2
"""The period of the row that counts people of whom milliseconds do not tell whether they came back."""


def is_quick(question: RetentionQuestion) -> bool:
    """Whether milliseconds may do where nothing is sampled."""
    start, returning = question.start, question.returning
    apart = start.names and returning.names and not set(start.names) & set(returning.names)
    return question.breakdown is None and (start == returning or bool(apart))


def quick_statement(tenant_id: str, question: RetentionQuestion) -> Statement:
    """The rows of `cells_statement` without a breakdown, and perhaps rows of DOUBT."""
    binder = Binder()
    same = question.start == question.returning
    if same and question.recurring and not question.rolling:
        came_back, period = _by_bucket(question, binder), "one - cohort"
    else:
        members = _recurring(question, binder) if question.recurring else _first_time(question, binder)
        came_back, period = _later(question, members, binder), period_of(question, "one", binder)
    cells = f"arrayConcat([toInt64({MEMBERS})], periods)"
    if not same:
        settled = "notEmpty(periods)" if question.or_after else "has(periods, 0)"
        cells = f"if(tied AND NOT {settled}, arrayPushBack({cells}, toInt64({DOUBT})), {cells})"
    counted = Select(
        columns=["cohort", "base", "tied", f"{unsampled_periods(question, period, binder)} AS periods"],
        source=came_back,
    )
    select = Select(
        columns=["'' AS label", "cohort", "period", "count()", "min(base)", "max(base)"],
        source=Select(columns=["cohort", "base", f"arrayJoin({cells}) AS period"], source=counted),
        group_by=["cohort", "period"],
    )
    return Statement(tenant_id, "retention", select, binder)


def _by_bucket(question: RetentionQuestion, binder: Binder) -> Select:
    """The members of every cohort with the buckets they came back in, where starts and returns are the same events.

    The first event in a bucket is the start there, so a second one, whenever, is a return in period 0.
    """
    by_person = Select(
        columns=[
            f"groupArray({question.calendar.index_expression('moment', binder)}) AS numbers",
            f"groupUniqArrayIf({question.window.buckets.index_expression('moment', binder)}, starts) AS own",
        ],
        source=_moments(question, binder),
        group_by=["person"],
    )
    numbered = Select(columns=["own", "numbers", "arrayEnumerateUniq(numbers) AS times"], source=by_person)
    split = Select(
        columns=[
            "arrayJoin(own) AS cohort",
            "arrayFilter((one, nth) -> nth = 1, numbers, times) AS buckets",
            "arrayFilter((one, nth) -> nth = 2, numbers, times) AS again",
        ],
        source=numbered,
    )
    later = "arrayFilter(one -> one > cohort OR (one = cohort AND has(again, cohort)), buckets) AS later"
    # Periods of the calendar begin where their cohort does, whoever is in it.
    return Select(columns=["cohort", "toInt64(0) AS base", later, "false AS tied"], source=split)


def _later(question: RetentionQuestion, members: Select, binder: Binder) -> Select:
    """The members with the number of their cohort, the beginning of their period 0, and when they came back."""
    later = "arrayFilter(one -> one > start, returns)"
    if question.start == question.returning:
        # Another event of the start's millisecond is a return whatever its id: the start has the first one.
        later = f"if(tied, arrayPushBack({later}, start), {later})"
    base = "start"
    if question.rule == "rolling_hour":
        base = full_hour(base, question.span, question.window.zone, binder)
    return Select(
        columns=[
            f"{question.window.buckets.index_expression('start', binder)} AS cohort",
            f"{base} AS base",
            f"{later} AS later",
            "tied",
        ],
        source=members,
    )


def _first_time(question: RetentionQuestion, binder: Binder) -> Select:
    """One row for each person: start, returns, and whether another event than the start has its millisecond."""
    by_person = Select(
        columns=["minOrNullIf(moment, starts) AS own_start", "groupArrayIf(moment, returning) AS returns"],
        source=_moments(question, binder),
        group_by=["person"],
    )
    # One of the returns is the start itself when both are of one condition.
    others = "> 1" if question.start == question.returning else "> 0"
    return Select(
        columns=["assumeNotNull(own_start) AS start", "returns", f"countEqual(returns, start) {others} AS tied"],
        source=by_person,
        where=[f"own_start >= {binder.bind(question.span.start_ms, 'Int64')}"],
    )


def _recurring(question: RetentionQuestion, binder: Binder) -> Select:
    """One row for each person in each of their cohorts: the same."""
    same = question.start == question.returning
    columns = ["arraySort(groupArrayIf(moment, returning)) AS sorted"]
    if not same:
        columns.append("arraySort(groupArrayIf(moment, starts)) AS own")
    by_person = Select(columns=columns, source=_moments(question, binder), group_by=["person"])
    own = f"arrayFilter(one -> one < {binder.bind(question.span.end_ms, 'Int64')}, sorted)" if same else "own"
    cohort = question.window.buckets.index_expression("one", binder)
    returns = "sorted"
    if not question.rolling:
        # The last return of a bucket tells whether there is one after a start.
        bucket = question.calendar.index_expression("one", binder)
        returns = f"arrayFilter((one, next) -> {bucket} != next, sorted, {_shifted('Left', bucket, 'sorted')})"
    split = Select(
        columns=[
            f"{own} AS own_starts",
            f"arrayJoin(arrayFilter((one, before) -> {cohort} != before, own_starts, "
            f"{_shifted('Right', cohort, 'own_starts')})) AS start",
            f"{returns} AS returns",
            "arrayFilter((one, next) -> one = next, sorted, arrayShiftLeft(sorted, 1, toInt64(-1))) AS doubled",
        ],
        source=by_person,
    )
    tied = f"has({'doubled' if same else 'returns'}, start) AS tied"
    return Select(columns=["start", "returns", tied], source=split)


def _shifted(where: str, number: str, moments: str) -> str:
    """The numbers of the moments' neighbours; -1 where there is none."""
    return f"arrayShift{where}(arrayMap(one -> {number}, {moments}), 1, toInt64(-1))"


def _moments(question: RetentionQuestion, binder: Binder) -> Select:
    start = selector_condition(question.start, binder)
    returning = selector_condition(question.returning, binder)
    return Select(
        columns=[
            "person",
            f"{EVENT_MS} AS moment",
            f"({start}) AND {may_start(question, binder)} AS starts",
            f"({returning}) AND {may_return(question, binder)} AS returning",
        ],
        source=relevant_events(question, binder),
    )
