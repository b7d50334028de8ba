"""Who belongs to a cohort, as it was understood."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from obc_query.comparison import Comparison
from obc_query.insights.filter_tree import Selector
from obc_query.ranges import next_full_minute

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Window:
    """When events count.

    Attributes:
        last_days: so many days up to now; 0 = the others say it.
        start_ms: first moment; None = since ever.
        end_ms: the moment after the last one; None = no end.
    """

    last_days: int = 0
    start_ms: int | None = None
    end_ms: int | None = None

    def bounds(self, now_ms: int) -> tuple[int | None, int | None]:
        """The first moment and the one after the last, now."""
        if not self.last_days:
            return self.start_ms, self.end_ms
        end_ms = next_full_minute(now_ms)
        return max(0, end_ms - self.last_days * DAY_MS), end_ms


@dataclass(frozen=True, slots=True)
class Performed:
    """People by how many events they have.

    Attributes:
        event: of which.
        op: how their number compares with `count`.
        count: see `op`.
        window: when.
    """

    event: Selector
    op: Literal["at_least", "exactly", "at_most"]
    count: int
    window: Window


@dataclass(frozen=True, slots=True)
class Having:
    """People by what the latest of their events that has a field has there."""

    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Sequence:
    """People who did one thing after the other.

    Attributes:
        events: in this order.
        within_ms: longest time from the first to the last.
        window: when.
    """

    events: tuple[Selector, ...]
    within_ms: int
    window: Window


@dataclass(frozen=True, slots=True)
class Static:
    """People by their ids."""

    person_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Combination:
    """People of whom all members hold, at least one does, or none does."""

    kind: Literal["all", "any", "none"]
    members: tuple["Definition", ...]


Condition = Performed | Having | Sequence | Static
Definition = Condition | Combination


def conditions_of(definition: Definition) -> Iterator[Condition]:
    """The conditions, in their order."""
    if not isinstance(definition, Combination):
        yield definition
        return
    for member in definition.members:
        yield from conditions_of(member)


def is_moving(definition: Definition) -> bool:
    """Whether who belongs to it changes with time alone."""
    return any(isinstance(one, Performed | Sequence) and one.window.last_days > 0 for one in conditions_of(definition))
