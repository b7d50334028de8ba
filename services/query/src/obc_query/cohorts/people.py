"""Definitions as conditions on people: one pass over the events that say something, gathered by person.

Who has no such event is in none of its rows. Where the definition holds of them (`none`, `exactly` 0, `neq`) the people
of whom it does not hold are looked for instead, so that nobody's other events need to be read.
"""

from collections.abc import Mapping
from uuid import UUID

from obc_query.cohorts.definition import (
    Combination,
    Condition,
    Definition,
    Having,
    Performed,
    Sequence,
    Static,
    conditions_of,
)
from obc_query.comparison import condition as comparison_condition
from obc_query.insights.filter_tree import selector_condition
from obc_query.questions.expressions import PLACE, moment_of
from obc_query.statement import Binder, CohortCondition, Events, Select

_COMPARED = {"at_least": ">=", "exactly": "=", "at_most": "<="}
_UNMET_WITHOUT_EVENTS = ("neq", "not_exists")


def cohort_conditions(definitions: Mapping[UUID, Definition], now_ms: int) -> dict[str, CohortCondition]:
    """The conditions of several cohorts, by id, for one statement."""
    found: dict[str, CohortCondition] = {}
    for number, (cohort_id, definition) in enumerate(definitions.items()):
        binder = Binder(f"c{number}_")
        condition = _People(definition, now_ms, binder).condition()
        found[str(cohort_id)] = CohortCondition(f"notEmpty(person) AND ({condition})", binder)
    return found


def holds_without_events(definition: Definition) -> bool:
    """Whether somebody belongs to it who has no event that it is about."""
    if isinstance(definition, Combination):
        held = [holds_without_events(member) for member in definition.members]
        return {"all": all(held), "any": any(held), "none": not any(held)}[definition.kind]
    if isinstance(definition, Performed):
        return definition.op == "at_most" or definition.count == 0
    return isinstance(definition, Having) and definition.comparison.operator in _UNMET_WITHOUT_EVENTS


class _People:
    """One cohort on its way to a condition."""

    def __init__(self, definition: Definition, now_ms: int, binder: Binder) -> None:
        self._definition = definition
        self._now_ms = now_ms
        self._binder = binder
        self._columns: list[str] = []
        self._relevant: list[str] = []

    def condition(self) -> str:
        test = self._test(self._definition)
        if not self._columns:
            return test  # on the person alone
        outside = holds_without_events(self._definition)
        start_ms, end_ms = self._hull()
        by_person = Select(
            columns=["person", *self._columns],
            source=Events(
                None if start_ms is None else self._binder.moment(start_ms),
                None if end_ms is None else self._binder.moment(end_ms),
                ["person != ''", *self._where()],
            ),
            group_by=["person"],
        )
        people = Select(columns=["person"], source=by_person, where=[f"NOT ({test})" if outside else test])
        return f"person {'NOT ' if outside else ''}IN ({people.render()})"

    def _test(self, definition: Definition) -> str:
        """The condition on a row of a person."""
        if isinstance(definition, Combination):
            joined = (" AND " if definition.kind == "all" else " OR ").join(
                f"({self._test(member)})" for member in definition.members
            )
            return f"NOT ({joined})" if definition.kind == "none" else joined
        if isinstance(definition, Performed):
            return self._performed(definition)
        if isinstance(definition, Having):
            return self._having(definition)
        if isinstance(definition, Sequence):
            return self._sequence(definition)
        return self._static(definition)

    def _performed(self, one: Performed) -> str:
        chosen = self._about(selector_condition(one.event, self._binder), one)
        count = self._column(f"countIf({chosen})")
        return f"{count} {_COMPARED[one.op]} {self._binder.bind(one.count, 'Int64')}"

    def _having(self, one: Having) -> str:
        exists = self._about(one.comparison.field.exists, one)
        holds = comparison_condition(one.comparison, self._binder)
        if holds_without_events(one):
            return f"NOT {self._column(f'argMaxIf(toUInt8(NOT ({holds})), {PLACE}, {exists})')}"
        return self._column(f"argMaxIf(toUInt8({holds}), {PLACE}, {exists})")

    def _sequence(self, one: Sequence) -> str:
        """Of each event that may be a step, the latest start of a way there: the latest one is the best one.

        The engine's windowFunnel and sequenceMatch know an event's time but not its id, and the latter no windows.
        """
        steps = [f"({selector_condition(event, self._binder)})" for event in one.events]
        chosen = self._about(" OR ".join(steps), one)
        mask = " + ".join(f"{1 << number} * toUInt8({step})" for number, step in enumerate(steps))
        events = self._column(f"arraySort(groupArrayIf(({PLACE}, toUInt8({mask})), {chosen}))")
        # 0 = no way there, so moments are moved by one.
        started = f"arrayMap(event -> if(bitTest(event.2, 0), {moment_of('event.1')} + 1, 0), {events})"
        for number in range(1, len(steps)):
            before = f"arrayShiftRight(arrayFill(start -> start != 0, {started}), 1, toInt64(0))"
            started = f"arrayMap((start, event) -> if(bitTest(event.2, {number}), start, 0), {before}, {events})"
        within = self._binder.bind(one.within_ms, "Int64")
        in_time = f"{moment_of('event.1')} + 1 - start <= {within}"
        return f"arrayExists((start, event) -> start != 0 AND {in_time}, {started}, {events})"

    def _static(self, one: Static) -> str:
        ids = self._binder.bind(list(one.person_ids), "Array(String)")
        self._relevant.append(f"person IN {ids}")
        return f"person IN {ids}"

    def _about(self, condition: str, one: Performed | Having | Sequence) -> str:
        """The condition that an event says something of this, also noted as one of those to read."""
        parts = [f"({condition})"]
        if not isinstance(one, Having):
            start_ms, end_ms = one.window.bounds(self._now_ms)
            if start_ms is not None:
                parts.append(f"event_time >= {self._binder.moment(start_ms)}")
            if end_ms is not None:
                parts.append(f"event_time < {self._binder.moment(end_ms)}")
        about = " AND ".join(parts)
        self._relevant.append(about)
        return about

    def _column(self, aggregate: str) -> str:
        name = f"of{len(self._columns)}"
        self._columns.append(f"{aggregate} AS {name}")
        return name

    def _where(self) -> list[str]:
        return [" OR ".join(f"({one})" for one in dict.fromkeys(self._relevant))]

    def _hull(self) -> tuple[int | None, int | None]:
        """The range that every event to read lies in."""
        bounds = [self._bounds(one) for one in conditions_of(self._definition)]
        starts, ends = [start for start, _ in bounds], [end for _, end in bounds]
        known_starts = [start for start in starts if start is not None]
        known_ends = [end for end in ends if end is not None]
        return (
            min(known_starts) if len(known_starts) == len(starts) else None,
            max(known_ends) if len(known_ends) == len(ends) else None,
        )

    def _bounds(self, one: Condition) -> tuple[int | None, int | None]:
        return one.window.bounds(self._now_ms) if isinstance(one, Performed | Sequence) else (None, None)
