"""Formulas over series: text in, a tree of numbers, series and operations out, and its value for given numbers.

The text is read by a grammar (ADR 0013), never evaluated as code. Whatever has no finite value has none: a division by
zero, the root of a negative number, something too large, anything that is computed of no value.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import VisitError

from obc_common.errors import InvalidArgument

MAX_LENGTH = 500
MAX_NODES = 200
MAX_DEPTH = 64
_MOST_DIGITS = 10
# From here on a double has no digits behind the point.
_WHOLE = 2.0**53

_GRAMMAR = r"""
?start: sum
?sum: product | sum "+" product -> add | sum "-" product -> subtract
?product: signed | product "*" signed -> multiply | product "/" signed -> divide | product "%" signed -> remainder
?signed: power | "-" signed -> negate | "+" signed
?power: atom | atom "^" signed -> raise_to
?atom: NUMBER -> number | SERIES -> series | FUNCTION "(" sum ("," sum)* ")" -> call | "(" sum ")"
NUMBER: /([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?/
SERIES: /[A-J]/
FUNCTION: /round|floor|ceil|sqrt|abs|min|max/
%ignore /[ \t\r\n]+/
"""

Operate = Callable[..., float]


@dataclass(frozen=True, slots=True)
class Constant:
    """A number."""

    number: float
    nodes: int = 1
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Operand:
    """A series, by its place in the request."""

    series: int
    nodes: int = 1
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Operation:
    """What is computed of other nodes."""

    operate: Operate
    arguments: tuple["Node", ...]
    nodes: int
    depth: int


Node = Constant | Operand | Operation


def _rounded(value: float, digits: float = 0.0) -> float:
    if digits not in range(_MOST_DIGITS + 1):
        raise ValueError("digits")
    if abs(value) >= _WHOLE:
        return value
    return float(Decimal(repr(value)).quantize(Decimal(1).scaleb(-int(digits)), ROUND_HALF_UP))


_FUNCTIONS: Mapping[str, tuple[Operate, int, int]] = {
    "round": (_rounded, 1, 2),
    "floor": (math.floor, 1, 1),
    "ceil": (math.ceil, 1, 1),
    "sqrt": (math.sqrt, 1, 1),
    "abs": (abs, 1, 1),
    "min": (lambda *values: min(values), 1, MAX_NODES),
    "max": (lambda *values: max(values), 1, MAX_NODES),
}
"""Name -> function, fewest and most arguments."""


class _TooBig(Exception):
    """More nodes, or deeper, than a formula may be."""


class _Unusable(Exception):
    """What the grammar lets through and no formula may have; says what."""


def _operation(operate: Operate, *arguments: Node) -> Operation:
    nodes = 1 + sum(argument.nodes for argument in arguments)
    depth = 1 + max(argument.depth for argument in arguments)
    if nodes > MAX_NODES or depth > MAX_DEPTH:
        raise _TooBig
    return Operation(operate, arguments, nodes, depth)


@v_args(inline=True)
class _Builder(Transformer[Token, Node]):
    """Builds nodes while the text is read, from the leaves up: no recursion that a hostile text could drive deep."""

    def number(self, token: Token) -> Node:
        if not math.isfinite(value := float(token)):
            raise _Unusable("a number is too large")
        return Constant(value)

    def series(self, token: Token) -> Node:
        return Operand(ord(token) - ord("A"))

    def call(self, name: Token, *arguments: Node) -> Node:
        operate, fewest, most = _FUNCTIONS[str(name)]
        if not fewest <= len(arguments) <= most:
            raise _Unusable(f"{name} takes {fewest if fewest == most else f'{fewest} or {most}'} arguments")
        return _operation(operate, *arguments)

    def add(self, left: Node, right: Node) -> Node:
        return _operation(lambda a, b: a + b, left, right)

    def subtract(self, left: Node, right: Node) -> Node:
        return _operation(lambda a, b: a - b, left, right)

    def multiply(self, left: Node, right: Node) -> Node:
        return _operation(lambda a, b: a * b, left, right)

    def divide(self, left: Node, right: Node) -> Node:
        return _operation(lambda a, b: a / b, left, right)

    def remainder(self, left: Node, right: Node) -> Node:
        return _operation(math.fmod, left, right)

    def raise_to(self, left: Node, right: Node) -> Node:
        return _operation(math.pow, left, right)

    def negate(self, node: Node) -> Node:
        return _operation(lambda a: -a, node)


_PARSER = Lark(_GRAMMAR, parser="lalr", transformer=_Builder())


def parse_formula(text: str, series: int, field: str) -> Node:
    """The formula of a text.

    Args:
        text: as the caller wrote it.
        series: how many series there are to name.
        field: the request's field to name in the error.

    Raises:
        InvalidArgument: BAD_FORMULA, FORMULA_TOO_BIG or UNKNOWN_SERIES.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidArgument("FORMULA_TOO_BIG", f"a formula has at most {MAX_LENGTH} characters", field=field)
    try:
        node: Any = _PARSER.parse(text)
    except UnexpectedInput as error:
        place = error.pos_in_stream if error.pos_in_stream is not None and error.pos_in_stream >= 0 else len(text)
        raise InvalidArgument("BAD_FORMULA", f"not understood at character {place + 1}", field=field) from None
    except (_TooBig, _Unusable, VisitError) as error:
        raise _refused(error, field) from None
    if (unknown := max(_operands(node), default=-1)) >= series:
        raise InvalidArgument("UNKNOWN_SERIES", f"there is no series {chr(ord('A') + unknown)}", field=field)
    assert isinstance(node, Constant | Operand | Operation)  # what the builder makes
    return node


def _refused(error: Exception, field: str) -> InvalidArgument:
    if isinstance(error, VisitError):
        error = error.orig_exc
    if isinstance(error, _TooBig):
        return InvalidArgument(
            "FORMULA_TOO_BIG",
            f"a formula has at most {MAX_NODES} numbers, series and operations and is at most {MAX_DEPTH} deep",
            field=field,
        )
    return InvalidArgument("BAD_FORMULA", str(error), field=field)


def _operands(node: Node) -> set[int]:
    if isinstance(node, Operation):
        return set().union(*map(_operands, node.arguments))
    return {node.series} if isinstance(node, Operand) else set()


def evaluate(node: Node, operands: Sequence[float | None]) -> float | None:
    """The formula's value where its series have these; None where it has none."""
    if isinstance(node, Operand):
        return operands[node.series]
    if isinstance(node, Constant):
        return node.number
    arguments = []
    for argument in node.arguments:
        value = evaluate(argument, operands)
        if value is None:
            return None
        arguments.append(value)
    try:
        result = float(node.operate(*arguments))
    except (ArithmeticError, ValueError):
        return None
    return result if math.isfinite(result) else None
