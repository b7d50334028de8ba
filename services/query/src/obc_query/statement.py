"""Statements of the read model, built from parts that cannot leave out the tenant.

`Events` is the only thing that names the events table, and it always renders the tenant's predicate; a `Select` reads
from `Events`, from another `Select` or from a `Union` of some; a `Statement` needs a tenant to exist. So every way from
a question to SQL goes through the one line that says `tenant_id = {tenant:UUID}`. Values are bound, never written into
the text.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

BindType = Literal[
    "String", "Float64", "Int64", "UInt64", "Bool", "UUID", "Array(String)", "Array(Int64)", "Array(Float64)"
]

TENANT_PREDICATE = "tenant_id = {tenant:UUID}"

# Where the text of a SELECT about people takes in what links them. No value and no name of a field can hold a NUL.
_PERSON_HERE, _JOIN_HERE = "\0person\0", "\0join\0"
# Where the condition that the event's person is in a cohort goes.
_COHORT_HERE = re.compile("\0cohort ([0-9a-f-]{36})\0")
_NAMES_PERSON = re.compile(rf"\bperson\b|{_COHORT_HERE.pattern}")


class Binder:
    """Collects the values of one statement, or of a part of it, and hands out their placeholders."""

    def __init__(self, prefix: str = "p") -> None:
        self._prefix = prefix
        self._values: dict[str, object] = {}

    def bind(self, value: object, bind_type: BindType) -> str:
        """The placeholder of a value; the same value bound twice has two placeholders."""
        name = f"{self._prefix}{len(self._values)}"
        self._values[name] = value
        return f"{{{name}:{bind_type}}}"

    def moment(self, unix_ms: int) -> str:
        """The placeholder of a moment as DateTime64(3, 'UTC'). Constant, so partitions and index are pruned by it."""
        return f"fromUnixTimestamp64Milli({self.bind(unix_ms, 'Int64')}, 'UTC')"

    @property
    def values(self) -> Mapping[str, object]:
        """Every value bound so far, by placeholder name."""
        return self._values


@dataclass(frozen=True, slots=True)
class Events:
    """The caller's events: the only source of rows.

    Attributes:
        start: expression of the first event_time, inclusive, from `Binder.moment`; None = no bound.
        end: expression of the last event_time, exclusive; None = no bound.
        where: further conditions, all of which must hold.
    """

    start: str | None = None
    end: str | None = None
    where: Sequence[str] = ()

    def render(self, *, linkable: bool = False) -> str:
        """The FROM and WHERE clauses. The tenant is added here and nowhere else."""
        conditions = [TENANT_PREDICATE]
        if self.start is not None:
            conditions.append(f"event_time >= {self.start}")
        if self.end is not None:
            conditions.append(f"event_time < {self.end}")
        conditions.extend(f"({condition})" for condition in self.where)
        return f"FROM events{_JOIN_HERE if linkable else ''} WHERE {' AND '.join(conditions)}"


@dataclass(frozen=True, slots=True)
class Union:
    """The rows of several SELECTs with the same columns."""

    selects: "Sequence[Select]"

    def render(self) -> str:
        """The text, with the marks of its SELECTs."""
        return " UNION ALL ".join(select.render() for select in self.selects)


@dataclass(frozen=True, slots=True)
class Select:
    """One SELECT over the caller's events or over other SELECTs.

    With `rollup` there are rows for the leading keys alone too, and one for everything; `grouping(key)` is 1 there.
    """

    columns: Sequence[str]
    source: "Rows"
    where: Sequence[str] = ()
    group_by: Sequence[str] = ()
    order_by: Sequence[str] = ()
    limit: int | None = None
    limit_by: str | None = None
    rollup: bool = False

    def render(self) -> str:
        """The text of the SELECT, with marks where people may be linked."""
        parts = [f"SELECT {', '.join(self.columns)}"]
        if isinstance(self.source, Events):
            if self.where:
                raise ValueError("conditions on events belong to Events.where")
            linkable = any(
                map(_NAMES_PERSON.search, (*self.columns, *self.source.where, *self.group_by, *self.order_by))
            )
            parts.append(self.source.render(linkable=linkable))
            if linkable:
                parts.insert(0, _PERSON_HERE)
        else:
            parts.append(f"FROM ({self.source.render()})")
            if self.where:
                parts.append(f"WHERE {' AND '.join(f'({condition})' for condition in self.where)}")
        if self.group_by:
            parts.append(f"GROUP BY {', '.join(self.group_by)}{' WITH ROLLUP' if self.rollup else ''}")
        if self.order_by:
            parts.append(f"ORDER BY {', '.join(self.order_by)}")
        if self.limit is not None:
            by = f" BY {self.limit_by}" if self.limit_by else ""
            parts.append(f"LIMIT {int(self.limit)}{by}")
        return " ".join(parts)


Rows = Events | Select | Union
"""What a SELECT can read."""


@dataclass(frozen=True, slots=True)
class LinkedPeople:
    """What makes `person` mean more than the column of that name.

    Attributes:
        person: an expression.
        join: what that needs.
        values: those that the join refers to; their placeholders are like no other's of a statement.
    """

    person: str
    join: str
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CohortCondition:
    """Who is in a cohort.

    Attributes:
        text: condition on `person`, of rendered SELECTs if it needs some.
        binder: the values that it refers to; its placeholders are like no other's of a statement.
    """

    text: str
    binder: Binder


def in_cohort(cohort_id: uuid.UUID) -> str:
    """The condition that an event's person is in a cohort. The statement has to know the cohort."""
    return f"\0cohort {cohort_id}\0"


@dataclass(frozen=True, slots=True)
class Statement:
    """A SELECT on behalf of one tenant, ready to run.

    Attributes:
        tenant_id: whose rows; a UUID, or ValueError.
        purpose: short constant name for metrics and logs.
        select: what to read.
        binder: the values that `select` refers to.
        linked: who people are; None = as each event says by itself.
        cohorts: those that `select` names, by id.
    """

    tenant_id: str
    purpose: str
    select: Select
    binder: Binder = field(default_factory=Binder)
    linked: LinkedPeople | None = None
    cohorts: Mapping[str, CohortCondition] = field(default_factory=dict)

    def __post_init__(self) -> None:
        uuid.UUID(self.tenant_id)

    @property
    def about_people(self) -> bool:
        """Whether links between people change what it reads."""
        return _JOIN_HERE in self.select.render()

    @property
    def sql(self) -> str:
        """The text with placeholders. Raises KeyError where a cohort is named that it does not know."""
        person, join = (f"WITH {self.linked.person} AS person", f" {self.linked.join}") if self.linked else ("", "")
        text = _COHORT_HERE.sub(lambda mark: f"({self.cohorts[mark[1]].text})", self.select.render())
        return text.replace(f"{_PERSON_HERE} ", person and f"{person} ").replace(_JOIN_HERE, join)

    @property
    def parameters(self) -> dict[str, object]:
        """The values of the placeholders, the tenant among them."""
        values = dict(self.binder.values)
        for cohort_id in _COHORT_HERE.findall(self.select.render()):
            values |= self.cohorts[cohort_id].binder.values
        if self.linked:
            values |= self.linked.values
        return {**values, "tenant": self.tenant_id}
