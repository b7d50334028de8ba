"""Every insight of the API is in the registry: what is not there cannot be saved. All of them know cohorts."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from google.api import annotations_pb2
from google.protobuf import json_format

from obc.query.v1 import query_service_pb2
from obc_query.cohorts.use import uses_of
from obc_query.insights.registry import INSIGHTS, request_type
from obc_query.saved.reading import insight_content

_VECTORS = Path(__file__).resolve().parents[2] / "vectors"
_PREFIX = "/v1/insights/"


def test_every_insight_of_the_api_is_registered_under_the_name_in_its_path() -> None:
    routed = {}
    for method in query_service_pb2.DESCRIPTOR.services_by_name["QueryService"].methods:
        rule = method.GetOptions().Extensions[annotations_pb2.http]  # type: ignore[index,var-annotated]  # untyped extension
        if rule.post.startswith(_PREFIX):
            routed[rule.post.removeprefix(_PREFIX)] = method.name

    assert {name: insight.name for name, insight in INSIGHTS.items()} == routed


def test_an_empty_request_of_every_insight_can_be_made() -> None:
    for insight in INSIGHTS.values():
        assert request_type(insight)().DESCRIPTOR.name == f"{insight.name}Request"


@pytest.mark.parametrize("path", [_VECTORS / f"{name}.json" for name in INSIGHTS], ids=lambda path: path.stem)
def test_every_question_that_has_a_golden_vector_can_be_saved(path: Path) -> None:
    for vector in orjson.loads(path.read_bytes()):
        text = orjson.dumps(vector["request"])
        content = insight_content(vector["name"], "", path.stem, text, vector["now"])
        assert orjson.loads(content.definition) == vector["request"]


_COHORT = "00000000-0000-0000-0000-00000000c0c0"
_NEEDED: dict[str, dict[str, Any]] = {"trends": {"series": [{}]}, "funnels": {"steps": [{}, {}]}}
_NAMED: dict[str, Any] = {
    "obc.query.v1.Filter": {"cohort": _COHORT},
    "obc.query.v1.EventSelector": {"filter": {"none": [{"cohort": _COHORT}]}},
    "obc.query.v1.TrendSeries": {"event": {"filter": {"cohort": _COHORT}}},
}
_PLACES = [
    (name, field.name, _NAMED[field.message_type.full_name] if field.message_type else f"cohort:{_COHORT}")
    for name, insight in INSIGHTS.items()
    for field in request_type(insight)().DESCRIPTOR.fields
    if field.name in ("breakdown", "breakdowns")
    or (field.message_type is not None and field.message_type.full_name in _NAMED)
]


@pytest.mark.parametrize(("name", "field", "value"), _PLACES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_cohort_can_be_named_wherever_there_are_filters_and_breakdowns(name: str, field: str, value: Any) -> None:
    request = request_type(INSIGHTS[name])()
    several = request.DESCRIPTOR.fields_by_name[field].is_repeated
    body = dict(_NEEDED.get(name, {}))
    body[field] = [value, *body.get(field, [])[1:]] if several else value
    json_format.ParseDict(body, request)

    uses = list(uses_of(INSIGHTS[name].read(request, 1_760_000_000_000)))

    assert {use.cohort_id for use in uses} == {_COHORT}
    assert uses[0].request_field.startswith(f"{field}[0]" if several else field)
