"""Which events are looked at to tell their properties: all where they are few, else a sample of bounded cost.

To read the properties of millions of events costs seconds, and nobody who types a name waits for it. So events are
taken in blocks of rows that lie together (the engine skips the blocks between without unpacking them), spread over all
days and people, and of the rows in a block every n-th. An event counts as many times as the events it stands for.
Names with very few events would fall through: all of theirs are looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from obc_query.engine import Row
from obc_query.questions.expressions import weight
from obc_query.ranges import TimeRange
from obc_query.statement import Binder, Events, Select, Statement

_BLOCK_ROWS = 8192
_MAX_BLOCKS = 24
_MAX_ROWS = 24_576
_MAX_RARE_EVENTS = 24
# A part has its own numbers of rows. Shifted by the part, small parts are not all taken, or all left out.
_BLOCK = f"intDiv(_part_offset, {_BLOCK_ROWS}) + _part_index"


@dataclass(frozen=True, slots=True)
class Sample:
    """Events of a range, or some of them.

    Attributes:
        span: the range.
        event_name: of which events; empty = all.
        one_block_of: every how manyth block of rows is read.
        one_row_of: every how manyth row of it is looked at.
        rare: names whose events are all looked at.
        events_total: events that there are.
        weight_total: events that they stand for; more where the tenant keeps a part of its users.
    """

    span: TimeRange
    event_name: str
    one_block_of: int
    one_row_of: int
    rare: tuple[str, ...]
    events_total: int
    weight_total: float

    @property
    def complete(self) -> bool:
        """True when every event is looked at."""
        return self.one_block_of == self.one_row_of == 1

    def events(self, binder: Binder) -> Events:
        """The events that are looked at."""
        where: list[str] = []
        if not self.complete:
            # The inner modulo alone decides which blocks are read; a row that is skipped costs nothing more.
            taken = f"({_BLOCK}) % {self.one_block_of} = 0 AND _part_offset % {self.one_row_of} = 0"
            where.append(f"{self._is_rare(binder)} OR ({taken})")
        return range_events(self.span, self.event_name, binder, *where)

    def weight(self, binder: Binder, *, sampled: bool) -> str:
        """How many events one that is looked at stands for."""
        own = weight(sampled=sampled)
        if self.complete:
            return own
        return f"if({self._is_rare(binder)}, 1, {self.one_block_of * self.one_row_of}) * {own}"

    def _is_rare(self, binder: Binder) -> str:
        if not self.rare:
            return "false"
        return f"has({binder.bind(list(self.rare), 'Array(String)')}, toString(event_name))"


def range_events(span: TimeRange, event_name: str, binder: Binder, *further: str) -> Events:
    """The events of a range and of a name; empty = of all names."""
    where = [f"event_name = {binder.bind(event_name, 'String')}"] if event_name else []
    return Events(binder.moment(span.start_ms), binder.moment(span.end_ms), [*where, *further])


def counts(tenant_id: str, span: TimeRange, event_name: str, *, sampled: bool) -> Statement:
    """Rows of `choose`: 1 and all events of the range, then 0 and the names with fewest events.

    Beside each: rows, rows of the event asked for, and what those stand for.
    """
    binder = Binder()
    meant = f"event_name = {binder.bind(event_name, 'String')}" if event_name else "true"
    select = Select(
        columns=[
            "toUInt8(grouping(event_name)) AS whole",
            "toString(event_name)",
            "count() AS events",
            f"countIf({meant})",
            f"toFloat64(sumIf({weight(sampled=sampled)}, {meant}))",
        ],
        source=range_events(span, "", binder),
        group_by=["event_name"],
        order_by=["whole DESC", "events", "event_name"],
        limit=1 + _MAX_RARE_EVENTS,
        rollup=True,
    )
    return Statement(tenant_id, "property_sample", select, binder)


def choose(span: TimeRange, event_name: str, rows: Sequence[Row]) -> Sample:
    """The sample that is worth taking, after the rows of `counts`."""
    [(_, _, all_rows, meant, weighted), *names] = rows or [(1, "", 0, 0, 0.0)]
    # Blocks without an event of the name asked for are not read, and one event is in one block.
    one_block_of = ceil(min(all_rows / _BLOCK_ROWS, meant) / _MAX_BLOCKS) or 1
    one_row_of = ceil(meant / one_block_of / _MAX_ROWS) or 1
    rare: list[str] = []
    left = 0 if event_name else _MAX_RARE_EVENTS
    for _, name, events, _, _ in names:
        left -= events
        if left < 0:
            break
        rare.append(name)
    return Sample(span, event_name, one_block_of, one_row_of, tuple(rare), int(meant), float(weighted))
