"""Measures as aggregates, and their values of the aggregates' numbers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from obc_query.fields import Field
from obc_query.insights.trends.aggregates import Aggregate
from obc_query.insights.trends.question import LEVELS, NUMERIC_MEASURES, Series
from obc_query.questions import quarters
from obc_query.questions.expressions import weight

Numbers = Sequence[float]
_COUNTS = ("total", "unique_users", "sessions", "sum", "distinct")


@dataclass(frozen=True, slots=True)
class Measure:
    """How one series is measured.

    Attributes:
        aggregates: what the engine is asked for.
        value: the measure of their numbers; None where there is none.
        skips: whether the last aggregate counts the events that were skipped.
        nothing: the measure where there are no events.
    """

    aggregates: tuple[Aggregate, ...]
    value: Callable[[Numbers], float | None]
    nothing: float | None
    skips: bool = False


def finite(number: float) -> float | None:
    """The number; None when it is too large for one, or none: an answer holds no NaN and no Infinity."""
    return number if math.isfinite(number) else None


def measure_events(series: Series, conditions: Sequence[str], *, sampled: bool) -> Measure:
    """How a series is measured of events.

    Args:
        series: of any measure but `sessions`.
        conditions: which of the statement's events are the series'.
        sampled: whether events may stand for more than themselves.
    """
    each = weight(sampled=sampled)
    somebodys = [*conditions, "person != ''"]
    nothing = 0.0 if series.measure in _COUNTS else None
    if series.measure == "total":
        return Measure((Aggregate("sum", each, conditions),), _first, nothing)
    if series.measure == "unique_users":
        return Measure((_distinct("person", each, somebodys, sampled=sampled),), _first, nothing)
    if series.measure == "per_user":
        events = Aggregate("sum", each, somebodys)
        return Measure((events, _distinct("person", each, somebodys, sampled=sampled)), _ratio, nothing)
    assert series.property is not None  # the request was checked
    if series.measure == "distinct":
        values = Aggregate("uniqExact", _typed(series.property), [*conditions, series.property.exists])
        return Measure((values,), _first, nothing)
    return _numeric(series.measure, series.property, conditions, each, sampled=sampled)


def measure_counts(conditions: Sequence[str], *, sampled: bool) -> Measure:
    """How `total` is measured of the rows of `quarters.counts`."""
    return Measure((Aggregate("sum", quarters.each(sampled=sampled), conditions),), _first, 0.0)


def measure_sessions(conditions: Sequence[str], *, sampled: bool) -> Measure:
    """How `sessions` is measured of the rows of `session_rows`."""
    each = "weight" if sampled else "1"
    return Measure((_distinct("session", each, conditions, sampled=sampled),), _first, 0.0)


def _distinct(key: str, each: str, conditions: Sequence[str], *, sampled: bool) -> Aggregate:
    """How many the keys stand for: each for as many as at the highest rate seen."""
    if not sampled:
        return Aggregate("uniqExact", key, conditions)
    return Aggregate(
        "minMap", f"[{key}], [toFloat64({each})]", conditions, finish=lambda weights: f"arraySum(({weights}).2)"
    )


def _numeric(measure: str, target: Field, conditions: Sequence[str], each: str, *, sampled: bool) -> Measure:
    assert measure in NUMERIC_MEASURES
    is_number, number = "false", "toFloat64(0)"
    if target.number is not None:
        is_number = f"({target.exists}) AND isNotNull({target.number})"
        number = f"assumeNotNull({target.number})"
    numbers = [*conditions, is_number]
    weights = Aggregate("sum", each, numbers)
    skipped = Aggregate("sum", "1", [*conditions, target.exists, f"NOT ({is_number})"])
    if measure in ("sum", "avg"):
        total = Aggregate("sum", f"{number} * {each}" if sampled else number, numbers)
        value = _first if measure == "sum" else _ratio
        return Measure((total, weights, skipped), value, 0.0 if measure == "sum" else None, skips=True)
    if measure in ("min", "max"):
        return Measure((Aggregate(measure, number, numbers), weights, skipped), _if_any, None, skips=True)
    level = LEVELS[measure]
    if not sampled:
        quantile = Aggregate("quantileExactInclusive", number, numbers, f"({level})")
    else:
        quantile = Aggregate(
            "groupArray", f"({number}, {each})", numbers, finish=lambda pairs: _weighted_quantile(pairs, level)
        )
    return Measure((quantile, weights, skipped), _if_any, None, skips=True)


def _typed(target: Field) -> str:
    """The value with its type: neither 5 and "5" nor true and "true" are the same."""
    cases: list[str] = []
    if target.number is not None:
        # + 0: there are two zeros that are equal.
        cases += [f"isNotNull({target.number})", f"concat('n', toString({target.number} + 0))"]
    if target.boolean is not None:
        cases += [f"isNotNull({target.boolean})", f"concat('b', toString({target.boolean}))"]
    if target.text is not None:
        cases += [f"isNotNull({target.text})", f"concat('s', {target.text})"]
    return f"ifNull(multiIf({', '.join(cases)}, concat('o', toString({target.label}))), '')"


def _weighted_quantile(pairs: str, level: float) -> str:
    """The percentile of values with weights, as if each value were there as often as it weighs.

    With all weights 1 it is quantileExactInclusive. The engine's own weighted ones take whole weights only, or do not
    interpolate between values in this way.
    """
    at = f"arrayFirstIndex(end -> end > {level} * (ends[-1] - 1), ends)"
    between = f"greatest(0, {level} * (ends[-1] - 1) - (ends[place] - 1))"
    upper = "sorted[least(place + 1, length(sorted))].1"
    value = f"sorted[place].1 + {between} * ({upper} - sorted[place].1)"
    with_place = f"arrayMap(place -> {value}, [{at}])[1]"
    with_ends = f"arrayMap(ends -> {with_place}, [arrayCumSum(pair -> pair.2, sorted)])[1]"
    return f"arrayMap(sorted -> {with_ends}, [arraySort({pairs})])[1]"


def _first(numbers: Numbers) -> float | None:
    return finite(numbers[0])


def _ratio(numbers: Numbers) -> float | None:
    return finite(numbers[0] / numbers[1]) if numbers[1] else None


def _if_any(numbers: Numbers) -> float | None:
    return finite(numbers[0]) if numbers[1] else None
