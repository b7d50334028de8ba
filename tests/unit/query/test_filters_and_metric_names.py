"""What callers may write as filters, fields and metrics."""

import pytest

from obc_common.errors import InvalidArgument
from obc_query.filters import MAX_FILTERS, parse_filters, split_list
from obc_query.metric_names import parse_metrics


@pytest.mark.parametrize(
    ("text", "field", "operator", "values"),
    [
        ("properties.plan:eq:pro", "properties.plan", "eq", ("pro",)),
        ("properties.url:eq:https://x:8080/", "properties.url", "eq", ("https://x:8080/",)),
        ("properties.a:b:neq:c", "properties.a:b", "neq", ("c",)),
        (r"event_name:in:a,b\,c,", "event_name", "eq", ("a", "b,c", "")),
        ("properties.x:eq:5", "properties.x", "eq", ("5", 5.0)),
        ("properties.x:neq:5.0", "properties.x", "neq", ("5.0", 5.0)),
        ("properties.x:eq:05", "properties.x", "eq", ("05",)),
        ("properties.x:in:true,1e3", "properties.x", "eq", ("true", True, "1e3", 1000.0)),
        ("properties.x:contains:5", "properties.x", "contains", ("5",)),
        ("properties.x:gte:-5", "properties.x", "gte", (-5.0,)),
        ("properties.x:lt:2025-01-01", "properties.x", "lt", ("2025-01-01",)),
        ("properties.x:exists", "properties.x", "exists", ()),
        ("properties.x:exists:false", "properties.x", "not_exists", ()),
        ("properties.x:eq:", "properties.x", "eq", ("",)),
        ("properties.x:eq:a\nb", "properties.x", "eq", ("a\nb",)),
    ],
)
def test_filters_are_read(text: str, field: str, operator: str, values: tuple[object, ...]) -> None:
    [parsed] = parse_filters([text])
    assert (parsed.field.name, parsed.operator, parsed.values) == (field, operator, values)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "BAD_FILTER"),
        ("event_name", "BAD_FILTER"),
        ("event_name:eq", "BAD_FILTER"),
        ("event_name:like:x", "UNKNOWN_OPERATOR"),
        ("event_name:EQ:x", "UNKNOWN_OPERATOR"),
        ("tenant_id:eq:x", "UNKNOWN_FIELD"),
        ("properties.:eq:x", "UNKNOWN_FIELD"),
        ("properties:eq:x", "UNKNOWN_FIELD"),
        ("device_info.nope:eq:x", "UNKNOWN_FIELD"),
        ("1=1;--:eq:x", "UNKNOWN_FIELD"),
        ("properties.x:exists:maybe", "BAD_FILTER"),
        ("properties." + "k" * 1025 + ":eq:x", "UNKNOWN_FIELD"),
    ],
)
def test_bad_filters_are_refused_by_number(text: str, reason: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_filters(["event_name:eq:x", text])
    assert (refused.value.reason, refused.value.field) == (reason, "filter[1]")


def test_too_many_filters_are_refused() -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_filters(["event_name:eq:x"] * (MAX_FILTERS + 1))
    assert refused.value.reason == "TOO_MANY_FILTERS"


def test_a_list_may_hold_commas() -> None:
    assert split_list(r"a\,b,c") == ("a,b", "c")


def test_metrics_are_read_repeated_or_with_commas_and_once_each() -> None:
    names = [metric.name for metric in parse_metrics(["events, users", "events", r"count:a\,b", "p95:page:load"])]
    assert names == ["events", "users", "count:a,b", "p95:page:load"]


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ([], "NO_METRICS"),
        (["", " , "], "NO_METRICS"),
        (["event"], "UNKNOWN_METRIC"),
        (["p95"], "UNKNOWN_METRIC"),
        (["p95:"], "UNKNOWN_METRIC"),
        (["p42:x"], "UNKNOWN_METRIC"),
        (["events:x"], "UNKNOWN_METRIC"),
        ([",".join(f"count:{n}" for n in range(21))], "TOO_MANY_METRICS"),
    ],
)
def test_bad_metrics_are_refused(texts: list[str], reason: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_metrics(texts)
    assert (refused.value.reason, refused.value.field) == (reason, "metrics")
