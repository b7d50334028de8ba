"""What is refused is kept, counted and told, and costs its neighbours nothing."""

from typing import Any

import orjson
import pytest

from obc.ingest.v1 import ingest_service_pb2 as pb
from obc_common.context import Principal
from obc_common.errors import DomainError
from obc_ingest import evaluation
from obc_ingest.limits import Limits
from obc_ingest.metrics import RESULTS
from obc_ingest.model import Event
from obc_ingest.validate import Reception, validate
from tests.support.ingest import BROWSER, Ingest, event, new_id, outcomes, sender


async def test_a_bad_event_is_kept_and_the_rest_of_its_batch_is_accepted(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    events: list[Any] = [event() for _ in range(9)]
    events.insert(3, "not an object")
    events.insert(6, event(event_id="X" * 99, properties={"email": "a@b.example"}, user_agent="Mozilla"))

    answer = await ingest.send(tenant, events, info=BROWSER)

    assert (answer["accepted"], answer["rejected"]) == (9, 2)
    assert answer["results"][3] == {
        "event_id": "",
        "result": "rejected",
        "code": "not_object",
        "message": "an event must be a JSON object",
    }
    assert answer["results"][6]["code"] == "bad_event_id"
    assert answer["results"][6]["event_id"] == "X" * 64
    first, second = await ingest.bad_rows(tenant)
    assert (first["code"], first["body"], first["sdk"]) == ("not_object", b'"not an object"', "js/1.0")
    assert (second["code"], second["field"], second["truncated"]) == ("bad_event_id", "event_id", False)
    body = orjson.loads(second["body"])
    assert body["properties"] == {"email": "[redacted]"}
    assert body["user_agent"] == "[redacted]"


async def test_nul_in_a_value_is_replaced_and_the_client_is_told(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()

    answer = await ingest.send(tenant, [event(properties={"a": "x\0y"}), event(event_name="a\0b")])

    assert outcomes(answer) == ["accepted", "rejected"]
    assert "U+FFFD" in answer["results"][0]["message"]
    assert answer["results"][1]["code"] == "nul_byte"
    [row] = await ingest.stored(tenant)
    assert orjson.loads(row["properties"]) == {"a": "x\ufffdy"}
    assert [bad["code"] for bad in await ingest.bad_rows(tenant)] == ["nul_byte"]


async def test_a_row_that_only_postgresql_refuses_is_found_and_the_rest_is_stored(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    await ingest.rows("ALTER TABLE analytics_events ADD CONSTRAINT no_poison CHECK (event_name <> 'poison')")
    events = [event() for _ in range(100)]
    events[17]["event_name"] = events[64]["event_name"] = "poison"

    answer = await ingest.send(tenant, [*events, event(event_id="bad")])

    await ingest.rows("ALTER TABLE analytics_events DROP CONSTRAINT no_poison")
    assert (answer["accepted"], answer["rejected"]) == (98, 3)
    assert {n for n, result in enumerate(answer["results"]) if result.get("code") == "internal"} == {17, 64}
    assert len(await ingest.stored(tenant)) == 98
    assert sorted(row["code"] for row in await ingest.bad_rows(tenant)) == ["bad_event_id", "internal", "internal"]


async def test_line_60_a_validator_that_fails_costs_one_event_and_it_is_kept(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a defect that one kind of event runs into
    def defective(raw: Any, reception: Reception, limits: Limits) -> Event:
        if raw["event_name"] == "boom":
            raise ZeroDivisionError
        return validate(raw, reception, limits)

    monkeypatch.setattr(evaluation, "validate", defective)
    tenant = await ingest.make_tenant()
    # when
    answer = await ingest.send(tenant, [event(), event(event_name="boom"), event()])
    # then
    assert [result.get("code", "") for result in answer["results"]] == ["", "internal", ""]
    assert len(await ingest.stored(tenant)) == 2
    [row] = await ingest.bad_rows(tenant)
    assert (row["code"], orjson.loads(row["body"])["event_name"]) == ("internal", "boom")


async def test_received_is_the_sum_of_all_outcomes(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant(excluded_events=["secret*"])

    def total() -> float:
        return sum(
            sample.value for metric in RESULTS.collect() for sample in metric.samples if sample.name.endswith("_total")
        )

    before = total()
    raw = event()
    answer = await ingest.send(tenant, [raw, raw, event(event_name="secret_1"), {}])

    assert [answer[name] for name in ("accepted", "duplicate", "dropped", "rejected")] == [1, 1, 1, 1]
    assert answer["results"][2] == {
        "event_id": answer["results"][2]["event_id"],
        "result": "dropped",
        "code": "excluded",
    }
    assert total() == before + 4


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"{", "BAD_JSON"), (b'{"events":[]}', "EMPTY_BATCH"), (b'{"events":[{}],"tenant_id":"x"}', "TENANT_MISMATCH")],
)
async def test_a_batch_that_cannot_be_read_promises_nothing(ingest: Ingest, body: bytes, code: str) -> None:
    tenant = await ingest.make_tenant()

    with pytest.raises(DomainError) as refused:
        await ingest.client.ingest_batch(pb.IngestBatchRequest(json=body), principal=sender(tenant), timeout=5)

    assert refused.value.reason == code
    assert await ingest.bad_rows(tenant) == []


async def test_the_scope_is_needed_and_the_tenant_must_exist(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    reader = Principal(tenant, "r", "secret", frozenset({"query"}))
    request = pb.IngestBatchRequest(json=orjson.dumps({"events": [event()]}))

    with pytest.raises(DomainError) as forbidden:
        await ingest.client.ingest_batch(request, principal=reader, timeout=5)
    with pytest.raises(DomainError) as unknown:
        await ingest.client.ingest_batch(request, principal=sender(new_id()), timeout=5)

    assert (forbidden.value.reason, forbidden.value.http_status) == ("SCOPE_MISSING", 403)
    assert (unknown.value.reason, unknown.value.http_status) == ("UNKNOWN_TENANT", 401)
