"""Splitting by fields: the most frequent values of a breakdown, and everything beyond them as `$other`.

Once the top values are known they are numbers in statements: 1, 2, ... in their order, 0 for everything else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from obc_query.engine import Row
from obc_query.fields import Field
from obc_query.questions.expressions import NONE, OTHER
from obc_query.statement import Binder, Events, Select, Statement

MAX_BREAKDOWNS = 3
TOP_VALUES = 200

Labels = tuple[str, ...]
"""One value of a breakdown: a label for each of its fields."""


@dataclass(frozen=True, slots=True)
class TopValues:
    """The values that are told apart.

    Attributes:
        fields: what is split by.
        values: the most frequent ones, most frequent first.
        has_other: whether there are events of other values.
    """

    fields: tuple[Field, ...]
    values: tuple[Labels, ...]
    has_other: bool

    def number(self, binder: Binder) -> str:
        """The number of an event's value: 1, 2, ... of the top ones, 0 of all others."""
        if not self.values:
            return "materialize(toUInt64(0))"
        keys = binder.bind([_key(value) for value in self.values], "Array(String)")
        return f"transform({_key_expression(self.fields)}, {keys}, range(1, {len(self.values) + 1}), toUInt64(0))"

    @property
    def shown(self) -> list[tuple[int, Labels]]:
        """Every value with its number, `$other` last."""
        shown = list(enumerate(self.values, start=1))
        return [*shown, (0, self._other)] if self.has_other else shown

    @property
    def _other(self) -> Labels:
        return (OTHER,) * len(self.fields)


def top_values_statement(
    tenant_id: str, fields: Sequence[Field], events: Events, binder: Binder, weight: str, limit: int
) -> Statement:
    """Asks for the most frequent values. Rows: a label for each field, what its events weigh.

    Args:
        tenant_id: whose.
        fields: what is split by.
        events: which events.
        binder: of `events`.
        weight: what an event counts.
        limit: how many values are to be told apart.
    """
    labels = [f"label{index}" for index in range(len(fields))]
    columns = [f"{label_expression(field)} AS {label}" for field, label in zip(fields, labels, strict=True)]
    select = Select(
        columns=[*columns, f"sum({weight}) AS events"],
        source=events,
        group_by=labels,
        order_by=["events DESC", *labels],
        # One that is called `$other` itself, and one that tells whether there are others.
        limit=limit + 2,
    )
    return Statement(tenant_id, "top_values", select, binder)


def read_top_values(fields: Sequence[Field], rows: Sequence[Row], limit: int) -> TopValues:
    """The top values of the rows of `top_values_statement`."""
    found = [tuple(str(label) for label in row[: len(fields)]) for row in rows]
    values = [value for value in found if value != (OTHER,) * len(fields)]
    return TopValues(tuple(fields), tuple(values[:limit]), len(found) > min(len(values), limit))


def label_expression(field: Field) -> str:
    """The value of an event as text; `$none` when it has none."""
    return f"ifNull(toString({field.label}), '{NONE}')"


def _key_expression(fields: Sequence[Field]) -> str:
    """One text for all labels. Several are told apart by the lengths in front, whatever characters they are of."""
    labels = [label_expression(field) for field in fields]
    if len(labels) == 1:
        return labels[0]
    lengths = ", ':', ".join(f"toString(length({label}))" for label in labels[:-1])
    return f"concat({lengths}, ':', {', '.join(labels)})"


def _key(labels: Labels) -> str:
    if len(labels) == 1:
        return labels[0]
    return "".join(f"{len(label.encode())}:" for label in labels[:-1]) + "".join(labels)
