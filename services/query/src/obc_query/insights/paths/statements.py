"""What paths read: the names of steps, and how many paths do the same at the same place."""

from collections.abc import Sequence

from obc_query.insights.paths.elements import Elements, value_of
from obc_query.insights.paths.own_paths import paths_select, step_events, weight_column
from obc_query.insights.paths.question import PathsQuestion
from obc_query.statement import Binder, Select, Statement

MOST_NAMES = 2_000
"""Names that are carried as numbers."""
MOST_ROWS = 5_000
"""Edges (drop-offs) of a step that are read to find out which are told."""
GOES_ON, DROPS_OFF, GOES_ON_UNTOLD, DOUBT = 0, 1, 2, 3


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
    the steps that are told); a row of DOUBT says that the elements have to be carried with their ids. Most paths
    first, then by the names of source and target; at most MOST_ROWS of each edge and kind, unless they are few because
    `told` says which names are apart.

    Args:
        tenant_id: whose.
        question: about which paths.
        elements: how events are carried.
        told: places and names that are told, all others are one; None = all are told.
        sampled: whether events may stand for more than themselves.
    """
    binder = Binder()
    by_path = paths_select(question, elements, binder, sampled=sampled)
    all_moves = _moves(question, elements)
    if elements.is_in_doubt("chosen") is not None:
        doubt = f"(toInt8(0), {DOUBT}, {elements.no_name}, {elements.no_name}, toUInt64(0))"
        all_moves = f"if(in_doubt, [{doubt}], {all_moves})"
    moves = Select([f"arrayJoin({all_moves}) AS move", *weight_column(sampled=sampled)], by_path)
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
