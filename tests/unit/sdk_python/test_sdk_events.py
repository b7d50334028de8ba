"""What `track` accepts, refuses and makes of it; and that it knows no other rules than the server."""

import json
import uuid
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import obc_ingest.identity
from obc.ingest.v1 import ingest_service_pb2 as server_pb
from obc_analytics import EventResult, InvalidEvent, Outcome
from obc_analytics._proto import ingest_pb2
from obc_analytics.errors import BrokenAnswer
from obc_analytics.event import Event, make_event
from obc_analytics.identity import MERGING_IDS
from obc_analytics.ids import uuid7
from obc_analytics.wire import results_of, results_of_json, to_json, to_proto
from obc_ingest.codec import decode_typed
from obc_ingest.decode import decode_body
from obc_ingest.limits import Limits
from obc_ingest.model import Rejected
from obc_ingest.validate import Reception, validate

NOW = 1_795_469_000_123
TENANT = "0192f0c1-7b3e-7c11-9d2a-4f1f0a7b6c5d"
RECEPTION = Reception(TENANT, NOW, NOW, 0)


class Plan(Enum):
    PRO = "pro"


def full_event() -> Event:
    return make_event(
        "purchase",
        {
            "plan": Plan.PRO,
            "amount": 12.5,
            "at": datetime(2026, 1, 2, tzinfo=UTC),
            "day": date(2026, 1, 2),
            "n": [1, {}],
        },
        NOW,
        user_id="user-17",
        anonymous_id=uuid.UUID(TENANT),
        session_id="s-1",
        category="commerce",
        timestamp=NOW - 5,
        page_url="https://shop.example/ü",
        referrer="https://search.example/",
        user_agent="Mozilla/5.0",
        correlation_id="req-42",
        device_info={"screen_width": 1920, "os": "Linux", "browser": None},
        consent=False,
    )


def test_protobuf_and_json_say_the_same_to_the_server() -> None:
    event = full_event()
    typed = server_pb.EventBatch.FromString(to_proto([event], NOW).SerializeToString())

    by_proto = decode_typed(typed, "7", Limits())
    by_json = decode_body(to_json([event], "7", NOW), TENANT, Limits())

    assert by_proto.events == by_json.events
    assert by_json.sent_at_ms == by_proto.sent_at_ms == NOW
    assert by_json.batch_id == by_proto.batch_id == "7"
    [raw] = by_json.events
    assert raw["properties"] == {
        "plan": "pro",
        "amount": 12.5,
        "at": "2026-01-02T00:00:00+00:00",
        "day": "2026-01-02",
        "n": [1, {}],
    }
    assert raw["consent"] is False
    assert raw["device_info"] == {"screen_width": 1920, "os": "Linux"}


def test_the_least_event_has_no_field_too_many() -> None:
    event = make_event("ping", None, NOW)
    assert orjson.loads(to_json([event], "1", NOW))["events"] == [
        {"event_id": event.event_id, "timestamp": NOW, "event_name": "ping"}
    ]
    [proto] = to_proto([event], NOW).events
    assert {field.name for field, _ in proto.ListFields()} == {"event_id", "timestamp_ms", "event_name"}


def test_properties_are_a_snapshot() -> None:
    properties: dict[str, Any] = {"n": 1}
    event = make_event("tick", properties, NOW)
    properties["n"] = 2
    assert event.properties_json == b'{"n":1}'


def test_event_ids_are_uuid_7_of_now() -> None:
    ids = {uuid7(NOW) for _ in range(1000)}
    assert len(ids) == 1000
    assert {(one.version, one.variant, one.int >> 80) for one in ids} == {(7, uuid.RFC_4122, NOW)}


def nested(depth: int) -> dict[str, Any]:
    return {"deeper": nested(depth - 1)} if depth > 1 else {}


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": None}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"category": "x" * 101}, "category"),
        ({"user_id": "x" * 201}, "user_id"),
        ({"user_id": 17}, "user_id"),
        ({"user_id": " NULL "}, "user_id"),
        ({"user_id": uuid.UUID(int=0)}, "user_id"),
        ({"session_id": b"s"}, "session_id"),
        ({"anonymous_id": "\0"}, "anonymous_id"),
        ({"correlation_id": "x" * 201}, "correlation_id"),
        ({"event_id": "17"}, "event_id"),
        ({"event_id": str(uuid.UUID(int=0))}, "event_id"),
        ({"event_id": 17}, "event_id"),
        ({"timestamp": 1_795_469_000}, "timestamp"),
        ({"timestamp": 0}, "timestamp"),
        ({"timestamp": True}, "timestamp"),
        ({"timestamp": "2026-01-01"}, "timestamp"),
        ({"timestamp": datetime(2026, 1, 1)}, "timestamp"),
        ({"timestamp": 10**15}, "timestamp"),
        ({"page_url": "ü" * 1025}, "page_url"),
        ({"referrer": "x" * 2049}, "referrer"),
        ({"user_agent": "x" * 1025}, "user_agent"),
        ({"consent": "yes"}, "consent"),
        ({"device_info": {"screen_width": -1}}, "device_info.screen_width"),
        ({"device_info": {"os": 7}}, "device_info.os"),
        ({"device_info": {"colour": "red"}}, "device_info.colour"),
        ({"device_info": "phone"}, "device_info"),
        ({"properties": ["a"]}, "properties"),
        ({"properties": {1: "a"}}, "properties"),
        ({"properties": {"x" * 129: 1}}, "properties"),
        ({"properties": {"a\0": 1}}, "properties"),
        ({"properties": {str(n): n for n in range(257)}}, "properties"),
        ({"properties": nested(9)}, "properties"),
        ({"properties": {"a": [[[[[[[[1]]]]]]]]}}, "properties"),
        ({"properties": {"a": {"b": float("nan")}}}, "properties.a.b"),
        ({"properties": {"a": float("inf")}}, "properties.a"),
        ({"properties": {"a": 2**53 + 1}}, "properties.a"),
        ({"properties": {"a": 10**5000}}, "properties.a"),
        ({"properties": {"a": object()}}, "properties.a"),
        ({"properties": {"a": b"bytes"}}, "properties.a"),
        ({"properties": {"a": "ü" * 4097}}, "properties.a"),
        ({"properties": {"a": "\udfff"}}, "properties"),
        ({"properties": {str(n): "x" * 8000 for n in range(5)}}, "properties"),
    ],
)
def test_what_the_server_would_certainly_reject_is_refused_with_the_field_named(
    arguments: dict[str, Any], field: str
) -> None:
    arguments = {"name": "tick", "properties": None, **arguments}
    with pytest.raises(InvalidEvent) as refused:
        make_event(now_ms=NOW, **arguments)
    assert refused.value.field == field
    assert str(refused.value).startswith(field)


def test_a_dictionary_that_contains_itself_is_too_deep() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    with pytest.raises(InvalidEvent):
        make_event("tick", loop, NOW)


def test_the_ids_that_merge_everybody_are_the_servers() -> None:
    assert obc_ingest.identity._MERGING_IDS == MERGING_IDS


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    name=st.text(max_size=210),
    properties=st.dictionaries(st.text(), json_values, max_size=6),
    user_id=st.none() | st.text(max_size=210),
    category=st.text(max_size=110),
)
def test_the_server_accepts_whatever_track_accepts_on_both_ways(
    name: str, properties: dict[str, Any], user_id: str | None, category: str
) -> None:
    try:
        event = make_event(name, properties, NOW, user_id=user_id, category=category)
    except InvalidEvent:
        return
    typed = server_pb.EventBatch.FromString(to_proto([event], NOW).SerializeToString())
    try:
        [by_proto] = [validate(raw, RECEPTION, Limits()) for raw in decode_typed(typed, "", Limits()).events]
        [by_json] = [
            validate(raw, RECEPTION, Limits())
            for raw in decode_body(to_json([event], "", NOW), TENANT, Limits()).events
        ]
    except Rejected as rejected:
        pytest.fail(f"{rejected.code} {rejected.field}")
    assert by_proto == by_json
    assert (
        by_json.properties == json.loads(event.properties_json or b"{}") or "\\u0000" in event.properties_json.decode()
    )


def test_results_are_matched_in_order() -> None:
    events = [make_event(name, None, NOW) for name in "abcd"]
    outcomes = {
        ingest_pb2.EVENT_OUTCOME_ACCEPTED: Outcome.ACCEPTED,
        ingest_pb2.EVENT_OUTCOME_DUPLICATE: Outcome.DUPLICATE,
        ingest_pb2.EVENT_OUTCOME_DROPPED: Outcome.DROPPED,
        ingest_pb2.EVENT_OUTCOME_REJECTED: Outcome.REJECTED,
    }
    answers = [
        ingest_pb2.EventResult(event_id=event.event_id, result=outcome, code="c", field="f", message="m")
        for event, outcome in zip(events, outcomes, strict=True)
    ]
    expected = [
        EventResult(event.event_id, event.event_name, outcome, "c", "f", "m")
        for event, outcome in zip(events, outcomes.values(), strict=True)
    ]
    assert results_of(events, answers) == expected
    body = orjson.dumps(
        {
            "results": [
                {"event_id": e.event_id, "result": e.outcome.value, "code": "c", "field": "f", "message": "m"}
                for e in expected
            ]
        }
    )
    assert results_of_json(events, body) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'{"results": 1}',
        b'{"results": []}',
        b'{"results": [1]}',
        b'{"results": [{"event_id": "another", "result": "accepted"}]}',
        b'{"results": [{"event_id": "ID", "result": "perhaps"}]}',
        b'{"results": [{"event_id": "ID"}]}',
        b'{"results": [{"event_id": "ID", "result": ["accepted"]}]}',
        b"\xff",
    ],
)
def test_an_answer_that_is_not_one_result_for_each_event_confirms_nothing(body: bytes) -> None:
    event = make_event("tick", None, NOW)
    with pytest.raises(BrokenAnswer):
        results_of_json([event], body.replace(b"ID", event.event_id.encode()))


def test_a_typed_answer_that_is_not_one_result_for_each_event_confirms_nothing() -> None:
    event = make_event("tick", None, NOW)
    accepted = ingest_pb2.EventResult(event_id=event.event_id, result=ingest_pb2.EVENT_OUTCOME_ACCEPTED)
    unspecified = ingest_pb2.EventResult(event_id=event.event_id)
    for answers in ([], [accepted, accepted], [unspecified]):
        with pytest.raises(BrokenAnswer):
            results_of([event], answers)
