"""Trends, measured anew for every point from the list of its events."""

import ast
import math
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.oracle.calendar import buckets, with_range
from tests.oracle.matching import in_range, kind, label_of, person, selects, value_of, weight
from tests.support.stored_events import Stored

_GAP = 30 * 60_000
_LEVELS = {"median": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_NUMERIC = ("sum", "avg", "min", "max", *_LEVELS)

Number = float | None
Sessions = dict[Any, tuple[str, int]]
Line = tuple[Number, list[Number]]
"""The total and the values of the buckets."""


def trends(events: Sequence[Stored], body: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """The whole answer."""
    body = with_range(body, now_ms)
    length = int(body["to"]) - int(body["from"])
    before = {**body, "from": str(int(body["from"]) - length), "to": body["from"]}
    periods = [body, before] if body.get("compare_previous") else [body]
    values, other_from = _values(events, body, periods)
    sessions = _sessions(events)
    results = []
    lines: dict[tuple[int, int, tuple[str, ...]], Line] = {}
    for number, series in enumerate(body["series"]):
        for value in values:
            result = _result(chr(ord("A") + number), _label(series), value)
            for which, period in enumerate(periods):
                chosen = [
                    event
                    for event in in_range(events, period)
                    if selects(event, series.get("event", {})) and _shown(event, body, other_from) == value
                ]
                lines[which, number, value] = _measured(series, chosen, period, sessions, now_ms)
                if which == 0 and series.get("measure") in _NUMERIC:
                    result["skipped"] = sum(1 for event in chosen if _is_other(event, series["property"]))
                _add(result, which, lines[which, number, value], period, body, now_ms)
            results.append(result)
    for text in body.get("formulas", []):
        for value in values:
            result = _result(text, text, value)
            for which, period in enumerate(periods):
                operands = [lines[which, number, value] for number in range(len(body["series"]))]
                total = _computed(text, [one for one, _ in operands])
                points = [
                    _computed(text, [numbers[index] for _, numbers in operands])
                    for index in range(len(buckets(period)))
                ]
                _add(result, which, (total, _not_yet_zero(points, period, now_ms)), period, body, now_ms)
            results.append(result)
    window = {"from": int(body["from"]), "to": int(body["to"])}
    return {"results": results, **window, "interval": body.get("interval") or "day",
            "timezone": body.get("timezone") or "UTC"}  # fmt: skip


def _result(series: str, label: str, value: tuple[str, ...]) -> dict[str, Any]:
    return {"series": series, "label": label, "breakdown_values": list(value), "skipped": 0, "previous_points": []}


def _label(series: dict[str, Any]) -> str:
    event = series.get("event", {})
    return event.get("label") or ", ".join(event.get("names", [])) or "any event"


def _values(
    events: Sequence[Stored], body: dict[str, Any], periods: list[dict[str, Any]]
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]] | None]:
    """The values that have results, and those of them that are not `$other`; None = there is no breakdown."""
    if not body.get("breakdowns"):
        return [()], None
    counts: dict[tuple[str, ...], float] = {}
    for which, period in enumerate(periods):
        for event in in_range(events, period):
            if any(selects(event, series.get("event", {})) for series in body["series"]):
                value = tuple(label_of(event, name) for name in body["breakdowns"])
                counts[value] = counts.get(value, 0) + (weight(event) if which == 0 else 0)
    other = ("$other",) * len(body["breakdowns"])
    ranked = sorted((value for value in counts if value != other), key=lambda value: (-counts[value], value))
    top = ranked[: body.get("breakdown_limit") or 200]
    return top + [other] * (len(counts) > len(top)), top


def _shown(event: Stored, body: dict[str, Any], top: list[tuple[str, ...]] | None) -> tuple[str, ...]:
    value = tuple(label_of(event, name) for name in body.get("breakdowns", []))
    return value if top is None or value in top else ("$other",) * len(value)


def _sessions(events: Sequence[Stored]) -> Sessions:
    """The session of each event that has one."""
    found: Sessions = {}
    last: dict[str, tuple[int, int]] = {}
    for event in sorted(events, key=lambda event: event.at):
        if event.session:
            at, number = last.get(event.session, (event.at, 0))
            number += event.at - at >= _GAP
            last[event.session] = (event.at, number)
            found[event.event_id] = (event.session, number)
    return found


def _measured(
    series: dict[str, Any], chosen: list[Stored], period: dict[str, Any], sessions: Sessions, now_ms: int
) -> Line:
    values: list[Number] = []
    for start, end in buckets(period):
        first = int(period["from"]) if period.get("cumulative") else start
        values.append(_representable(_measure(series, [e for e in chosen if first <= e.at < end], sessions)))
    return _representable(_measure(series, chosen, sessions)), _not_yet_zero(values, period, now_ms)


def _not_yet_zero(values: list[Number], period: dict[str, Any], now_ms: int) -> list[Number]:
    ends = [end for _, end in buckets(period)]
    return [None if end > now_ms and not value else value for value, end in zip(values, ends, strict=True)]


def _measure(series: dict[str, Any], chosen: list[Stored], sessions: Sessions) -> Number:
    measure = series.get("measure") or "total"
    if measure == "total":
        return sum(weight(event) for event in chosen)
    if measure == "unique_users":
        return _distinct(chosen, person)
    if measure == "sessions":
        return _distinct(chosen, lambda event: sessions.get(event.event_id))
    if measure == "per_user":
        somebodys = [event for event in chosen if person(event)]
        return sum(weight(event) for event in somebodys) / _distinct(somebodys, person) if somebodys else None
    values = [(value_of(event, series["property"]), event) for event in chosen if _has(event, series["property"])]
    if measure == "distinct":
        return float(len({(kind(value), str(value) if kind(value) == "other" else value) for value, _ in values}))
    numbers: list[float] = []
    for value, event in values:
        if kind(value) == "number":
            # As if the event were there as often as it stands for.
            numbers += [value] * round(weight(event))
    if measure == "sum":
        return float(sum(numbers))
    if not numbers:
        return None
    if measure in ("min", "max"):
        return min(numbers) if measure == "min" else max(numbers)
    if measure == "avg":
        return sum(numbers) / len(numbers)
    numbers.sort()
    place = _LEVELS[measure] * (len(numbers) - 1)
    below = math.floor(place)
    above = min(below + 1, len(numbers) - 1)
    return numbers[below] + (place - below) * (numbers[above] - numbers[below])


def _distinct(chosen: list[Stored], key: Callable[[Stored], Any]) -> float:
    weights: dict[Any, float] = {}
    for event in chosen:
        if who := key(event):
            weights[who] = min(weight(event), weights.get(who, weight(event)))
    return sum(weights.values())


def _has(event: Stored, name: str) -> bool:
    return label_of(event, name) != "$none"


def _is_other(event: Stored, name: str) -> bool:
    return _has(event, name) and kind(value_of(event, name)) != "number"


def _add(
    result: dict[str, Any], which: int, line: Line, period: dict[str, Any], body: dict[str, Any], now_ms: int
) -> None:
    prefix = "previous_" if which else ""
    total, values = line
    if total is not None:
        result[f"{prefix}total"] = total
    if width := body.get("rolling_average"):
        values = [_mean(values[max(0, index - width + 1) : index + 1], values[index], end > now_ms)
                  for index, (_, end) in enumerate(buckets(period))]  # fmt: skip
        values = _not_yet_zero(values, period, now_ms)
    points = []
    for (start, end), value in zip(buckets(period), values, strict=True):
        point: dict[str, Any] = {"start": start, "incomplete": end > now_ms}
        if value is not None:
            point["value"] = value
        points.append(point)
    result[f"{prefix}points"] = points


def _mean(values: list[Number], own: Number, incomplete: bool) -> Number:
    present = [value for value in values if value is not None]
    if not present or (incomplete and own is None):
        return None
    return _representable(sum(present) / len(present))


def _representable(value: Number) -> Number:
    return value if value is not None and math.isfinite(value) else None


def _computed(text: str, operands: list[Number]) -> Number:
    """Python's own grammar reads the formula: its precedence is the same, `^` is its `**`."""
    try:
        value = _evaluated(ast.parse(text.strip().replace("^", "**"), mode="eval").body, operands)
    except (ArithmeticError, ValueError):
        return None
    return value if value is not None and math.isfinite(value) else None


def _evaluated(node: ast.AST, operands: list[Number]) -> Number:
    match node:
        case ast.Constant():
            return float(str(node.value))
        case ast.Name():
            return operands[ord(node.id) - ord("A")]
        case ast.UnaryOp():
            value = _evaluated(node.operand, operands)
            return value if value is None or isinstance(node.op, ast.UAdd) else -value
        case ast.BinOp():
            left, right = _evaluated(node.left, operands), _evaluated(node.right, operands)
            return None if left is None or right is None else _finite(_OPERATIONS[type(node.op)](left, right))
        case ast.Call(func=ast.Name(id=name)):
            values = [_evaluated(argument, operands) for argument in node.args]
            known = [value for value in values if value is not None]
            return None if len(known) < len(values) else _finite(_FUNCTIONS[name](*known))
    raise AssertionError(ast.dump(node))


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise OverflowError
    return value


def _rounded(value: float, digits: float = 0) -> float:
    if digits not in range(11):
        raise ValueError(digits)
    if abs(value) >= 2**53:
        return value
    return float(Decimal(repr(value)).quantize(Decimal(1).scaleb(-int(digits)), ROUND_HALF_UP))


_OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: lambda left, right: left / right,
    ast.Mod: math.fmod,
    ast.Pow: math.pow,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "round": _rounded,
    "floor": math.floor,
    "ceil": math.ceil,
    "sqrt": math.sqrt,
    "abs": abs,
    "min": lambda *values: min(values),
    "max": lambda *values: max(values),
}
