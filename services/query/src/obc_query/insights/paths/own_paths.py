"""The paths of a question: the events in one pass, by session or person; sessions cut; steps chosen and collapsed."""

from obc_query.insights.filter_tree import selector_condition
from obc_query.insights.paths.elements import Elements
from obc_query.insights.paths.question import PathsQuestion
from obc_query.questions.expressions import EVENT_MS, WEIGHT
from obc_query.questions.sessions import GAP_MS
from obc_query.statement import Binder, Events, Select


def step_events(question: PathsQuestion, binder: Binder, *further: str) -> Events:
    """The events that are steps, and meet further conditions."""
    span = question.read_span
    where = [part for part in (_step(question, binder),) if part != "true"]
    return Events(binder.moment(span.start_ms), binder.moment(span.end_ms), [*where, *further])


def is_somebodys(question: PathsQuestion) -> str:
    """The condition that an event may be in a path."""
    return "session_id != ''" if question.by_session else "person != ''"


def _step(question: PathsQuestion, binder: Binder) -> str:
    """The condition that an event is a step."""
    exists = "true" if question.step_field.name == "event_name" else question.step_field.exists
    chosen = selector_condition(question.steps, binder)
    return " AND ".join(f"({part})" for part in (exists, chosen) if part != "true") or "true"


def weight_column(*, sampled: bool) -> list[str]:
    """What a path counts, where it is not always one."""
    return ["weight"] if sampled else []


def paths_select(question: PathsQuestion, elements: Elements, binder: Binder, *, sampled: bool) -> Select:
    """One row per path: `steps`, cut and collapsed, the index `zero` of step 0 among them, and `weight`.

    And `in_doubt` where the elements cannot say what the order of the steps is.
    """
    place = None if question.anchor is None else question.anchor.place
    steps, zero = "chosen", "1"
    if place == "start":
        steps = "arraySlice(chosen, found)"
    elif place == "end":
        steps = "arraySlice(chosen, 1, found)"
        zero = "length(steps)"
    elif place == "around":
        zero = "found"
    if question.collapse:
        steps = _collapsed(steps, elements)
        if place == "around":
            zero = f"length({_collapsed('arraySlice(chosen, 1, found)', elements)})"
    return Select(
        columns=[
            f"{steps} AS steps",
            f"toInt64({zero}) AS zero",
            *weight_column(sampled=sampled),
            *([] if (in_doubt := elements.is_in_doubt("chosen")) is None else [f"{in_doubt} AS in_doubt"]),
        ],
        source=_chosen(question, elements, binder, sampled=sampled),
        where=["notEmpty(chosen)" if place is None else "found != 0"],
    )


def _collapsed(steps: str, elements: Elements) -> str:
    return f"arrayCompact(event -> {elements.name('event')}, {steps})"


def _chosen(question: PathsQuestion, elements: Elements, binder: Binder, *, sampled: bool) -> Select:
    """One row per session or person: its steps as `chosen`, the index of the one `found` for step 0, and `weight`."""
    # Also of a person, who has steps only: a name that was not there yet when names were read is no step.
    columns = [f"arrayFilter(event -> {elements.is_step('event')}, own) AS chosen"]
    if question.anchor is not None:
        index = "arrayLastIndex" if question.anchor.place == "end" else "arrayFirstIndex"
        columns.append(f"{index}(event -> {elements.is_anchor('event')}, chosen) AS found")
    if not question.by_session:
        return Select(
            [*columns, *weight_column(sampled=sampled)], _gathered(question, elements, binder, sampled=sampled)
        )
    if sampled:
        first, last = elements.ms("own[1]"), elements.ms("own[-1]")
        columns.append(
            f"arrayMin(pair -> pair.2, arrayFilter(pair -> pair.1 BETWEEN {first} AND {last}, weights)) AS weight"
        )
    span = question.span
    origin = question.read_span.start_ms
    start, end = binder.bind(span.start_ms - origin, "Int64"), binder.bind(span.end_ms - origin, "Int64")
    begins = elements.ms("own[1]")
    return Select(
        columns=columns,
        source=_split(question, elements, binder, sampled=sampled),
        where=[f"{begins} >= {start}", f"{begins} < {end}"],
    )


def _split(question: PathsQuestion, elements: Elements, binder: Binder, *, sampled: bool) -> Select:
    """One row per session: its events as `own`."""
    whole = f"{elements.ms('listed[-1]')} - {elements.ms('listed[1]')} < {GAP_MS}"
    times = f"arrayMap(event -> toInt64({elements.ms('event')}), listed)"
    parts = f"arraySplit((event, gap) -> gap >= {GAP_MS}, listed, arrayDifference({times}))"
    return Select(
        columns=[f"arrayJoin(if({whole}, [listed], {parts})) AS own", *(["weights"] if sampled else [])],
        source=_gathered(question, elements, binder, sampled=sampled),
    )


def _gathered(question: PathsQuestion, elements: Elements, binder: Binder, *, sampled: bool) -> Select:
    """One row per session id (its events as `listed`) or person (the steps as `own`), in the order of time and id."""
    span = question.read_span
    if question.by_session:
        # What is no step is read too: it may keep a session from being cut.
        events = Events(binder.moment(span.start_ms), binder.moment(span.end_ms), [is_somebodys(question)])
        step, owner, name = _step(question, binder), "session_id", "listed"
    else:
        events = step_events(question, binder, is_somebodys(question))
        step, owner, name = "true", "person", "own"
    anchor = "false" if question.anchor is None else selector_condition(question.anchor.event, binder)
    columns = elements.columns(question, step, anchor, binder)
    weight: list[str] = []
    if sampled and question.by_session:
        since = f"toUInt64({EVENT_MS} - {binder.bind(span.start_ms, 'Int64')})"
        columns.append(f"groupArrayIf(({since}, {WEIGHT}), {step}) AS weights")
        weight = ["weights"]
    elif sampled:
        columns.append(f"min({WEIGHT}) AS weight")
        weight = ["weight"]
    gathered = Select(columns, events, group_by=[owner])
    return Select([f"{elements.in_order()} AS {name}", *weight], gathered)
