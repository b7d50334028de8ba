"""Questions about cohorts through the running service: which version is meant, whose, and what the cache may keep."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from obc.query.v1 import activity_pb2, cohort_pb2, explain_pb2, filter_pb2, saved_service_pb2, schema_pb2
from obc_common.errors import DomainError
from obc_query.cohorts.directory import KnownCohorts
from obc_query.insights.stickiness import STICKINESS
from obc_query.requests import insight_key
from obc_query.warehouse import Warehouse
from tests.support.eventually import eventually
from tests.support.query_service import QueryService, principal, run_query_service
from tests.support.stored_events import Stored, insert_events

START = 1_760_000_000_000
HOUR = 3_600_000


@pytest.fixture
async def service(warehouse: Warehouse, database: str, redis_url: str) -> AsyncIterator[QueryService]:
    async with run_query_service(warehouse, database, redis_url) as running:
        yield running


async def store(service: QueryService, tenant_id: str) -> None:
    """Ann bought, Bob viewed only."""
    events = [Stored(START, name="buy", user="ann"), Stored(START + HOUR, user="ann"), Stored(START, user="bob")]
    await insert_events(service.model.dsn, tenant_id, events)

    async def arrived() -> bool:
        listed = await service.client.call(
            "ListEventNames",
            schema_pb2.ListEventNamesRequest(from_time="0"),
            principal=principal(tenant_id),
            timeout=20,
        )
        assert isinstance(listed, schema_pb2.ListEventNamesResponse)
        return sum(found.events for found in listed.events) == len(events)

    await eventually(arrived)


def bought(name: str = "buy") -> cohort_pb2.CohortDefinition:
    event = filter_pb2.EventSelector(names=[name])
    return cohort_pb2.CohortDefinition(performed=cohort_pb2.CohortPerformed(event=event))


async def save(service: QueryService, tenant_id: str, method: str, **fields: Any) -> cohort_pb2.Cohort:
    request = getattr(saved_service_pb2, f"{method}Request")(**fields)
    response: Any = await service.saved.call(method, request, principal=principal(tenant_id), timeout=20)
    found: cohort_pb2.Cohort = response.cohort
    return found


async def active(service: QueryService, tenant_id: str, cohort_id: str) -> activity_pb2.QueryStickinessResponse:
    request = activity_pb2.QueryStickinessRequest(
        from_time=str(START), to_time=str(START + 24 * HOUR), filter=filter_pb2.Filter(cohort=cohort_id)
    )
    response = await service.client.call("QueryStickiness", request, principal=principal(tenant_id), timeout=20)
    assert isinstance(response, activity_pb2.QueryStickinessResponse)
    return response


async def test_a_kept_answer_is_not_that_of_another_version(service: QueryService, tenant_id: str) -> None:
    await store(service, tenant_id)
    cohort = await save(service, tenant_id, "CreateCohort", name="A", definition=bought())

    first = await active(service, tenant_id, cohort.cohort_id)
    again = await active(service, tenant_id, cohort.cohort_id)
    await save(
        service,
        tenant_id,
        "UpdateCohort",
        cohort_id=cohort.cohort_id,
        expected_version=1,
        name="A",
        definition=bought("page_view"),
    )
    changed = await active(service, tenant_id, cohort.cohort_id)

    assert [(one.users, one.info.cached) for one in (first, again, changed)] == [(1, False), (1, True), (2, False)]


async def test_a_cohort_that_is_gone_or_anothers_is_unknown_and_the_field_is_named(
    service: QueryService, tenant_id: str
) -> None:
    cohort_id = (await save(service, tenant_id, "CreateCohort", name="A", definition=bought())).cohort_id
    other = str(uuid.uuid4())
    asked = {"filter": {"any": [{"cohort": cohort_id}]}}

    async def refused(by: str) -> list[tuple[str, str]]:
        found = []
        explained = explain_pb2.ExplainInsightRequest(insight="stickiness", request_json=orjson.dumps(asked))
        for call in (
            active(service, by, cohort_id),
            service.client.call("ExplainInsight", explained, principal=principal(by), timeout=20),
        ):
            with pytest.raises(DomainError) as error:
                await call
            found.append((error.value.reason, error.value.field))
        return found

    unknown = [("UNKNOWN_COHORT", "filter.cohort"), ("UNKNOWN_COHORT", "request.filter.any[0].cohort")]
    assert await refused(other) == unknown
    await active(service, tenant_id, cohort_id)  # an answer is kept now
    await save(service, tenant_id, "DeleteCohort", cohort_id=cohort_id)
    assert await refused(tenant_id) == unknown


async def test_a_question_names_ten_cohorts_at_most(service: QueryService, tenant_id: str) -> None:
    cohorts = [filter_pb2.Filter(cohort=str(uuid.UUID(int=number))) for number in range(1, 12)]
    request = activity_pb2.QueryStickinessRequest(filter=filter_pb2.Filter(any=cohorts))
    with pytest.raises(DomainError) as refused:
        await service.client.call("QueryStickiness", request, principal=principal(tenant_id), timeout=20)
    assert (refused.value.reason, refused.value.field) == ("TOO_MANY_COHORTS", "filter.any[10].cohort")


async def test_explain_shows_the_cohorts_statement_and_binds_its_values(service: QueryService, tenant_id: str) -> None:
    await store(service, tenant_id)
    cohort = await save(service, tenant_id, "CreateCohort", name="A", definition=bought("it's bound"))
    body = {
        "from": str(START),
        "to": str(START + 24 * HOUR),
        "series": [{}],
        "breakdowns": [f"cohort:{cohort.cohort_id}"],
    }

    answer = await service.client.call(
        "ExplainInsight",
        explain_pb2.ExplainInsightRequest(insight="trends", request_json=orjson.dumps(body)),
        principal=principal(tenant_id),
        timeout=20,
    )

    assert isinstance(answer, explain_pb2.ExplainInsightResponse)
    assert orjson.loads(answer.plan_json)["breakdowns"] == [f"cohort:{cohort.cohort_id}"]
    statements = [one for one in answer.statements if one.purpose == "trends_events"]
    assert statements
    for one in statements:
        assert one.sql.count("tenant_id = {tenant:UUID}") == 2
        assert "it's bound" not in one.sql
        assert "it's bound" in orjson.loads(one.parameters_json).values()


async def test_a_preview_saves_nothing_and_is_kept_like_an_answer(service: QueryService, tenant_id: str) -> None:
    await store(service, tenant_id)
    request = cohort_pb2.PreviewCohortRequest(definition=bought())

    async def previewed() -> cohort_pb2.PreviewCohortResponse:
        response = await service.client.call("PreviewCohort", request, principal=principal(tenant_id), timeout=20)
        assert isinstance(response, cohort_pb2.PreviewCohortResponse)
        return response

    first, again = await previewed(), await previewed()
    assert (first.people, list(first.person_ids)) == (again.people, list(again.person_ids)) == (1, ["ann"])
    assert (first.info.cached, again.info.cached) == (False, True)
    assert first.info.rows_read >= 3


def test_where_time_decides_who_is_in_a_cohort_every_minute_is_another_question() -> None:
    request = activity_pb2.QueryStickinessRequest(from_time="1", to_time="2")
    question = STICKINESS.read(request, START)
    minutes = (START, START + 1, START + 60_000)

    for moving, different in ((False, 1), (True, 2)):
        cohorts = KnownCohorts({}, (("id", 1),), moving)
        keys = {insight_key("x", question, cohorts, request, now_ms) for now_ms in minutes}
        assert len(keys) == different
