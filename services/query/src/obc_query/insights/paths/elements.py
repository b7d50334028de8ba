"""How an event is carried in the arrays that paths are made of: as one number, or as a tuple.

Arrays of numbers are several times cheaper to gather and to sort than arrays of tuples with texts in them, so a name is
a number as long as names are few. The numbers have the order of the names: what is ordered by them is ordered by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from obc_query.fields import Field
from obc_query.insights.paths.question import PathsQuestion
from obc_query.questions.expressions import EVENT_MS, OTHER
from obc_query.statement import Binder

# As a number: ids as such are gathered at twice the cost of everything else.
_ID = "toUInt128(event_id)"
# 42 bits of time are 139 years, 21 bits are two million names, one says whether step 0 is looked for among them.
_TIME_AT, _NAME_AT = 22, 1
# More than there are places of a path, for a place and a name in one number.
_PLACES, _FIRST_PLACE = 64, -16


@dataclass(frozen=True, slots=True)
class Numbers:
    """An event as time, name and whether step 0 is looked for among them, in one number; 0 = no name, which is no step.

    Ids have no room there. They decide among events of one millisecond only. To gather them costs as much as everything
    else together, so that is left out at first, and done where a path is found that has such events.

    Attributes:
        names: all names there are, sorted.
        with_ids: whether ids are gathered.
    """

    names: Sequence[str]
    with_ids: bool

    def columns(self, question: PathsQuestion, step: str, anchor: str, binder: Binder) -> list[str]:
        """Columns that gather the events of a group, told which are steps and which may be step 0."""
        names = binder.bind(list(self.names), "Array(String)")
        numbers = binder.bind(list(range(1, len(self.names) + 1)), "Array(Int64)")
        name = f"toUInt64(transform({value_of(question.step_field)}, {names}, {numbers}, 0))"
        low = [f"bitShiftLeft({name if step == 'true' else f'if({step}, {name}, 0)'}, {_NAME_AT})"]
        if anchor != "false":
            low.append(f"toUInt64({anchor})")
        origin = binder.bind(question.read_span.start_ms, "Int64")
        event = f"bitShiftLeft(toUInt64({EVENT_MS} - {origin}), {_TIME_AT}) + {' + '.join(low)}"
        return [f"groupArray({event}) AS gathered", *([f"groupArray({_ID}) AS ids"] if self.with_ids else [])]

    @property
    def no_name(self) -> str:
        """What is no name."""
        return "toUInt32(0)"

    def in_order(self) -> str:
        """The gathered events by time, then by id where there are ids."""
        if not self.with_ids:
            return "arraySort(gathered)"
        by_id = f"arrayMap(pair -> pair.1, arraySort(pair -> ({self.ms('pair.1')}, pair.2), arrayZip(gathered, ids)))"
        return f"if({self._has_ties('ordered')}, {by_id}, arraySort(gathered) AS ordered)"

    def is_in_doubt(self, steps: str) -> str | None:
        """The condition that ids would tell what the order of steps is; None = they are known."""
        return None if self.with_ids else self._has_ties(steps)

    def _has_ties(self, events: str) -> str:
        return (
            f"arrayExists((event, next) -> event != next AND {self.ms('event')} = {self.ms('next')}, "
            f"arrayPopBack({events}), arrayPopFront({events}))"
        )

    def ms(self, event: str) -> str:
        """Its time, in milliseconds since the start of what is read."""
        return f"bitShiftRight({event}, {_TIME_AT})"

    def name(self, event: str) -> str:
        """Its name."""
        return f"toUInt32(bitAnd(bitShiftRight({event}, {_NAME_AT}), {(1 << _TIME_AT - _NAME_AT) - 1}))"

    def is_step(self, event: str) -> str:
        """Whether it is a step."""
        return f"bitAnd({event}, {(1 << _TIME_AT) - (1 << _NAME_AT)}) != 0"

    def is_anchor(self, event: str) -> str:
        """Whether it may be step 0."""
        return f"bitAnd({event}, 1) != 0"

    def label(self, place: str, name: str, told: Sequence[tuple[int, str]] | None, binder: Binder) -> str:
        """The name at a place, or 0 where it is not told."""
        if told is None:
            return name
        numbers = {text: number for number, text in enumerate(self.names, start=1)}
        known = binder.bind([numbers[text] * _PLACES + number - _FIRST_PLACE for number, text in told], "Array(Int64)")
        return f"if(has({known}, {name} * {_PLACES} + {place} - ({_FIRST_PLACE})), {name}, 0)"

    def text(self, name: object) -> str:
        """The name of a row."""
        number = int(str(name))
        return self.names[number - 1] if number else OTHER


@dataclass(frozen=True, slots=True)
class Tuples:
    """An event as time, id, name and two flags. For any number of names."""

    def columns(self, question: PathsQuestion, step: str, anchor: str, binder: Binder) -> list[str]:
        """Columns that gather the events of a group, told which are steps and which may be step 0."""
        origin = binder.bind(question.read_span.start_ms, "Int64")
        name = f"ifNull(toString({value_of(question.step_field)}), '')"
        event = f"toUInt64({EVENT_MS} - {origin}), {_ID}, {name}, toUInt8({step}), toUInt8({anchor})"
        return [f"groupArray(({event})) AS gathered"]

    @property
    def no_name(self) -> str:
        """What is no name."""
        return "''"

    def in_order(self) -> str:
        """The gathered events by time, then by id."""
        return "arraySort(gathered)"

    def is_in_doubt(self, steps: str) -> str | None:
        """Never."""
        return None

    def ms(self, event: str) -> str:
        """Its time, in milliseconds since the start of what is read."""
        return f"{event}.1"

    def name(self, event: str) -> str:
        """Its name."""
        return f"{event}.3"

    def is_step(self, event: str) -> str:
        """Whether it is a step."""
        return f"{event}.4 != 0"

    def is_anchor(self, event: str) -> str:
        """Whether it may be step 0."""
        return f"{event}.5 != 0"

    def label(self, place: str, name: str, told: Sequence[tuple[int, str]] | None, binder: Binder) -> str:
        """The name at a place, or `$other` where it is not told."""
        if told is None:
            return name
        known = binder.bind([f"{number}:{text}" for number, text in told], "Array(String)")
        return f"if(has({known}, concat(toString({place}), ':', {name})), {name}, '{OTHER}')"

    def text(self, name: object) -> str:
        """The name of a row."""
        return str(name)


Elements = Numbers | Tuples


def value_of(field: Field) -> str:
    """The value of a field as text; of an event without it NULL, or '' which is no value of a column."""
    is_column = field.text is not None and field.number is None and field.boolean is None
    return field.text if is_column and field.text is not None else field.label
