"""The events of a funnel: an array for every person or session, in order.

Most are numbers. What two events of one code have not in common (what they match beyond the first step, values,
weights) is carried beside it, and then the ids decide their order: they are asked for where that happens.
"""

from collections.abc import Sequence

from obc_query.fields import Field
from obc_query.insights.breakdown import label_expression
from obc_query.insights.filter_tree import any_of, filter_condition, selector_condition
from obc_query.insights.funnels.layout import Layout, milliseconds, needs_exclusions
from obc_query.insights.funnels.question import CODES, FunnelQuestion
from obc_query.questions.expressions import EVENT_MS, WEIGHT
from obc_query.questions.sessions import GAP_MS
from obc_query.statement import Binder, Events, Select


def units(question: FunnelQuestion, known: Layout, binder: Binder) -> Select:
    """Rows: `events`, the sorted events of each person or session who has some; `in_doubt` where ids are missing."""
    sessions = question.counting == "sessions"
    only_steps = not sessions and question.order != "strict" and not needs_exclusions(question)
    element = [_field(question, known, field, binder, only_steps=only_steps) for field in known.fields]
    fields = ", ".join(element)
    gathered = f"groupArray({fields})" if len(element) == 1 else f"groupArray(({fields}))"
    where = ["session_id != ''" if sessions else "person != ''"]
    if not sessions and question.order != "strict":
        where.append(_steps_or_exclusions(question, binder))
    source = Events(binder.moment(question.events_span.start_ms), binder.moment(question.events_span.end_ms), where)
    if not sessions:
        return Select([f"arraySort({gathered}) AS events", *_in_doubt(question, known)], source, group_by=["person"])
    by_session = Select(
        [f"arraySort(event -> {known.of('event', 'code')}, {gathered}) AS all_events"], source, group_by=["session_id"]
    )
    pieces = Select([f"arrayJoin({_cut(known)}) AS piece"], by_session)
    kept = "piece" if question.order == "strict" else f"arrayFilter(event -> {_is_of_use(question, known)}, piece)"
    return Select([f"arraySort({kept}) AS events", *_in_doubt(question, known)], pieces)


def meets_steps(question: FunnelQuestion, binder: Binder) -> Events:
    """The events that can be steps."""
    whose = "session_id != ''" if question.counting == "sessions" else "person != ''"
    steps = _all_hold([any_of(question.steps, binder), _shared(question, binder)])
    return Events(
        binder.moment(question.events_span.start_ms), binder.moment(question.events_span.end_ms), [whose, steps]
    )


def _in_doubt(question: FunnelQuestion, known: Layout) -> list[str]:
    """Whether events of one code differ. The order of those that are no steps is of no account."""
    if not known.in_doubt:
        return []
    code, following = known.of("event", "code"), known.of("next", "code")
    tied = f"{code} = {following} AND event != next AND bitAnd({code}, {CODES - 1}) < {len(question.steps)}"
    return [f"arrayExists((event, next) -> {tied}, arrayPopBack(events), arrayPopFront(events)) AS in_doubt"]


def _steps_or_exclusions(question: FunnelQuestion, binder: Binder) -> str:
    steps = _all_hold([any_of(question.steps, binder), _shared(question, binder)])
    if not needs_exclusions(question) or steps == "true":
        return steps
    excluded = any_of([exclusion.event for exclusion in question.exclusions], binder)
    return "true" if excluded == "true" else f"({steps}) OR {excluded}"


def _shared(question: FunnelQuestion, binder: Binder) -> str:
    return "true" if question.filter is None else filter_condition(question.filter, binder)


def _all_hold(conditions: Sequence[str]) -> str:
    return " AND ".join(f"({condition})" for condition in conditions if condition != "true") or "true"


def _field(question: FunnelQuestion, known: Layout, field: str, binder: Binder, *, only_steps: bool) -> str:
    if field == "code":
        return f"{EVENT_MS} * {CODES} + {_first_step(question, known, binder, only_steps=only_steps)}"
    if field == "tie":
        return "toUInt128(event_id)"
    if field == "mask":
        mask = _bits([selector_condition(step, binder) for step in question.steps])
        return (
            mask if only_steps or question.filter is None else f"if({_shared(question, binder)}, {mask}, toUInt32(0))"
        )
    if field == "excluded":
        return _excluded(question, binder)
    if field == "held":
        return f"sipHash128({', '.join(_typed_value(field) for field in question.held_constant)})"
    if field == "weight":
        return WEIGHT
    assert question.breakdown is not None  # `label` is the last field there is
    return label_expression(question.breakdown.field)


def _excluded(question: FunnelQuestion, binder: Binder) -> str:
    return _bits([selector_condition(exclusion.event, binder) for exclusion in question.exclusions])


def _first_step(question: FunnelQuestion, known: Layout, binder: Binder, *, only_steps: bool) -> str:
    """The first step that an event matches. Where there are only events of steps the last need not be looked for."""
    looked_for = question.steps[:-1] if only_steps else question.steps
    cases = [f"{selector_condition(step, binder)}, {place}" for place, step in enumerate(looked_for)]
    none = f"{len(looked_for)} + {_excluded(question, binder)}" if known.first_excluded else f"{len(looked_for)}"
    if question.filter is not None and not only_steps:
        # Exclusions are of events that the filter does not mean, too.
        cases.insert(0, f"NOT ({_shared(question, binder)}), {none}")
    return f"multiIf({', '.join(cases)}, {none})"


def _bits(conditions: Sequence[str]) -> str:
    return f"toUInt32({' + '.join(f'({condition}) * {2**place}' for place, condition in enumerate(conditions))})"


def _typed_value(field: Field) -> str:
    """A text that is the same for the same value of the same type only; '' for none."""
    cases = [f"NOT ({field.exists}), ''"]
    if field.number is not None:
        # Zero is zero, whatever its sign.
        cases.append(f"isNotNull({field.number}), concat('n', ifNull(toString({field.number} + 0), ''))")
    if field.boolean is not None:
        cases.append(f"isNotNull({field.boolean}), concat('b', ifNull(toString({field.boolean}), ''))")
    if field.text is not None:
        cases.append(f"isNotNull({field.text}), concat('s', ifNull(toString({field.text}), ''))")
    return f"multiIf({', '.join(cases)}, concat('o', ifNull(toString({field.label}), '')))"


def _cut(known: Layout) -> str:
    times = f"arrayMap(event -> {milliseconds(known.of('event', 'code'))}, all_events)"
    return f"arraySplit((event, gap) -> gap >= {GAP_MS}, all_events, arrayDifference({times}))"


def _is_of_use(question: FunnelQuestion, known: Layout) -> str:
    step = f"bitAnd({known.of('event', 'code')}, {CODES - 1})"
    matches = f"{step} < {len(question.steps)}"
    if known.first_excluded:
        return f"{step} != {len(question.steps)}"
    return f"{matches} OR {known.of('event', 'excluded')} != 0" if known.has("excluded") else matches
