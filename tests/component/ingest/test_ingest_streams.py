import asyncio
import time
from typing import Any

import grpc
import orjson
import pytest

from obc.common.v1 import event_pb2
from obc.ingest.v1 import ingest_service_pb2 as pb
from obc.tenant_config.v1 import tenant_config_service_pb2 as tenant_pb
from obc_common.context import RequestInfo
from obc_common.errors import from_rpc_error
from obc_dev.servers.redis import RedisServer
from obc_ingest import stream as stream_module
from tests.support.ingest import Ingest, Stream, event, new_id, now_ms, running_ingest, sender
from tests.support.tenant_config import TenantConfig


async def read(call: Stream) -> pb.IngestStreamResponse:
    async with asyncio.timeout(10):
        message = await call.read()
    assert isinstance(message, pb.IngestStreamResponse), "the stream has ended"
    return message


async def write(call: Stream, seq: int, events: list[Any]) -> None:
    await call.write(pb.IngestStreamRequest(seq=seq, json=orjson.dumps({"events": events})))


async def test_a_stream_begins_with_credits_time_and_rules(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant(excluded_events=["secret*"], sampling_rate=0.5)

    call, ready = await ingest.open_stream(sender(tenant))

    assert ready.credits == 8
    assert abs(ready.server_time_ms - now_ms()) < 5000
    assert (ready.config.version, ready.config.sampling_rate) == (2, 0.5)
    assert list(ready.config.excluded_events) == ["secret*"]
    call.cancel()


async def test_every_batch_is_acknowledged_after_it_is_stored(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    call, _ = await ingest.open_stream(sender(tenant))
    raw = event()

    await write(call, 1, [raw])
    first = (await read(call)).ack
    assert len(await ingest.stored(tenant)) == 1
    await call.write(pb.IngestStreamRequest(seq=2, json=orjson.dumps(raw)))
    bare = (await read(call)).ack
    typed = event_pb2.Event(event_id=new_id(), event_name="x", timestamp_ms=now_ms())
    await call.write(pb.IngestStreamRequest(seq=3, typed=pb.EventBatch(events=[typed])))
    third = (await read(call)).ack

    assert (first.seq, first.credits) == (1, 8)
    assert orjson.loads(first.results_json) == [{"event_id": raw["event_id"], "result": "accepted"}]
    assert (bare.seq, orjson.loads(bare.results_json)[0]["result"]) == (2, "duplicate")
    assert (third.seq, third.results_json, third.results[0].result) == (3, b"", pb.EVENT_OUTCOME_ACCEPTED)
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_a_client_that_sends_more_than_its_credits_loses_nothing(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    call, _ = await ingest.open_stream(sender(tenant))

    async def send() -> None:
        for seq in range(100):
            await write(call, seq, [event() for _ in range(20)])
        await call.done_writing()

    sending = asyncio.create_task(send())
    acknowledged = {(await read(call)).ack.seq for _ in range(100)}
    await sending

    assert acknowledged == set(range(100))
    assert len(await ingest.stored(tenant)) == 2000


async def test_a_bad_frame_is_answered_and_the_stream_goes_on(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    call, _ = await ingest.open_stream(sender(tenant))

    await call.write(pb.IngestStreamRequest(seq=1, json=b"{"))
    bad = (await read(call)).retry
    await call.write(pb.IngestStreamRequest(seq=2))
    empty = (await read(call)).retry
    await write(call, 3, [event()])
    good = (await read(call)).ack

    assert (bad.seq, bad.reason, bad.permanent) == (1, "BAD_JSON", True)
    assert (empty.seq, empty.reason, empty.permanent) == (2, "EMPTY_BATCH", True)
    assert good.seq == 3
    call.cancel()


async def test_a_batch_over_the_rate_is_to_be_sent_again(
    module_database: str, shared_redis: RedisServer, tenant_config: TenantConfig
) -> None:
    limits = {"ingest_rate_per_second": 100, "ingest_burst": 20, "max_events_per_batch": 20}
    async with running_ingest(module_database, shared_redis.url, tenant_config, **limits) as limited:
        tenant = await limited.make_tenant()
        call, _ = await limited.open_stream(sender(tenant))
        for seq in (1, 2):
            await write(call, seq, [event() for _ in range(20)])
        answers = [await read(call) for _ in range(2)]

    [retry] = [answer.retry for answer in answers if answer.WhichOneof("message") == "retry"]
    assert (retry.reason, retry.permanent) == ("RATE_LIMITED", False)
    assert 0 < retry.retry_after_ms <= 400


async def test_changed_rules_are_pushed_and_in_force_within_two_seconds(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    call, _ = await ingest.open_stream(sender(tenant))
    started = time.monotonic()

    await ingest.change_rules(tenant, excluded_events=["page_view"])
    pushed = (await read(call)).config
    await write(call, 1, [event()])
    [result] = orjson.loads((await read(call)).ack.results_json)

    assert time.monotonic() - started < 2
    assert list(pushed.excluded_events) == ["page_view"]
    assert (result["result"], result["code"]) == ("dropped", "excluded")
    call.cancel()


async def test_a_stream_ends_when_its_key_is_revoked(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    created = await ingest.tenant_config.make_key(tenant, "write")
    call = ingest.client.stream(principal=sender(tenant, created.key.key_id))
    await read(call)
    await write(call, 1, [event()])
    assert (await read(call)).ack.seq == 1

    await ingest.tenant_config.call(
        "RevokeKey",
        tenant_pb.RevokeKeyRequest(tenant_id=tenant, key_id=created.key.key_id),
        tenant_pb.RevokeKeyResponse,
    )

    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await read(call)
    assert from_rpc_error(ended.value).reason == "KEY_REVOKED"
    assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_stream_ends_when_the_overlap_of_its_rotated_key_is_over(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "_LOOK_AGAIN_SECONDS", 0.05)
    tenant = await ingest.make_tenant()
    created = await ingest.tenant_config.make_key(tenant, "write")
    call = ingest.client.stream(principal=sender(tenant, created.key.key_id))
    await read(call)

    await ingest.tenant_config.call(
        "RotateKey",
        tenant_pb.RotateKeyRequest(tenant_id=tenant, key_id=created.key.key_id, overlap_seconds=1),
        tenant_pb.RotateKeyResponse,
    )

    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await read(call)
    assert from_rpc_error(ended.value).reason == "KEY_REVOKED"


async def test_an_old_stream_is_asked_to_reconnect_after_its_last_ack(
    module_database: str, shared_redis: RedisServer, tenant_config: TenantConfig
) -> None:
    async with running_ingest(
        module_database, shared_redis.url, tenant_config, stream_max_age_seconds=0.3
    ) as short_lived:
        tenant = await short_lived.make_tenant()
        call, _ = await short_lived.open_stream(sender(tenant))
        await write(call, 1, [event()])

        messages = [await read(call), await read(call)]
        end = await call.read()

    assert [message.WhichOneof("message") for message in messages] == ["ack", "reconnect"]
    assert messages[1].reconnect.reason == "max_age"
    assert end is grpc.aio.EOF


async def test_a_draining_service_acknowledges_what_it_read_and_says_goodbye(
    module_database: str, shared_redis: RedisServer, tenant_config: TenantConfig
) -> None:
    async with running_ingest(module_database, shared_redis.url, tenant_config) as leaving:
        tenant = await leaving.make_tenant()
        call, _ = await leaving.open_stream(sender(tenant))
        await write(call, 1, [event() for _ in range(200)])
        assert (await read(call)).ack.seq == 1
        draining = asyncio.create_task(leaving.server.drain())

        goodbye = await read(call)
        assert await call.read() is grpc.aio.EOF
        await draining

    assert goodbye.reconnect.reason == "draining"


@pytest.mark.parametrize(
    ("patch", "raw", "info", "code"),
    [
        ({"enabled": False}, {}, RequestInfo(), "disabled"),
        ({}, {"consent": False}, RequestInfo(), "consent"),
        ({}, {}, RequestInfo(gpc=True, transport="rest"), "consent"),
        ({"excluded_events": ["page_*"]}, {}, RequestInfo(), "excluded"),
        ({"sampling_rate": 0.0}, {}, RequestInfo(), "sampled"),
    ],
)
async def test_what_a_rule_drops_is_not_stored_and_leaves_no_bad_row(
    ingest: Ingest, patch: dict[str, Any], raw: dict[str, Any], info: RequestInfo, code: str
) -> None:
    tenant = await ingest.make_tenant(**patch)

    answer = await ingest.send(tenant, [event(**raw)], info=info)

    assert (answer["results"][0]["result"], answer["results"][0]["code"]) == ("dropped", code)
    assert await ingest.stored(tenant) == []
    assert await ingest.bad_rows(tenant) == []


async def test_a_refused_consent_keeps_not_even_a_bad_row(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()

    answer = await ingest.send(tenant, [{"consent": False, "event_id": "bad"}])

    assert answer["dropped"] == 1
    assert await ingest.bad_rows(tenant) == []


async def test_half_the_people_are_kept_whole_and_carry_the_rate(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant(sampling_rate=0.5)
    events = [event(user_id=f"user-{person}", properties={"n": n}) for person in range(100) for n in range(3)]

    answer = await ingest.send(tenant, events)

    stored = await ingest.stored(tenant)
    assert answer["accepted"] == len(stored)
    assert answer["accepted"] + answer["dropped"] == 300
    people = [row["user_id"] for row in stored]
    assert 25 < len(set(people)) < 75
    assert all(people.count(person) == 3 for person in people)
    assert {row["sample_rate"] for row in stored} == {0.5}


async def test_a_minimal_tenant_stores_no_more_than_the_contract_names(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant(tracking_level="minimal")
    raw = event(
        user_id="anna",
        anonymous_id="device",
        session_id="s",
        properties={"plan": "pro"},
        page_url="https://x.example/p?q=1",
        referrer="https://r.example",
        user_agent="Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Mobile/15E148",
        correlation_id="c",
    )

    await ingest.send(tenant, [raw], info=RequestInfo(client_ip="203.0.113.7", transport="rest"))

    [row] = await ingest.stored(tenant)
    kept = {name for name in row.keys() if row[name] not in (None, "{}")}  # noqa: SIM118  # of a record, not a dict
    assert kept == {
        *("id", "tenant_id", "event_id", "event_name", "event_category", "session_id", "page_url", "device_info"),
        *("timestamp", "received_at", "event_time", "created_at", "skew_ms", "sample_rate", "ingest_xid"),
    }
    assert row["page_url"] == "/p"
    assert orjson.loads(row["device_info"]) == {"device_type": "mobile"}


async def test_personal_data_is_redacted_before_it_is_stored(ingest: Ingest) -> None:
    tenant = await ingest.make_tenant()
    raw = event(
        properties={"password": "x", "note": "mail a@b.example", "nested": {"card": "4111 1111 1111 1111"}},
        page_url="https://x.example/?token=abc&page=2",
    )

    await ingest.send(tenant, [raw])

    [row] = await ingest.stored(tenant)
    assert orjson.loads(row["properties"]) == {
        "password": "[redacted]",
        "note": "mail [redacted]",
        "nested": {"card": "[redacted]"},
    }
    assert row["page_url"] == "https://x.example/?token=[redacted]&page=2"
