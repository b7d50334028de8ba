import time

import orjson
import pytest

from obc.common.v1 import event_pb2
from obc.ingest.v1 import ingest_service_pb2 as pb
from obc_common.errors import DomainError
from obc_ingest.codec import decode_typed
from obc_ingest.decode import decode_body, decode_frame
from obc_ingest.limits import Limits

TENANT = "0190a0a0-0000-7000-8000-000000000001"
LIMITS = Limits()


@pytest.mark.parametrize(
    ("body", "reason", "status"),
    [
        (b"{", "BAD_JSON", 400),
        (b"", "BAD_JSON", 400),
        (b"[]", "NOT_OBJECT", 400),
        (b'"text"', "NOT_OBJECT", 400),
        (b"{}", "BAD_JSON", 400),
        (b'{"events":{}}', "BAD_JSON", 400),
        (b'{"events":[]}', "EMPTY_BATCH", 400),
        (b'{"events":[' + b",".join([b"{}"] * 1001) + b"]}", "TOO_MANY_EVENTS", 413),
        (b'{"events":["' + b"x" * (4 * 1024 * 1024) + b'"]}', "BODY_TOO_LARGE", 413),
        (b'\xef\xbb\xbf{"events":[{}]}', "BAD_ENCODING", 400),
        ('{"events":[{}]}'.encode("utf-16"), "BAD_ENCODING", 400),
        ('{"events":[{}]}'.encode("utf-16-le"), "BAD_ENCODING", 400),
        (b'{"events":["\xff\xfe"]}', "BAD_ENCODING", 400),
        (b'{"events":["\\ud800"]}', "BAD_JSON", 400),
        (b'{"events":[NaN]}', "BAD_JSON", 400),
        (b'{"events":[Infinity]}', "BAD_JSON", 400),
        (b'{"events":[1e400]}', "BAD_JSON", 400),
        (b'{"events":[1e100000]}', "BAD_JSON", 400),
        (b'{"events":[' + b"9" * 5000 + b"]}", "BAD_JSON", 400),
        (b'{"events":' + b"[" * 1025 + b"]" * 1025 + b"}", "BAD_JSON", 400),
        (b'{"events":[{}],"tenant_id":"0190a0a0-0000-7000-8000-000000000002"}', "TENANT_MISMATCH", 403),
        (b'{"events":[{}],"tenant_id":7}', "TENANT_MISMATCH", 403),
    ],
)
def test_a_batch_that_cannot_be_read_is_refused_as_a_whole(body: bytes, reason: str, status: int) -> None:
    with pytest.raises(DomainError) as refused:
        decode_body(body, TENANT, LIMITS)

    assert refused.value.reason == reason
    assert refused.value.http_status == status


def test_a_hundred_thousand_brackets_are_refused_quickly() -> None:
    started = time.perf_counter()
    with pytest.raises(DomainError):
        decode_body(b'{"events":' + b"[" * 100_000, TENANT, LIMITS)

    assert time.perf_counter() - started < 0.05


@pytest.mark.parametrize("name", ["timestamp", "sent_at"])
def test_the_envelope_of_the_seed_is_understood(name: str) -> None:
    body = orjson.dumps(
        {"events": [{"a": 1}], "batch_id": "b-1", name: 1_700_000_000_123, "tenant_id": TENANT.upper(), "key": "wk_x"}
    )

    batch = decode_body(body, TENANT, LIMITS)

    assert (batch.events, batch.batch_id, batch.sent_at_ms) == ([{"a": 1}], "b-1", 1_700_000_000_123)


@pytest.mark.parametrize("sent_at", ["soon", -1, 1_700_000_000, None, {}, True])
def test_a_wrong_clock_hint_does_not_cost_the_events(sent_at: object) -> None:
    assert decode_body(orjson.dumps({"events": [{}], "sent_at": sent_at}), TENANT, LIMITS).sent_at_ms == 0


def test_of_duplicate_keys_the_last_wins() -> None:
    assert decode_body(b'{"events":[1],"events":[2]}', TENANT, LIMITS).events == [2]


@pytest.mark.parametrize("event", [{"event_name": "x"}, {"event_id": "y"}])
def test_a_frame_may_be_a_bare_event(event: dict[str, str]) -> None:
    assert decode_frame(orjson.dumps(event), TENANT, LIMITS).events == [event]


def test_a_frame_may_be_a_batch() -> None:
    batch = decode_frame(b'{"type":"events","seq":1,"sent_at":1700000000123,"events":[{},{}]}', TENANT, LIMITS)

    assert (len(batch.events), batch.sent_at_ms) == (2, 1_700_000_000_123)


def test_a_frame_that_is_neither_is_refused() -> None:
    with pytest.raises(DomainError) as refused:
        decode_frame(b'{"type":"hello"}', TENANT, LIMITS)

    assert refused.value.reason == "BAD_JSON"


def test_a_typed_event_becomes_the_object_that_a_json_client_sends() -> None:
    typed = event_pb2.Event(
        event_id="e",
        event_name="n",
        properties_json=b'{"a":[1,"x"]}',
        timestamp_ms=5,
        device_info=event_pb2.DeviceInfo(screen_width=10, os="iOS"),
        consent=False,
    )

    batch = decode_typed(pb.EventBatch(events=[typed], sent_at_ms=1_700_000_000_123), "b", LIMITS)

    assert batch.events == [
        {
            "event_id": "e",
            "event_name": "n",
            "properties": {"a": [1, "x"]},
            "timestamp": 5,
            "device_info": {"screen_width": 10, "os": "iOS"},
            "consent": False,
        }
    ]
    assert (batch.batch_id, batch.sent_at_ms) == ("b", 1_700_000_000_123)


@pytest.mark.parametrize("text", [b"{", b"\xff", b"NaN", b'{"a":1e999}'])
def test_typed_properties_that_are_no_json_become_no_object(text: bytes) -> None:
    batch = decode_typed(pb.EventBatch(events=[event_pb2.Event(properties_json=text)]), "", LIMITS)

    assert isinstance(batch.events[0]["properties"], str)


def test_an_empty_typed_batch_is_refused() -> None:
    with pytest.raises(DomainError) as refused:
        decode_typed(pb.EventBatch(), "", LIMITS)

    assert refused.value.reason == "EMPTY_BATCH"
