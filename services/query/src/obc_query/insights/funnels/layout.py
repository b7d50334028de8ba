"""How an event of a funnel is carried: a number, its code, and what two events of one code have not in common.

A code is the time in milliseconds times 32, plus the first step that the event matches (0 for the first, the number of
steps for none). Codes have the order that the contract wants: by time, events of one moment by step. Most funnels need
nothing else, and arrays of numbers are several times cheaper to gather and sort than arrays of tuples.
"""

from dataclasses import dataclass

from obc_query.insights.funnels.question import CODES, FunnelQuestion

STEP_BITS = CODES.bit_length() - 1


@dataclass(frozen=True, slots=True)
class Layout:
    """What is known of an event.

    Attributes:
        fields: `code`; `tie`, its id; `mask`, a bit for every step that it matches; `excluded`, a bit for every
            exclusion; `held`, a hash of the values held constant; `weight`; `label`, the value of the breakdown. A code
            alone is a number, several fields are a tuple, which is sorted by its first ones.
        first_excluded: where an excluded event is none of the steps, and there is room, its exclusions are in its code:
            this and the bits together are in place of the step. 0 = they are a field.
    """

    fields: tuple[str, ...]
    first_excluded: int = 0

    def of(self, event: str, field: str) -> str:
        """A field of an event."""
        return event if len(self.fields) == 1 else f"{event}.{self.fields.index(field) + 1}"

    def all_of(self, events: str, field: str) -> str:
        """A field of every event of an array, as an array."""
        return events if len(self.fields) == 1 else f"tupleElement({events}, {self.fields.index(field) + 1})"

    def excluded(self, events: str) -> str:
        """The exclusions that each event of an array matches, as an array of bits."""
        if not self.first_excluded:
            return self.all_of(events, "excluded")
        step, codes = f"bitAnd(code, {CODES - 1})", self.all_of(events, "code")
        return f"arrayMap(code -> toUInt32(greatest(toInt64({step}) - {self.first_excluded}, 0)), {codes})"

    def has(self, field: str) -> bool:
        """Whether the field is there."""
        return field in self.fields

    @property
    def in_doubt(self) -> list[str]:
        """The column that says of somebody that ids would tell what the order of their events is; none with ids."""
        return ["in_doubt"] if len(self.fields) > 1 and not self.has("tie") else []


def layout(question: FunnelQuestion, *, sampled: bool, held_first: bool, with_ids: bool) -> Layout:
    """What a question has to know of each event; with `held_first` events are sorted by what is held constant.

    Ids cost about as much as everything else together, and hardly ever decide. Without them `units` tells where they
    would; where something is held constant they are always there.
    """
    in_code = needs_exclusions(question) and question.exclusions_apart
    first_excluded = len(question.steps) if in_code else 0
    wanted = {
        "mask": not question.one_step_each,
        "excluded": needs_exclusions(question) and not in_code,
        "held": bool(question.held_constant),
        "weight": sampled,
        "label": question.breakdown is not None,
    }
    beside = tuple(field for field, is_wanted in wanted.items() if is_wanted)
    if not beside:
        return Layout(("code",), first_excluded)
    if held_first and "held" in beside:
        return Layout(("held", "code", "tie", *(field for field in beside if field != "held")), first_excluded)
    return Layout(("code", *(["tie"] if with_ids or "held" in beside else []), *beside), first_excluded)


def needs_exclusions(question: FunnelQuestion) -> bool:
    """Nothing at all is between the steps of a strict funnel."""
    return bool(question.exclusions) and question.order != "strict"


def milliseconds(code: str) -> str:
    """The time of a code."""
    return f"bitShiftRight({code}, {STEP_BITS})"
