"""Two answers are the same when every number is, to a billionth."""

import math
from typing import Any


def same(answer: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Fails at the first difference and says where. What says how fresh and dear an answer is, is left out."""
    _same({key: value for key, value in answer.items() if key != "info"}, wanted, "")


def _same(left: Any, right: Any, place: str) -> None:
    if isinstance(left, dict) and isinstance(right, dict):
        assert sorted(left) == sorted(right), f"{place}: keys {sorted(left)} instead of {sorted(right)}"
        for key in left:
            _same(left[key], right[key], f"{place}.{key}")
    elif isinstance(left, list) and isinstance(right, list):
        assert len(left) == len(right), f"{place}: {len(left)} instead of {len(right)}: {left} {right}"
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            _same(one, other, f"{place}[{index}]")
    elif isinstance(left, int | float) and isinstance(right, int | float):
        assert math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9), f"{place}: {left} instead of {right}"
    else:
        assert left == right, f"{place}: {left!r} instead of {right!r}"
