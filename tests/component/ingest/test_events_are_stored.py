import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from obc.common.v1 import event_pb2
from obc.ingest.v1 import ingest_service_pb2 as pb
from obc_common.context import Principal, RequestInfo
from obc_common.errors import DomainError
from obc_dev.servers.redis import RedisServer
from obc_ingest import evaluation
from obc_ingest.limits import Limits
from obc_ingest.metrics import FINGERPRINT_MISMATCHES, RESULTS
from obc_ingest.model import Event
from obc_ingest.validate import Reception, validate
from tests.support.ingest import Ingest, event, new_id, now_ms, running_ingest, sender

EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0"
)
BROWSER = RequestInfo(client_ip="203.0.113.7", user_agent=EDGE, sdk="js/1.0", transport="rest")


def outcomes(answer: dict[str, Any]) -> list[str]:
    return [result["result"] for result in answer["results"]]


async def test_an_accepted_event_is_stored_with_everything_it_says(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    sent_at = now_ms()
    raw = event(
        event_category="navigation",
        user_id="anna",
        anonymous_id="device",
        session_id="s-1",
        properties={"plan": "pro", "n": 1.5, "list": [1, None, True], "ünï": "🚀"},
        page_url="https://shop.example/a?utm=1",
        referrer="https://search.example/",
        user_agent=EDGE,
        device_info={"screen_width": 1920, "browser": "Chrome", "language": "de"},
        correlation_id="c-1",
    )

    answer = await ingest.send(tenant, [raw], info=BROWSER, batch_id="b-1", timestamp=sent_at)

    assert answer == {
        "batch_id": "b-1",
        "accepted": 1,
        "duplicate": 0,
        "dropped": 0,
        "rejected": 0,
        "results": [{"event_id": raw["event_id"], "result": "accepted"}],
    }
    [row] = await ingest.stored(tenant)
    assert str(row["event_id"]) == raw["event_id"]
    assert (row["event_name"], row["event_category"], row["user_id"]) == ("page_view", "navigation", "anna")
    assert (row["anonymous_id"], row["session_id"], row["correlation_id"]) == ("device", "s-1", "c-1")
    assert orjson.loads(row["properties"]) == raw["properties"]
    assert row["timestamp"] == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=raw["timestamp"])
    assert row["event_time"] == row["timestamp"]
    assert row["sent_at"] == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=sent_at)
    assert (row["skew_ms"], row["sample_rate"]) == (0, 1.0)
    assert (row["page_url"], row["referrer"]) == ("https://shop.example/a?utm=1", "https://search.example/")
    assert orjson.loads(row["device_info"]) == {
        "screen_width": 1920,
        "browser": "Edge",
        "browser_version": "126.0",
        "os": "Windows",
        "os_version": "10",
        "device_type": "desktop",
        "language": "de",
    }


async def test_address_and_user_agent_are_kept_as_keyed_hashes_only(ingest: Ingest) -> None:
    first, second = await ingest.make_tenant(), await ingest.make_tenant()
    for tenant in (first, first, second):
        await ingest.send(tenant, [event(user_agent=EDGE)], info=BROWSER)

    one, same, other = [*await ingest.stored(first), *await ingest.stored(second)]

    assert one["ip_hash"] == same["ip_hash"] != other["ip_hash"]
    assert one["user_agent"] == same["user_agent"] != other["user_agent"]
    assert len(one["ip_hash"]) == len(one["user_agent"]) == 32
    everything = await ingest.rows(
        "SELECT e::text AS text FROM analytics_events e UNION ALL SELECT b::text FROM bad_rows b"
    )
    assert not any("203.0.113.7" in row["text"] or "Mozilla" in row["text"] for row in everything)


async def test_a_resent_event_is_a_duplicate_and_stored_once(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    events = [event(n=n) for n in range(20)]

    first = await ingest.send(tenant, events)
    again = await ingest.send(tenant, [*reversed(events), event()])

    assert first["accepted"] == 20
    assert (again["accepted"], again["duplicate"]) == (1, 20)
    assert len(await ingest.stored(tenant)) == 21


async def test_the_same_id_twice_in_a_batch_is_stored_once_and_the_first_wins(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    same = new_id()

    answer = await ingest.send(
        tenant, [event(event_id=same, event_name="first"), event(event_id=same.upper(), event_name="second")]
    )

    assert outcomes(answer) == ["accepted", "duplicate"]
    assert [row["event_name"] for row in await ingest.stored(tenant)] == ["first"]


async def test_another_payload_under_a_known_id_is_a_duplicate_and_is_counted(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    raw = event(properties={"a": 1})
    await ingest.send(tenant, [raw])
    before = FINGERPRINT_MISMATCHES._value.get()

    same = await ingest.send(tenant, [raw])
    assert FINGERPRINT_MISMATCHES._value.get() == before
    other = await ingest.send(tenant, [{**raw, "properties": {"a": 2}}])

    assert same["duplicate"] == other["duplicate"] == 1
    assert FINGERPRINT_MISMATCHES._value.get() == before + 1
    [row] = await ingest.stored(tenant)
    assert orjson.loads(row["properties"]) == {"a": 1}


async def test_an_id_of_another_tenant_is_another_event(ingest: Ingest) -> None:
    first, second = await ingest.make_tenant(), await ingest.make_tenant()
    raw = event()

    answers = [await ingest.send(tenant, [raw]) for tenant in (first, second)]

    assert [answer["accepted"] for answer in answers] == [1, 1]


async def test_eight_senders_and_two_replicas_store_each_event_once(ingest: Ingest, shared_redis: RedisServer) -> None:
    tenant = await ingest.make_tenant()
    events = [event(properties={"n": n}) for n in range(600)]
    async with running_ingest(ingest.dsn, shared_redis.url, ingest.tenant_config) as second:
        await second.knows(tenant, version=1)

        async def send_all(number: int) -> list[dict[str, Any]]:
            where = (ingest, second)[number % 2]
            order = events[number * 75 :] + events[: number * 75]
            chunks = [order[start : start + 100] for start in range(0, 600, 100)]
            return list(await asyncio.gather(*(where.send(tenant, chunk) for chunk in chunks)))

        answers = [answer for part in await asyncio.gather(*(send_all(n) for n in range(8))) for answer in part]

    assert sum(answer["accepted"] for answer in answers) == 600
    assert sum(answer["duplicate"] for answer in answers) == 7 * 600
    assert sum(answer["rejected"] + answer["dropped"] for answer in answers) == 0
    stored = await ingest.stored(tenant)
    assert {str(row["event_id"]) for row in stored} == {raw["event_id"] for raw in events}
    assert len(stored) == 600


async def test_typed_and_json_events_are_judged_and_stored_alike(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    at = now_ms()
    raw = event(timestamp=at, user_id="u", properties={"a": [1, {"b": "x"}]}, device_info={"os": "iOS"}, consent=True)
    typed = event_pb2.Event(
        event_id=new_id(),
        event_name="page_view",
        timestamp_ms=at,
        user_id="u",
        properties_json=b'{"a":[1,{"b":"x"}]}',
        device_info=event_pb2.DeviceInfo(os="iOS"),
        consent=True,
    )

    await ingest.send(tenant, [raw])
    response = await ingest.send_typed(tenant, [typed, event_pb2.Event(event_id="x"), typed])

    assert [(r.result, r.code) for r in response.results] == [
        (pb.EVENT_OUTCOME_ACCEPTED, ""),
        (pb.EVENT_OUTCOME_REJECTED, "bad_event_id"),
        (pb.EVENT_OUTCOME_DUPLICATE, ""),
    ]
    assert (response.accepted, response.duplicate, response.rejected, response.json) == (1, 1, 1, b"")
    one, two = await ingest.stored(tenant)
    for column in ("event_name", "user_id", "properties", "device_info", "timestamp", "event_category"):
        assert one[column] == two[column], column


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


async def test_a_client_clock_three_days_ahead_is_corrected(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    ahead = now_ms() + 3 * 86_400_000

    answer = await ingest.send(tenant, [event(timestamp=ahead - 2000)], sent_at=ahead)

    assert answer["accepted"] == 1
    [row] = await ingest.stored(tenant)
    assert row["skew_ms"] == pytest.approx(-3 * 86_400_000, abs=5000)
    assert row["event_time"] == row["timestamp"] + timedelta(milliseconds=row["skew_ms"])


async def test_events_of_the_last_month_find_their_partition(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    events = [event(timestamp=now_ms() - days * 86_400_000) for days in (0, 10, 20, 29)]

    answer = await ingest.send(tenant, events)

    assert answer["accepted"] == 4
    assert len(await ingest.stored(tenant)) == 4


async def test_a_dropped_partition_is_made_again(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    raw = event(timestamp=now_ms() - 28 * 86_400_000)
    await ingest.send(tenant, [event(timestamp=raw["timestamp"])])
    month = datetime.fromtimestamp(raw["timestamp"] / 1000, UTC)
    if month.month != datetime.now(UTC).month:
        await ingest.rows(f"DROP TABLE analytics_events_y{month:%Y}m{month:%m}")

    assert (await ingest.send(tenant, [raw]))["accepted"] == 1


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


async def test_the_ids_of_a_refused_row_stay_free(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    await ingest.rows("ALTER TABLE analytics_events ADD CONSTRAINT no_poison CHECK (event_name <> 'poison')")
    same = new_id()

    answer = await ingest.send(tenant, [event(event_id=same, event_name="poison"), event(event_id=same)])

    await ingest.rows("ALTER TABLE analytics_events DROP CONSTRAINT no_poison")
    assert outcomes(answer) == ["rejected", "accepted"]
    [row] = await ingest.stored(tenant)
    assert row["event_name"] == "page_view"


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
