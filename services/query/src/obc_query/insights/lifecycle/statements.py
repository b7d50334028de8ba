"""The lifecycle as one pass over the events: when each person is active, and whether they were there before."""

from obc_query.insights.filter_tree import filter_condition, selector_condition
from obc_query.insights.lifecycle.question import LifecycleQuestion
from obc_query.questions.expressions import EVENT_MS, WEIGHT
from obc_query.statement import Binder, Events, Select, Statement

STATES = ("new", "returning", "resurrecting", "dormant")


def relevant_events(question: LifecycleQuestion, binder: Binder) -> Events:
    """Everything ever until the end of the last bucket: who is new has not been there before."""
    where = ["person != ''"]
    if (event := selector_condition(question.event, binder)) != "true":
        where.append(event)
    if question.filter is not None:
        where.append(filter_condition(question.filter, binder))
    return Events(None, binder.moment(question.calendar.end), where)


def states_statement(tenant_id: str, question: LifecycleQuestion, *, sampled: bool) -> Statement:
    """Rows: number of the bucket, number of the state in STATES, people.

    A bucket's number is the one in the question's calendar, where 0 is the one before the window; there are rows for
    that one, and for who is dormant in the one after the window, which mean nothing.

    Args:
        tenant_id: whose.
        question: what.
        sampled: whether events may stand for more than themselves.
    """
    binder = Binder()
    calendar = question.calendar
    number = calendar.index_expression(EVENT_MS, binder)
    in_view = f"event_time >= {binder.moment(calendar.starts[0])}"
    if sampled:
        # A person weighs in a bucket what their lightest event there does.
        active = f"minMapIf([{number}], [toFloat64({WEIGHT})], {in_view}) AS found"
        columns = ["found.1 AS active", "found.2 AS weights"]
    else:
        active = f"groupUniqArrayIf({number}, {in_view}) AS found"
        columns = ["found AS active"]
    by_person = Select(
        columns=[f"min(event_time) >= {binder.moment(calendar.starts[0])} AS is_new", active],
        source=relevant_events(question, binder),
        group_by=["person"],
    )
    seen = Select(columns=[*columns, "is_new"], source=by_person, where=["notEmpty(active)"])
    here = "multiIf(has(active, one - 1), 1, is_new AND one = arrayMin(active), 0, 2)"
    gone = "arrayFilter(one -> NOT has(active, one + 1), active)"
    if sampled:
        cells = (
            f"arrayConcat(arrayMap((one, weight) -> (one, {here}, weight), active, weights), "
            "arrayMap((one, weight) -> (one + 1, 3, weight), "
            f"{gone}, arrayFilter((weight, one) -> NOT has(active, one + 1), weights, active)))"
        )
        people = "sum(cell.3)"
    else:
        cells = f"arrayConcat(arrayMap(one -> (one, {here}), active), arrayMap(one -> (one + 1, 3), {gone}))"
        people = "count()"
    select = Select(
        columns=["cell.1 AS number", "cell.2 AS state", people],
        source=Select(columns=[f"arrayJoin({cells}) AS cell"], source=seen),
        group_by=["number", "state"],
    )
    return Statement(tenant_id, "lifecycle", select, binder)
