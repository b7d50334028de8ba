"""Every insight of the API is in the registry: what is not there cannot be saved."""

from pathlib import Path

import orjson
import pytest
from google.api import annotations_pb2

from obc.query.v1 import query_service_pb2
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


@pytest.mark.parametrize("path", sorted(_VECTORS.glob("*.json")), ids=lambda path: path.stem)
def test_every_question_that_has_a_golden_vector_can_be_saved(path: Path) -> None:
    for vector in orjson.loads(path.read_bytes()):
        text = orjson.dumps(vector["request"])
        content = insight_content(vector["name"], "", path.stem, text, vector["now"])
        assert orjson.loads(content.definition) == vector["request"]
