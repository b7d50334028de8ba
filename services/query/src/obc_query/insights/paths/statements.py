"""What paths read: the events in one pass, by session or person; each path's steps; how many paths do the same."""

from collections.abc import Sequence

from obc_query.insights.filter_tree import selector_condition
from obc_query.insights.paths.elements import Elements, value_of
from obc_query.insights.paths.question import PathsQuestion
from obc_query.questions.expressions import EVENT_MS, WEIGHT
from obc_query.questions.sessions import GAP_MS
from obc_query.statement import Binder, Events, Select, Statement

MOST_NAMES = 2_000
"""Names that are carried as numbers."""
MOST_ROWS = 5_000
"""Edges (drop-offs) of a step that are read to find out which are told."""
GOES_ON, DROPS_OFF, GOES_ON_UNTOLD = 0, 1, 2


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


def names(tenant_id: str, question: PathsQuestion) -> Statement:
    """Rows: the names of steps in their order, one more than can be numbers; also of events that are in no path."""
    binder = Binder()
    select = Select(
        columns=[f"toString({value_of(question.step_field)}) AS name"],
        source=step_events(question, binder),
        group_by=["name"],
        order_by=["name"],
        limit=MOST_NAMES + 1,
    )
    return Statement(tenant_id, "paths_names", select, binder)


def ways(
    tenant_id: str,
    question: PathsQuestion,
    elements: Elements,
    told: Sequence[tuple[int, str]] | None,
    *,
    sampled: bool,
) -> Statement:
    """Rows: edge, what happens, name of the node, name of its neighbour, paths, median milliseconds between the two.

    Edges from step 0 on have the number of their earlier node, which is the node; its neighbour is the later one.
    Edges before step 0 have negative numbers, also that of their earlier node; but the node is the later one and its
    neighbour the earlier. What happens is GOES_ON, DROPS_OFF (there is no neighbour) or GOES_ON_UNTOLD (it is beyond
    the steps that are told). Most paths first, then by the names of source and target; at most MOST_ROWS of each edge
    and kind, unless they are few because `told` says which names are apart.

    Args:
        tenant_id: whose.
        question: about which paths.
        elements: how events are carried.
        told: places and names that are told, all others are one; None = all are told.
        sampled: whether events may stand for more than themselves.
    """
    binder = Binder()
    by_path = _paths(question, elements, binder, sampled=sampled)
    moves = Select([f"arrayJoin({_moves(question, elements)}) AS move", *_weight(sampled)], by_path)
    node, neighbour = "move.3", "move.4"
    if told is not None:
        node = elements.label("if(edge < 0, edge + 1, edge)", node, told, binder)
        other = elements.label("if(edge < 0, edge, edge + 1)", neighbour, told, binder)
        neighbour = f"if(kind = {GOES_ON}, {other}, {neighbour})"
    select = Select(
        columns=[
            "move.1 AS edge",
            "move.2 AS kind",
            f"{node} AS node",
            f"{neighbour} AS neighbour",
            f"{'sum(weight)' if sampled else 'count()'} AS paths",
            "quantileExactInclusive(0.5)(move.5)",
        ],
        source=moves,
        group_by=["edge", "kind", "node", "neighbour"],
        order_by=["edge", "kind", "paths DESC", "if(edge < 0, neighbour, node)", "if(edge < 0, node, neighbour)"],
        limit=MOST_ROWS if told is None else None,
        limit_by="edge, kind",
    )
    return Statement(tenant_id, "paths", select, binder)


def _weight(sampled: bool) -> list[str]:
    return ["weight"] if sampled else []


def _moves(question: PathsQuestion, elements: Elements) -> str:
    """An array of (edge, what happens, node, neighbour, milliseconds between them) for each step of a path."""
    most = question.max_steps
    parts: list[str] = []
    if question.forwards:
        parts.append(_away_from_zero(f"arraySlice(steps, zero, {most + 1})", "place - 1", most, elements))
    if question.backwards:
        near = f"arrayReverse(arraySlice(steps, greatest(zero - {most}, 1), least(zero, {most + 1})))"
        parts.append(_away_from_zero(near, "-place", most, elements))
    return parts[0] if len(parts) == 1 else f"arrayConcat({', '.join(parts)})"


def _away_from_zero(steps: str, edge: str, most: int, elements: Elements) -> str:
    nodes, neighbours = f"arraySlice({steps}, 1, {most})", f"arrayPopFront({steps})"
    is_there = elements.is_step("neighbour")
    goes_on = f"{is_there} AND place < {most}"
    kind = f"multiIf({goes_on}, {GOES_ON}, {is_there}, {GOES_ON_UNTOLD}, {DROPS_OFF})"
    milliseconds = f"abs(toInt64({elements.ms('neighbour')}) - toInt64({elements.ms('node')}))"
    return (
        f"arrayMap((node, neighbour, place) -> (toInt8({edge}), {kind}, {elements.name('node')}, "
        f"if({goes_on}, {elements.name('neighbour')}, {elements.no_name}), if({goes_on}, {milliseconds}, 0)), "
        f"{nodes}, arrayResize({neighbours}, length({nodes})), arrayEnumerate({nodes}))"
    )


def _paths(question: PathsQuestion, elements: Elements, binder: Binder, *, sampled: bool) -> Select:
    """One row per path: `steps`, cut and collapsed, the index `zero` of step 0 among them, and `weight`."""
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
        columns=[f"{steps} AS steps", f"toInt64({zero}) AS zero", *_weight(sampled)],
        source=_chosen(question, elements, binder, sampled=sampled),
        where=["notEmpty(chosen)" if place is None else "found != 0"],
    )


def _collapsed(steps: str, elements: Elements) -> str:
    return f"arrayCompact(event -> {elements.name('event')}, {steps})"


def _chosen(question: PathsQuestion, elements: Elements, binder: Binder, *, sampled: bool) -> Select:
    """One row per session or person: its steps as `chosen`, the index of the one `found` for step 0, and `weight`."""
    columns = ["own AS chosen"]
    if question.by_session:
        columns = [f"arrayFilter(event -> {elements.is_step('event')}, own) AS chosen"]
    if question.anchor is not None:
        index = "arrayLastIndex" if question.anchor.place == "end" else "arrayFirstIndex"
        columns.append(f"{index}(event -> {elements.is_anchor('event')}, chosen) AS found")
    if not question.by_session:
        return Select([*columns, *_weight(sampled)], _gathered(question, elements, binder, sampled=sampled))
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
