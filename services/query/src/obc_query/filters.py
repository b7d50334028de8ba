"""Filters `field:op:value`.

How the text of a value is typed: it is compared as a string with strings; as a number with numbers when it is written
as a JSON number; as a boolean with booleans when it is `true` or `false`. So `eq:5` finds the number 5 and the string
"5", `eq:5.0` the number 5 and the string "5.0", `eq:05` the string "05" only. The order operators compare numbers when
the value is a number, else strings (ISO dates sort that way). An event that lacks the field matches `neq` and no other
operator but `exists:false`. Text is case-sensitive and every character stands for itself.
"""

import math
import re
from dataclasses import dataclass

from obc_common.errors import InvalidArgument
from obc_query.fields import Field, resolve_field
from obc_query.statement import Binder

OPERATORS = ("eq", "neq", "in", "contains", "starts_with", "gt", "gte", "lt", "lte", "exists")
MAX_FILTERS = 50
_MAX_VALUES = 1000
_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z", re.ASCII)
# The first `:op:` splits, so that a property key may hold colons.
_SHAPE = re.compile(rf"(?P<field>.+?):(?P<op>{'|'.join(OPERATORS)})(?::(?P<value>.*))?\Z", re.DOTALL)
_UNESCAPED_COMMA = re.compile(r"(?<!\\),")


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition on an event.

    Attributes:
        field: what is compared.
        operator: one of OPERATORS.
        values: what it is compared with; more than one only for `in`, none only for `exists`.
    """

    field: Field
    operator: str
    values: tuple[str, ...]


def parse_filters(texts: list[str]) -> tuple[Filter, ...]:
    """Reads filters as a request has them.

    Raises:
        InvalidArgument: BAD_FILTER, UNKNOWN_OPERATOR, UNKNOWN_FIELD or TOO_MANY_FILTERS, naming `filter[i]`.
    """
    if len(texts) > MAX_FILTERS:
        raise InvalidArgument("TOO_MANY_FILTERS", f"at most {MAX_FILTERS} filters", field="filter")
    return tuple(_parse(text, f"filter[{index}]") for index, text in enumerate(texts))


def _parse(text: str, request_field: str) -> Filter:
    match = _SHAPE.match(text)
    if match is None:
        if text.count(":") >= 2:
            raise InvalidArgument(
                "UNKNOWN_OPERATOR", f"the operator must be one of {', '.join(OPERATORS)}", field=request_field
            )
        raise InvalidArgument("BAD_FILTER", "a filter is written field:operator:value", field=request_field)
    operator, value = match["op"], match["value"]
    resolved = resolve_field(match["field"], request_field)
    if operator == "exists":
        if value not in (None, "", "true", "false"):
            raise InvalidArgument("BAD_FILTER", "exists takes true, false or nothing", field=request_field)
        return Filter(resolved, operator, (value or "true",))
    if value is None:
        raise InvalidArgument("BAD_FILTER", "a filter is written field:operator:value", field=request_field)
    values = split_list(value) if operator == "in" else (value,)
    if len(values) > _MAX_VALUES:
        raise InvalidArgument("BAD_FILTER", f"at most {_MAX_VALUES} values", field=request_field)
    return Filter(resolved, operator, values)


def split_list(text: str) -> tuple[str, ...]:
    r"""Parts between commas; `\,` is a comma that belongs to a part."""
    return tuple(part.replace("\\,", ",") for part in _UNESCAPED_COMMA.split(text))


def condition(item: Filter, binder: Binder) -> str:
    """The filter as a condition that is never NULL."""
    target = item.field
    if item.operator == "exists":
        return target.exists if item.values == ("true",) else f"NOT ({target.exists})"
    if item.operator in ("eq", "in"):
        return _equals_any(target, item.values, binder)
    if item.operator == "neq":
        return f"NOT ({_equals_any(target, item.values, binder)})"
    if item.operator in _COMPARISONS:
        return _compares(target, _COMPARISONS[item.operator], item.values[0], binder)
    if target.text is None:
        return "false"
    placeholder = binder.bind(item.values[0], "String")
    if item.operator == "contains":
        return f"ifNull(position({target.text}, {placeholder}) > 0, false)"
    return f"ifNull(startsWith({target.text}, {placeholder}), false)"


def _equals_any(target: Field, values: tuple[str, ...], binder: Binder) -> str:
    alternatives: list[str] = []
    if target.text is not None:
        alternatives.append(f"ifNull(has({binder.bind(list(values), 'Array(String)')}, {target.text}), false)")
    if target.number is not None:
        numbers = [number for value in values if (number := as_number(value)) is not None]
        alternatives += [f"ifNull({target.number} = {binder.bind(number, 'Float64')}, false)" for number in numbers]
    if target.boolean is not None:
        booleans = {value == "true" for value in values if value in ("true", "false")}
        alternatives += [f"ifNull({target.boolean} = {str(flag).lower()}, false)" for flag in sorted(booleans)]
    return " OR ".join(alternatives) or "false"


def _compares(target: Field, sign: str, value: str, binder: Binder) -> str:
    number = as_number(value)
    if number is not None:
        if target.number is None:
            return "false"
        return f"ifNull({target.number} {sign} {binder.bind(number, 'Float64')}, false)"
    if target.text is None:
        return "false"
    # A column of the event is '' where the field is absent, and '' sorts before everything.
    return f"({target.exists}) AND ifNull({target.text} {sign} {binder.bind(value, 'String')}, false)"


def as_number(text: str) -> float | None:
    """The number a text is written as in JSON, or None."""
    if _JSON_NUMBER.match(text) is None:
        return None
    number = float(text)
    return number if math.isfinite(number) else None
