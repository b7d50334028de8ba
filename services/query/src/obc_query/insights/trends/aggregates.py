"""Aggregates that can be asked for bucket by bucket, or merged from the first bucket on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from obc_query.statement import Rows, Select

_SO_FAR = "OVER (PARTITION BY value ORDER BY bucket ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"


def _as_it_is(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One number of a group of rows.

    Attributes:
        function: the engine's, without parameters.
        arguments: what it is applied to; never NULL.
        conditions: which rows, all must hold; none = all rows.
        parameters: of the function, such as a percentile's level, with their brackets.
        finish: makes the number of what the function gives.
    """

    function: str
    arguments: str
    conditions: Sequence[str] = ()
    parameters: str = ""
    finish: Callable[[str], str] = _as_it_is

    def number(self) -> str:
        """The number."""
        return self.finish(self._call(self.function))

    def state(self) -> str:
        """What can be merged."""
        return self._call(f"{self.function}State")

    def so_far(self, state: str) -> str:
        """The number of all buckets up to this one, of a column of states."""
        return self.finish(f"{self.function}Merge{self.parameters}({state}) {_SO_FAR}")

    def _call(self, function: str) -> str:
        if not self.conditions:
            return f"{function}{self.parameters}({self.arguments})"
        conditions = " AND ".join(f"({condition})" for condition in self.conditions)
        return f"{function}If{self.parameters}({self.arguments}, {conditions})"


def grouped(
    source: Rows,
    value: str | None,
    bucket: str,
    aggregates: Sequence[Aggregate],
    *,
    cumulative: bool,
) -> Select:
    """Rows: is it all values together, is it the whole range, number of the value, bucket, the aggregates' numbers.

    The whole range is merged from the buckets, so what is no sum (distinct users, percentiles) is right there too. Of
    cumulative rows there is none for the whole range: the last bucket is that.

    Args:
        source: the rows.
        value: number of a row's breakdown value; None = no breakdown.
        bucket: start of a row's bucket.
        aggregates: what is asked for.
        cumulative: whether a bucket is about everything up to it.
    """
    keys = ["bucket"] if value is None else ["value", "bucket"]
    key_columns = [f"{value or 'toUInt64(0)'} AS value", f"{bucket} AS bucket"]
    if cumulative:
        states = [f"{aggregate.state()} AS state{index}" for index, aggregate in enumerate(aggregates)]
        return Select(
            columns=["0", "0", "value", "bucket", *(one.so_far(f"state{i}") for i, one in enumerate(aggregates))],
            source=Select(columns=[*key_columns, *states], source=source, group_by=keys),
        )
    return Select(
        columns=[
            "0" if value is None else "grouping(value)",
            "grouping(bucket)",
            *key_columns,
            *(aggregate.number() for aggregate in aggregates),
        ],
        source=source,
        group_by=keys,
        rollup=True,
    )
