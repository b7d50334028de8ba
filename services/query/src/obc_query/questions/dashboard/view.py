"""What the statements of a dashboard have in common."""

from dataclasses import dataclass

from obc_query.questions import expressions as term
from obc_query.ranges import TimeRange
from obc_query.statement import Binder, Events, Select, Statement

TOP = 10
"""Rows of a list."""


@dataclass(frozen=True, slots=True)
class View:
    """What every statement of a dashboard shares.

    Attributes:
        tenant_id: whose dashboard.
        span: the period asked for.
        sampled: whether any event in it stands for more than itself.
    """

    tenant_id: str
    span: TimeRange
    sampled: bool

    @property
    def weight(self) -> str:
        """What one event counts."""
        return term.weight(sampled=self.sampled)

    def people(self, condition: str, *, each: str = term.WEIGHT) -> str:
        """The distinct people of the events of a condition."""
        return term.people(condition, sampled=self.sampled, each=each)

    def compared(self, condition: str = "true") -> list[str]:
        """How much the events of a condition count, in the period and in the one before."""
        return [f"sumIf({self.weight}, p AND ({condition}))", f"sumIf({self.weight}, NOT p AND ({condition}))"]

    def statement(self, purpose: str, select: Select, binder: Binder) -> Statement:
        """The statement of the tenant for that purpose."""
        return Statement(self.tenant_id, purpose, select, binder)


def both_periods(span: TimeRange, binder: Binder, *where: str) -> Events:
    """The events of the period and of the one before it."""
    return Events(binder.moment(span.previous.start_ms), binder.moment(span.end_ms), where)


def period(span: TimeRange, binder: Binder, milliseconds: str = term.EVENT_MS) -> str:
    """The column `p`: 1 in the period, 0 in the one before."""
    return f"{milliseconds} >= {binder.bind(span.start_ms, 'Int64')} AS p"
