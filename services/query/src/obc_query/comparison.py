"""A comparison of one field with typed values: a number never equals a string.

An event that lacks the field meets `neq` and `not_exists` and nothing else; an object is no value, its members are.
Text is case-sensitive and every character stands for itself. The order operators compare numbers with a number and
strings with a string (ISO dates sort that way).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from obc_query.fields import Field
from obc_query.statement import Binder

Value = str | float | bool

_ORDER = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_SEARCHES = {"contains": "position({text}, {value}) > 0", "starts_with": "startsWith({text}, {value})"}
OPERATORS = ("eq", "neq", *_SEARCHES, *_ORDER, "exists", "not_exists")
"""`eq`: one of the values; `neq`: none of them."""
MAX_VALUES = 1000


@dataclass(frozen=True, slots=True)
class Comparison:
    """One condition on an event.

    Attributes:
        field: what is compared.
        operator: one of OPERATORS.
        values: what it is compared with: any number for `eq` and `neq`, none for `exists` and `not_exists`, one for the
            others, a string for `contains` and `starts_with`, a string or a number for the order operators.
    """

    field: Field
    operator: str
    values: tuple[Value, ...] = ()


def condition(comparison: Comparison, binder: Binder) -> str:
    """The comparison as a condition that is never NULL."""
    target, operator, values = comparison.field, comparison.operator, comparison.values
    if operator == "exists":
        return target.exists
    if operator == "not_exists":
        return f"NOT ({target.exists})"
    if operator == "eq":
        return _equals_any(target, values, binder)
    if operator == "neq":
        return f"NOT ({_equals_any(target, values, binder)})"
    value = values[0]
    if operator in _ORDER and not isinstance(value, str):
        if target.number is None:
            return "false"
        return f"ifNull({target.number} {_ORDER[operator]} {binder.bind(float(value), 'Float64')}, false)"
    if target.text is None:
        return "false"
    placeholder = binder.bind(value, "String")
    if operator in _ORDER:
        test = f"{target.text} {_ORDER[operator]} {placeholder}"
    else:
        test = _SEARCHES[operator].format(text=target.text, value=placeholder)
    # A column of the event is '' where the field is absent: '' sorts before everything and is part of everything.
    return f"({target.exists}) AND ifNull({test}, false)"


def _equals_any(target: Field, values: Sequence[Value], binder: Binder) -> str:
    texts = [value for value in values if isinstance(value, str)]
    numbers = [float(value) for value in values if not isinstance(value, str | bool)]
    booleans = {value for value in values if isinstance(value, bool)}
    alternatives: list[str] = []
    if target.text is not None and texts:
        test = f"ifNull(has({binder.bind(texts, 'Array(String)')}, {target.text}), false)"
        alternatives.append(f"({target.exists}) AND {test}" if "" in texts else test)
    if target.number is not None and numbers:
        alternatives.append(f"ifNull(has({binder.bind(numbers, 'Array(Float64)')}, {target.number}), false)")
    if target.boolean is not None:
        alternatives += [f"ifNull({target.boolean} = {str(flag).lower()}, false)" for flag in sorted(booleans)]
    return " OR ".join(alternatives) or "false"
