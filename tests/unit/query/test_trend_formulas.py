"""Formulas are read by a grammar and never evaluated as code; whatever is not finite is no value."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obc_common.errors import InvalidArgument
from obc_query.insights.trends.formula import MAX_NODES, evaluate, parse_formula

numbers = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))


def value_of(text: str, *operands: float | None) -> float | None:
    return evaluate(parse_formula(text, len(operands), "formulas[0]"), operands)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("8 - 4 - 2", 2),
        ("16 / 4 / 2", 2),
        ("2 ^ 3 ^ 2", 512),
        ("-2 ^ 2", -4),
        ("2 ^ -1", 0.5),
        ("- - +3", 3),
        ("7 % -4", 3),
        ("-7 % 4", -3),
        (" \t\r\n1e2 ", 100),
        (".5 + 1.", 1.5),
        ("round(2.5)", 3),
        ("round(-2.5)", -3),
        ("round(2.675, 2)", 2.68),
        ("round(1e300, 2)", 1e300),
        ("round(1, 11)", None),
        ("round(1, 0.5)", None),
        ("floor(-0.5)", -1),
        ("ceil(-0.5)", 0),
        ("sqrt(9)", 3),
        ("abs(-3)", 3),
        ("min(3, 1, 2)", 1),
        ("max(3, 1, 2)", 3),
        ("A / B", 0.5),
        ("C + 1", None),
        ("max(A, C)", None),
        ("A / 0", None),
        ("A % 0", None),
        ("0 ^ -1", None),
        ("(-8) ^ 0.5", None),
        ("sqrt(-1)", None),
        ("10 ^ 308 * 10", None),
        ("10 ^ 309", None),
        ("1e308 + 1e308", None),
    ],
)
def test_values(text: str, value: float | None) -> None:
    assert value_of(text, 1.0, 2.0, None) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "BAD_FORMULA"),
        ("   ", "BAD_FORMULA"),
        ("A +", "BAD_FORMULA"),
        ("A B", "BAD_FORMULA"),
        ("AB", "BAD_FORMULA"),
        ("2A", "BAD_FORMULA"),
        ("a", "BAD_FORMULA"),
        ("K", "BAD_FORMULA"),
        ("A, B", "BAD_FORMULA"),
        ("(A", "BAD_FORMULA"),
        ("A)", "BAD_FORMULA"),
        ("A ** 2", "BAD_FORMULA"),
        ("A // 2", "BAD_FORMULA"),
        ("A; B", "BAD_FORMULA"),
        ("A = B", "BAD_FORMULA"),
        ("A\x00", "BAD_FORMULA"),
        ("٣", "BAD_FORMULA"),
        ("A\u00a0+ 1", "BAD_FORMULA"),
        ("1_000", "BAD_FORMULA"),
        ("0x10", "BAD_FORMULA"),
        ("1e400", "BAD_FORMULA"),
        ("nan", "BAD_FORMULA"),
        ("inf", "BAD_FORMULA"),
        ("__import__('os').system('id')", "BAD_FORMULA"),
        ("A.__class__", "BAD_FORMULA"),
        ("lambda: A", "BAD_FORMULA"),
        ("round()", "BAD_FORMULA"),
        ("round(1, 2, 3)", "BAD_FORMULA"),
        ("sqrt(A, A)", "BAD_FORMULA"),
        ("pow(A, 2)", "BAD_FORMULA"),
        ("'); DROP TABLE events; --", "BAD_FORMULA"),
        ("B", "UNKNOWN_SERIES"),
        ("A + min(1, J)", "UNKNOWN_SERIES"),
        ("1" * 501, "FORMULA_TOO_BIG"),
        ("+".join("1" * 101), "FORMULA_TOO_BIG"),
        ("-" * 499 + "A", "FORMULA_TOO_BIG"),
        ("^".join("9" * 249), "FORMULA_TOO_BIG"),
        ("min(" + ",".join("1" * MAX_NODES) + ")", "FORMULA_TOO_BIG"),
        ("abs(" * 99 + "A" + ")" * 99, "FORMULA_TOO_BIG"),
        ("(" * 499 + "A", "BAD_FORMULA"),
    ],
)
def test_hostile_text_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_formula(text, 1, "formulas[3]")
    assert (refused.value.reason, refused.value.field) == (reason, "formulas[3]")


def test_brackets_alone_make_nothing_deep() -> None:
    assert value_of("(" * 249 + "A" + ")" * 249, 2.0) == 2.0


@given(st.text(st.sampled_from("AB0123456789.eE+-*/%^(), roundflceiqtabsmx"), max_size=60), numbers, numbers)
def test_any_text_is_a_number_or_no_value_or_refused(text: str, one: float | None, other: float | None) -> None:
    try:
        value = value_of(text, one, other)
    except InvalidArgument as refused:
        assert refused.field == "formulas[0]"
    else:
        assert value is None or math.isfinite(value)


@given(st.text(max_size=600))
def test_no_text_does_harm(text: str) -> None:
    try:
        value_of(text, 1.0)
    except InvalidArgument as refused:
        assert refused.reason in {"BAD_FORMULA", "FORMULA_TOO_BIG", "UNKNOWN_SERIES"}


def test_the_largest_numbers_take_no_time() -> None:
    started = time.perf_counter()
    assert value_of("9^9^9^9^9") is None
    assert value_of("round(9^9^9, 10)") is None
    assert time.perf_counter() - started < 1
