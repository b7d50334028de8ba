"""What a request for paths asks, checked."""

from dataclasses import dataclass
from typing import Literal

from obc.query.v1 import paths_pb2
from obc_common.errors import InvalidArgument
from obc_query.fields import Field, resolve_field
from obc_query.insights.filter_tree import Selector
from obc_query.insights.reading import read_choice, read_count, read_selector
from obc_query.questions.sessions import GAP_MS
from obc_query.ranges import TimeRange, parse_range

MAX_EDGES = 100
_DAY_MS = 24 * 3_600_000
_PLACES: tuple[Literal["start", "end", "around"], ...] = ("start", "end", "around")


@dataclass(frozen=True, slots=True)
class Anchor:
    """The step that paths are numbered from.

    Attributes:
        place: where in a path it is: at its `start`, at its `end`, or steps are `around` it.
        event: which it is: the first of these, with `end` the last.
    """

    place: Literal["start", "end", "around"]
    event: Selector


@dataclass(frozen=True, slots=True)
class PathsQuestion:
    """The paths of a range.

    Attributes:
        span: of paths of sessions when these start, of users' when their events are.
        by_session: whether a path is a session's or a person's.
        steps: which events are steps.
        step_field: what they are called.
        anchor: where numbers begin; None = at the first step.
        max_steps: steps told in each direction, step 0 among them.
        edges: how many of the most frequent edges and drop-offs of a step are told.
        collapse: whether a step that repeats the one before is left out.
    """

    span: TimeRange
    by_session: bool
    steps: Selector
    step_field: Field
    anchor: Anchor | None
    max_steps: int
    edges: int
    collapse: bool

    @property
    def forwards(self) -> bool:
        """Whether what comes after step 0 is told."""
        return self.anchor is None or self.anchor.place != "end"

    @property
    def backwards(self) -> bool:
        """Whether what comes before step 0 is told."""
        return self.anchor is not None and self.anchor.place != "start"

    @property
    def read_span(self) -> TimeRange:
        """Where the events lie that paths are made of, and those that tell where sessions begin."""
        if not self.by_session:
            return self.span
        return TimeRange(max(0, self.span.start_ms - GAP_MS), self.span.end_ms + _DAY_MS)

    @property
    def settled_ms(self) -> int:
        """Nothing changes with time alone."""
        return 0


def read(request: paths_pb2.QueryPathsRequest, now_ms: int) -> PathsQuestion:
    """Checks a request. Raises InvalidArgument, naming the field."""
    named = [place for place in _PLACES if request.HasField(place)]
    if len(named) > 1:
        raise InvalidArgument("TOO_MANY_ANCHORS", "at most one of start, end and around", field=named[1])
    return PathsQuestion(
        span=parse_range(request.from_time, request.to_time, now_ms),
        by_session=read_choice(request.counting, ("session", "user"), "counting") == "session",
        steps=read_selector(request.steps, "steps"),
        step_field=resolve_field(request.step_field or "event_name", "step_field"),
        anchor=Anchor(named[0], read_selector(getattr(request, named[0]), named[0])) if named else None,
        max_steps=read_count(request.max_steps, 5, 2, 10, "max_steps"),
        edges=read_count(request.edges_per_step, 20, 1, MAX_EDGES, "edges_per_step"),
        collapse=request.collapse_repeats,
    )
