"""Conditions on events: comparisons and cohorts, combined with all, any and none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from obc_query.cohorts.use import CohortUse
from obc_query.comparison import Comparison
from obc_query.comparison import condition as comparison_condition
from obc_query.ranges import TimeRange
from obc_query.statement import Binder, Events


@dataclass(frozen=True, slots=True)
class Combination:
    """Filters combined: all of them hold, at least one does, or none does."""

    kind: Literal["all", "any", "none"]
    members: tuple["Filter", ...]


Filter = Comparison | CohortUse | Combination


@dataclass(frozen=True, slots=True)
class Selector:
    """Which events are meant.

    Attributes:
        names: event names, any of which; empty = every event.
        filter: a further condition; None = none.
        label: what the answer calls them.
    """

    names: tuple[str, ...]
    filter: Filter | None
    label: str


def filter_condition(item: Filter, binder: Binder) -> str:
    """The filter as a condition that is never NULL."""
    if isinstance(item, Comparison):
        return comparison_condition(item, binder)
    if isinstance(item, CohortUse):
        return item.condition
    joined = (" AND " if item.kind == "all" else " OR ").join(
        f"({filter_condition(member, binder)})" for member in item.members
    )
    return f"NOT ({joined})" if item.kind == "none" else joined


def selector_condition(selector: Selector, binder: Binder) -> str:
    """The selector as a condition that is never NULL; `true` when it means every event."""
    parts: list[str] = []
    if selector.names:
        parts.append(" OR ".join(f"event_name = {binder.bind(name, 'String')}" for name in selector.names))
    if selector.filter is not None:
        parts.append(filter_condition(selector.filter, binder))
    return " AND ".join(f"({part})" for part in parts) or "true"


def any_of(selectors: Sequence[Selector], binder: Binder) -> str:
    """The condition that an event is meant by at least one of them; `true` when one means every event."""
    conditions = [selector_condition(selector, binder) for selector in selectors]
    return "true" if "true" in conditions else " OR ".join(f"({part})" for part in dict.fromkeys(conditions))


def matching_events(
    span: TimeRange, selectors: Sequence[Selector], shared: Filter | None, binder: Binder, *further: str
) -> Events:
    """The events of a range that at least one selector means.

    Args:
        span: when.
        selectors: at least one.
        shared: a condition on all of them; None = none.
        binder: of the statement this becomes part of.
        further: conditions that must hold too.
    """
    where = [part for part in (any_of(selectors, binder),) if part != "true"]
    if shared is not None:
        where.append(filter_condition(shared, binder))
    return Events(binder.moment(span.start_ms), binder.moment(span.end_ms), [*where, *further])
