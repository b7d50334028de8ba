"""Golden vectors: events in, request, answer out, small enough to be checked by hand.

A file of tests/vectors is a list of {"name", "why", "events", "request", "now", "answer"} for the insight of its name.
Events are as the REST API takes them; `sample_rate` is what ingest adds. Devices in
`unlinked` are so by decision. Where a request names cohorts, `cohorts` has
their definitions by id; those of `cohorts.json` ask for previews. They hold for the engine and for the plain
computation, so that neither can drift with the other.
"""

import json
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from obc_query.cohorts.preview import PREVIEW
from obc_query.insights.funnels import FUNNELS
from obc_query.insights.insight import AnyInsight
from obc_query.insights.lifecycle import LIFECYCLE
from obc_query.insights.paths import PATHS
from obc_query.insights.retention import RETENTION
from obc_query.insights.sessions import SESSIONS
from obc_query.insights.stickiness import STICKINESS
from obc_query.insights.trends import TRENDS
from tests.oracle.cohorts import in_cohorts, preview
from tests.oracle.comparing import same
from tests.oracle.funnels import funnels
from tests.oracle.identity import linked
from tests.oracle.lifecycle import lifecycle
from tests.oracle.paths import paths
from tests.oracle.retention import retention
from tests.oracle.sessions import sessions
from tests.oracle.stickiness import stickiness
from tests.oracle.trends import trends
from tests.support.insights import InsightDesk
from tests.support.stored_events import Stored

Plain = Callable[[Sequence[Stored], dict[str, Any], int], dict[str, Any]]
INSIGHTS: dict[str, tuple[AnyInsight, Plain]] = {
    "cohorts": (PREVIEW, preview),
    "funnels": (FUNNELS, funnels),
    "lifecycle": (LIFECYCLE, lifecycle),
    "paths": (PATHS, paths),
    "retention": (RETENTION, retention),
    "sessions": (SESSIONS, sessions),
    "stickiness": (STICKINESS, stickiness),
    "trends": (TRENDS, trends),
}
"""By the name of the file: the insight and its plain computation."""
FOLDER = Path(__file__).parents[3] / "vectors"
VECTORS = [
    pytest.param(path.stem, vector, id=f"{path.stem}: {vector['name']}")
    for path in sorted(FOLDER.glob("*.json"))
    for vector in json.loads(path.read_text())
]


def stored(event: dict[str, Any]) -> Stored:
    """An event of a vector as it is stored."""
    known = {
        "event_name": "name",
        "event_category": "category",
        "user_id": "user",
        "anonymous_id": "anonymous",
        "session_id": "session",
        "timestamp": "at",
        "device_info": "device",
    }
    fields = {known.get(name, name): value for name, value in event.items()}
    if "event_id" in fields:
        fields["event_id"] = uuid.UUID(fields["event_id"])
    return Stored(**fields)


@pytest.mark.parametrize(("insight", "vector"), VECTORS)
async def test_the_engine_and_the_plain_computation_give_the_answer(
    desk: InsightDesk, insight: str, vector: dict[str, Any]
) -> None:
    unlinked = vector.get("unlinked", [])
    events = linked((stored(event) for event in vector["events"]), unlinked)
    asked, plain = INSIGHTS[insight]
    cohorts = vector.get("cohorts", {})
    tenant_id = desk.store(events)
    for device in unlinked:
        await desk.decide(tenant_id, device, "unlink")
    answer = await desk.ask(asked, tenant_id, vector["request"], now_ms=vector["now"], cohorts=cohorts)
    same(answer, vector["answer"])
    told = in_cohorts(events, cohorts, vector["now"])
    same(plain(told, vector["request"], vector["now"]), vector["answer"])


def test_every_insight_has_vectors() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(INSIGHTS)


def test_every_vector_says_why() -> None:
    for case in VECTORS:
        vector = case.values[1]
        assert isinstance(vector, dict)
        assert set(vector) - {"cohorts", "unlinked"} == {"name", "why", "events", "request", "now", "answer"}
        assert len(str(vector["why"])) > 20
