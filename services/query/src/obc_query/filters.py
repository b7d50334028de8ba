r"""Filters `field:operator:value` of the REST routes without a body.

How the text of a value is typed: `eq`, `neq` and `in` compare it as a string with strings; as a number with numbers
when it is written as a JSON number; as a boolean with booleans when it is `true` or `false`. So `eq:5` finds the number
5 and the string "5", `eq:5.0` the number 5 and the string "5.0", `eq:05` the string "05" only. The order operators
compare numbers when the value is a number, else strings.
"""

import math
import re

from obc_common.errors import InvalidArgument
from obc_query.comparison import MAX_VALUES, Comparison, Value
from obc_query.fields import Field, resolve_field

OPERATORS = ("eq", "neq", "in", "contains", "starts_with", "gt", "gte", "lt", "lte", "exists")
MAX_FILTERS = 50
_EQUALITIES = {"eq": "eq", "neq": "neq", "in": "eq"}
_SEARCHES = ("contains", "starts_with")
_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z", re.ASCII)
# The first `:op:` splits, so that a property key may hold colons.
_SHAPE = re.compile(rf"(?P<field>.+?):(?P<op>{'|'.join(OPERATORS)})(?::(?P<value>.*))?\Z", re.DOTALL)
_UNESCAPED_COMMA = re.compile(r"(?<!\\),")


def parse_filters(texts: list[str]) -> tuple[Comparison, ...]:
    """Reads filters as a request has them; all of them must hold.

    Raises:
        InvalidArgument: BAD_FILTER, UNKNOWN_OPERATOR, UNKNOWN_FIELD or TOO_MANY_FILTERS, naming `filter[i]`.
    """
    if len(texts) > MAX_FILTERS:
        raise InvalidArgument("TOO_MANY_FILTERS", f"at most {MAX_FILTERS} filters", field="filter")
    return tuple(_parse(text, f"filter[{index}]") for index, text in enumerate(texts))


def _parse(text: str, request_field: str) -> Comparison:
    match = _SHAPE.match(text)
    if match is None:
        if text.count(":") >= 2:
            raise InvalidArgument(
                "UNKNOWN_OPERATOR", f"the operator must be one of {', '.join(OPERATORS)}", field=request_field
            )
        raise InvalidArgument("BAD_FILTER", "a filter is written field:operator:value", field=request_field)
    operator, value = match["op"], match["value"]
    field = resolve_field(match["field"], request_field)
    if operator == "exists":
        if value not in (None, "", "true", "false"):
            raise InvalidArgument("BAD_FILTER", "exists takes true, false or nothing", field=request_field)
        return Comparison(field, "not_exists" if value == "false" else "exists")
    if value is None:
        raise InvalidArgument("BAD_FILTER", "a filter is written field:operator:value", field=request_field)
    if operator in _EQUALITIES:
        return _equality(field, operator, value, request_field)
    number = None if operator in _SEARCHES else as_number(value)
    return Comparison(field, operator, (value if number is None else number,))


def _equality(field: Field, operator: str, value: str, request_field: str) -> Comparison:
    texts = split_list(value) if operator == "in" else (value,)
    if len(texts) > MAX_VALUES:
        raise InvalidArgument("BAD_FILTER", f"at most {MAX_VALUES} values", field=request_field)
    return Comparison(field, _EQUALITIES[operator], tuple(typed for text in texts for typed in _typings(text)))


def _typings(text: str) -> tuple[Value, ...]:
    """Everything that a text may be meant to be."""
    if text in ("true", "false"):
        return text, text == "true"
    number = as_number(text)
    return (text,) if number is None else (text, number)


def split_list(text: str) -> tuple[str, ...]:
    r"""Parts between commas; `\,` is a comma that belongs to a part."""
    return tuple(part.replace("\\,", ",") for part in _UNESCAPED_COMMA.split(text))


def as_number(text: str) -> float | None:
    """The number a text is written as in JSON, or None."""
    if _JSON_NUMBER.match(text) is None:
        return None
    number = float(text)
    return number if math.isfinite(number) else None
