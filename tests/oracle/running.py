"""How a test is run over many histories: 20 in `make test`, 2,000 in `make test-oracle`."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

_HISTORIES = int(os.environ.get("OBC_ORACLE_HISTORIES", "20"))
_LONGEST_SECONDS = 0.5


def over_histories(cases: SearchStrategy[Any]) -> Callable[[Any], Any]:
    """Calls the test with `case` drawn from `cases`. Each is a tenant of its own, so that one desk serves them all."""

    def decorate(test: Any) -> Any:
        checked = settings(
            max_examples=_HISTORIES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=[
                HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large
            ],
        )(given(case=cases)(test))  # fmt: skip
        return pytest.mark.timeout(60 + _LONGEST_SECONDS * _HISTORIES)(checked)

    return decorate
