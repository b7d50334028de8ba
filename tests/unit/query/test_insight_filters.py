"""What callers may write as the filter of an insight, and what it becomes."""

from typing import Any

import pytest
from google.protobuf import json_format

from obc.query.v1 import filter_pb2
from obc_common.errors import InvalidArgument
from obc_query.comparison import Comparison
from obc_query.insights.filter_tree import Combination, any_of, filter_condition, selector_condition
from obc_query.insights.reading import MAX_COMPARISONS, MAX_FILTER_DEPTH, read_filter, read_selector
from obc_query.statement import Binder

PRO = {"field": "properties.plan", "op": "eq", "values": ["pro"]}


def message(given: dict[str, Any]) -> filter_pb2.Filter:
    return json_format.ParseDict(given, filter_pb2.Filter())


def nested(depth: int) -> dict[str, Any]:
    return PRO if depth == 1 else {"all": [nested(depth - 1)]}


def test_a_comparison_keeps_the_types_of_its_values() -> None:
    read = read_filter(message({"field": "properties.n", "op": "neq", "values": ["5", 5, True]}), "filter")

    assert isinstance(read, Comparison)
    assert (read.field.name, read.operator, read.values) == ("properties.n", "neq", ("5", 5.0, True))
    assert [type(value) for value in read.values] == [str, float, bool]


def test_filters_nest() -> None:
    read = read_filter(message({"all": [PRO, {"none": [PRO, {"any": [PRO, PRO]}]}]}), "filter")

    assert isinstance(read, Combination)
    assert filter_condition(read, Binder()).count("OR") == 2
    assert "NOT (" in filter_condition(read, Binder())


@pytest.mark.parametrize(
    ("given", "reason", "field"),
    [
        ({}, "BAD_FILTER", "filter"),
        ({**PRO, "any": [PRO]}, "BAD_FILTER", "filter"),
        ({"all": [PRO], "any": [PRO]}, "BAD_FILTER", "filter"),
        ({"all": [PRO, {"any": [PRO, {}]}]}, "BAD_FILTER", "filter.all[1].any[1]"),
        (nested(MAX_FILTER_DEPTH + 1), "BAD_FILTER", "filter" + ".all[0]" * MAX_FILTER_DEPTH),
        ({"any": [PRO] * (MAX_COMPARISONS + 1)}, "TOO_MANY_FILTERS", "filter"),
        ({**PRO, "op": "like"}, "UNKNOWN_OPERATOR", "filter.op"),
        ({"any": [PRO, {**PRO, "op": ""}]}, "UNKNOWN_OPERATOR", "filter.any[1].op"),
        ({**PRO, "field": "tenant_id"}, "UNKNOWN_FIELD", "filter.field"),
        ({**PRO, "field": ""}, "UNKNOWN_FIELD", "filter.field"),
        ({**PRO, "values": []}, "BAD_FILTER", "filter.values"),
        ({**PRO, "values": [None]}, "BAD_FILTER", "filter.values[0]"),
        ({**PRO, "values": ["x", {"a": 1}]}, "BAD_FILTER", "filter.values[1]"),
        ({**PRO, "values": ["x"] * 1001}, "BAD_FILTER", "filter.values"),
        ({**PRO, "op": "gt", "values": [1, 2]}, "BAD_FILTER", "filter.values"),
        ({**PRO, "op": "gt", "values": [True]}, "BAD_FILTER", "filter.values[0]"),
        ({**PRO, "op": "contains", "values": [1]}, "BAD_FILTER", "filter.values[0]"),
        ({**PRO, "op": "exists"}, "BAD_FILTER", "filter.values"),
    ],
)
def test_a_bad_filter_is_refused_and_its_place_named(given: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        read_filter(message(given), "filter")
    assert (refused.value.reason, refused.value.field) == (reason, field)


def test_the_deepest_filter_is_read() -> None:
    assert filter_condition(read_filter(message(nested(MAX_FILTER_DEPTH)), "filter"), Binder())


def selector(**given: Any) -> filter_pb2.EventSelector:
    return json_format.ParseDict(given, filter_pb2.EventSelector())


@pytest.mark.parametrize(
    ("given", "reason", "field"),
    [
        ({"names": ["a", ""]}, "BAD_EVENT_NAME", "steps[0].names[1]"),
        ({"names": ["x" * 201]}, "BAD_EVENT_NAME", "steps[0].names[0]"),
        ({"names": [f"n{n}" for n in range(101)]}, "TOO_MANY_NAMES", "steps[0].names"),
        ({"label": "x" * 201}, "BAD_LABEL", "steps[0].label"),
        ({"filter": {**PRO, "op": "?"}}, "UNKNOWN_OPERATOR", "steps[0].filter.op"),
    ],
)
def test_a_bad_selector_is_refused(given: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        read_selector(selector(**given), "steps[0]")
    assert (refused.value.reason, refused.value.field) == (reason, field)


def test_a_selector_without_anything_means_every_event() -> None:
    every, some = read_selector(selector(), "e"), read_selector(selector(names=["a", "b", "a"]), "e")

    assert (every.label, some.label) == ("any event", "a, b")
    assert selector_condition(every, Binder()) == "true"
    assert any_of([some, every], Binder()) == "true"
    binder = Binder()
    assert selector_condition(some, binder) == "(event_name = {p0:String} OR event_name = {p1:String})"
    assert binder.values == {"p0": "a", "p1": "b"}
