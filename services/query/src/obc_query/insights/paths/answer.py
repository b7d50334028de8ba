"""Paths, from rows to messages."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from obc.query.v1 import paths_pb2
from obc_query.asker import Asker
from obc_query.insights.paths import statements
from obc_query.insights.paths.elements import Elements, Numbers, Tuples
from obc_query.insights.paths.own_paths import is_somebodys, step_events
from obc_query.insights.paths.question import PathsQuestion
from obc_query.insights.paths.statements import DOUBT, DROPS_OFF, GOES_ON
from obc_query.questions.expressions import OTHER
from obc_query.questions.sampling import answer_sampled_or_not
from obc_query.statement import Binder

Place = tuple[int, str]
"""Number of a step and its name."""


@dataclass(frozen=True, slots=True)
class Move:
    """What some paths do at a node: they go on to a neighbour, further away from step 0, or drop off.

    Attributes:
        node: where.
        kind: GOES_ON, DROPS_OFF or GOES_ON_UNTOLD.
        neighbour: where to.
        count: how many paths.
        median_ms: how long it takes.
        is_backwards: whether it leads away from step 0 to an earlier one.
    """

    node: Place
    kind: int
    neighbour: Place
    count: float
    median_ms: float
    is_backwards: bool

    @property
    def edge(self) -> tuple[Place, Place]:
        """The earlier node and the later one."""
        return (self.neighbour, self.node) if self.is_backwards else (self.node, self.neighbour)


@dataclass(slots=True)
class _Counts:
    nodes: dict[Place, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0.0]))
    edges: dict[tuple[Place, Place], float] = field(default_factory=lambda: defaultdict(float))
    medians: dict[tuple[Place, Place], float] = field(default_factory=dict)


class _InDoubt(Exception):
    """Steps of one millisecond have an order that only their ids tell."""


async def answer(asker: Asker, tenant_id: str, question: PathsQuestion, now_ms: int) -> paths_pb2.QueryPathsResponse:
    """Asks the engine. Raises what the engine raises."""
    binder = Binder()
    events = step_events(question, binder, is_somebodys(question))
    names = [str(name) for (name,) in await asker.fetch(statements.names(tenant_id, question))]

    async def ask(sampled: bool) -> paths_pb2.QueryPathsResponse:
        if len(names) > statements.MOST_NAMES:
            return await _ways(asker, tenant_id, question, Tuples(), sampled=sampled)
        try:
            return await _ways(asker, tenant_id, question, Numbers(names, with_ids=False), sampled=sampled)
        except _InDoubt:
            return await _ways(asker, tenant_id, question, Numbers(names, with_ids=True), sampled=sampled)

    if not names:
        return paths_pb2.QueryPathsResponse(from_ms=question.span.start_ms, to_ms=question.span.end_ms)
    response, sampled = await answer_sampled_or_not(asker, tenant_id, events, binder, ask)
    response.info.sampled = sampled
    return response


async def _ways(
    asker: Asker, tenant_id: str, question: PathsQuestion, elements: Elements, *, sampled: bool
) -> paths_pb2.QueryPathsResponse:
    async def fetch(told: Sequence[Place] | None) -> list[Move]:
        rows = await asker.fetch(statements.ways(tenant_id, question, elements, told, sampled=sampled))
        if any(row[1] == DOUBT for row in rows):
            raise _InDoubt
        return [
            Move(
                (edge + 1 if edge < 0 else edge, elements.text(node)),
                kind,
                (edge if edge < 0 else edge + 1, elements.text(neighbour)),
                float(count),
                float(median_ms),
                edge < 0,
            )
            for edge, kind, node, neighbour, count, median_ms in rows
        ]

    moves = await fetch(None)
    told = _told(moves, question)
    if _are_cut_off(moves):
        moves = await fetch(sorted(told))
    return _response(moves, told, question)


def _are_cut_off(moves: Iterable[Move]) -> bool:
    """Whether there may be more of an edge and kind than were read."""
    rows: dict[tuple[int, int], int] = defaultdict(int)
    for move in moves:
        rows[move.neighbour[0], move.kind] += 1
    return any(count >= statements.MOST_ROWS for count in rows.values())


def _told(moves: Iterable[Move], question: PathsQuestion) -> set[Place]:
    """The nodes that the most frequent edges and drop-offs of each step touch."""
    edges: dict[int, list[Move]] = defaultdict(list)
    drop_offs: dict[int, list[Move]] = defaultdict(list)
    for move in moves:
        if move.kind == GOES_ON:
            edges[move.neighbour[0]].append(move)
        elif move.kind == DROPS_OFF and _is_of_its_node(move, question):
            drop_offs[move.node[0]].append(move)
    told: set[Place] = set()
    for taken in edges.values():
        taken.sort(key=lambda move: (-move.count, move.edge))
        told.update(place for move in taken[: question.edges] for place in move.edge)
    for dropped in drop_offs.values():
        dropped.sort(key=lambda move: (-move.count, move.node))
        told.update(move.node for move in dropped[: question.edges])
    return told


def _is_of_its_node(move: Move, question: PathsQuestion) -> bool:
    """Step 0 is told forwards if that is told: what comes before it is not counted in it again."""
    return move.node[0] != 0 or not move.is_backwards or not question.forwards


def _response(moves: Iterable[Move], told: set[Place], question: PathsQuestion) -> paths_pb2.QueryPathsResponse:
    counts = _Counts()
    for move in moves:
        node = _label(move.node, told)
        if _is_of_its_node(move, question):
            counts.nodes[node][0] += move.count
            if move.kind == DROPS_OFF:
                counts.nodes[node][1] += move.count
        if move.kind == GOES_ON:
            source, target = (_label(place, told) for place in move.edge)
            counts.edges[source, target] += move.count
            if OTHER not in (source[1], target[1]):
                counts.medians[source, target] = move.median_ms
    response = paths_pb2.QueryPathsResponse(from_ms=question.span.start_ms, to_ms=question.span.end_ms)
    response.paths = sum(count for (step, _), (count, _) in counts.nodes.items() if step == 0)
    for (step, name), (count, drop_offs) in sorted(counts.nodes.items(), key=_node_order):
        response.nodes.add(step=step, name=name, count=count, drop_offs=drop_offs)
    for (source, target), count in sorted(counts.edges.items(), key=_edge_order):
        response.edges.add(
            step=source[0],
            source=source[1],
            target=target[1],
            count=count,
            median_ms=counts.medians.get((source, target)),
        )
    return response


def _label(place: Place, told: set[Place]) -> Place:
    return place if place in told else (place[0], OTHER)


def _node_order(item: tuple[Place, Sequence[float]]) -> tuple[object, ...]:
    (step, name), (count, _) = item
    return step, name == OTHER, -count, name


def _edge_order(item: tuple[tuple[Place, Place], float]) -> tuple[object, ...]:
    ((step, source), (_, target)), count = item
    return step, OTHER in (source, target), -count, source, target
