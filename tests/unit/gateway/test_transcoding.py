"""JSON <-> proto by the contract's rules, checked against google.protobuf.json_format."""

import base64
import math
import random
from typing import Any

import orjson
import pytest
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from obc.ingest.v1 import ingest_service_pb2
from obc.query.v1 import filter_pb2, metrics_pb2, saved_service_pb2, stored_event_pb2
from obc.tenant_config.v1 import config_pb2
from obc.tenant_config.v1 import tenant_config_service_pb2 as tenant_pb
from obc_common.errors import InvalidArgument
from obc_common.transcoding.decoding import merge_body, merge_path, merge_query, parse_object, refuse_query
from obc_common.transcoding.names import enum_text, enum_type, is_raw_json, json_key, message_type
from obc_gateway.transcoding.encoding import encode_message
from obc_gateway.transcoding.routes import PUBLIC_SERVICES

MESSAGES = [
    message
    for service in PUBLIC_SERVICES
    for method in service.methods
    for message in (method.input_type, method.output_type)
]
NAMES = [message.full_name for message in MESSAGES]
BY_NAME = dict(zip(NAMES, MESSAGES, strict=True))
INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
}


def fill(message: Message, dice: random.Random, depth: int = 0) -> None:
    """Fills a message at random; fields stay unset half of the time."""
    oneofs: set[str] = set()
    fields: list[Any] = list(message.DESCRIPTOR.fields)
    for field in fields:
        if dice.random() < 0.4 or (field.containing_oneof and field.containing_oneof.name in oneofs):
            continue
        if field.containing_oneof:
            oneofs.add(field.containing_oneof.name)
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            if depth > 3:
                continue
            if message_type(field).full_name == "google.protobuf.ListValue":
                getattr(message, field.name).extend(["a", True, None, 2])
                continue
            targets = (
                [getattr(message, field.name).add() for _ in range(dice.randrange(3))] if field.is_repeated else []
            )
            if not field.is_repeated:
                nested = getattr(message, field.name)
                nested.SetInParent()
                targets = [nested]
            for target in targets:
                fill(target, dice, depth + 1)
        elif field.is_repeated:
            getattr(message, field.name).extend(scalar(field, dice) for _ in range(dice.randrange(3)))
        else:
            setattr(message, field.name, scalar(field, dice))


def scalar(field: FieldDescriptor, dice: random.Random) -> Any:
    if is_raw_json(field):
        return b'{"a":[1,2.5,"x"]}'
    if field.type == FieldDescriptor.TYPE_BYTES:
        return dice.randbytes(5)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return dice.choice(enum_type(field).values).number
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return dice.random() < 0.5
    if field.cpp_type in INTEGERS:
        return dice.choice([0, 1, -1, *INTEGERS[field.cpp_type], dice.randrange(10**6)])
    if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        return dice.choice([0.0, 1.0, -2.5, 1e300, float(2**53), dice.random()])
    return dice.choice(["", "x", "ünï \u202e 😀", '"quoted"\n'])


def reference(message: Message, descriptor: Descriptor) -> dict[str, Any]:
    """What json_format says, brought to our rules: keys, numbers, embedded JSON, short enums."""
    official = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return _ours(official, descriptor)


def _ours(official: dict[str, Any], descriptor: Descriptor) -> dict[str, Any]:
    converted = {}
    for field in descriptor.fields:
        if field.name in official:
            value = official[field.name]
            converted[json_key(field)] = (
                [_value(one, field) for one in value] if field.is_repeated else _value(value, field)
            )
    return converted


def _value(value: Any, field: FieldDescriptor) -> Any:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        if message_type(field).full_name == "google.protobuf.ListValue":
            return value
        return _ours(value, message_type(field))
    if field.cpp_type in INTEGERS:
        return int(value)
    if is_raw_json(field):
        return orjson.loads(base64.b64decode(value) or b"{}")
    if field.type == FieldDescriptor.TYPE_ENUM:
        return enum_text(enum_type(field).values_by_name[value])
    return value


@pytest.mark.parametrize("name", sorted(set(NAMES)))
@given(seed=st.integers(0, 2**32))
def test_encoding_agrees_with_json_format_and_decoding_brings_the_message_back(name: str, seed: int) -> None:
    descriptor = BY_NAME[name]
    message = message_factory.GetMessageClass(descriptor)()
    fill(message, random.Random(seed))
    text = encode_message(message)
    assert orjson.loads(text) == reference(message, descriptor)
    again = message_factory.GetMessageClass(descriptor)()
    merge_body(again, orjson.loads(text))
    assert encode_message(again) == text


def test_numbers_are_numbers_and_integral_doubles_have_no_fraction() -> None:
    point = metrics_pb2.MetricPoint(start_ms=1_700_000_000_000, value=3.0)
    assert encode_message(point) == b'{"start":1700000000000,"value":3,"incomplete":false}'
    assert encode_message(metrics_pb2.MetricPoint(value=2.5)) == b'{"start":0,"value":2.5,"incomplete":false}'
    for nothing in (math.nan, math.inf, -math.inf):
        assert encode_message(metrics_pb2.MetricPoint(value=nothing)) == b'{"start":0,"value":null,"incomplete":false}'


def test_a_value_that_is_not_there_is_absent_and_a_zero_is_not() -> None:
    assert b"value" not in encode_message(metrics_pb2.MetricPoint())
    assert b'"value":0' in encode_message(metrics_pb2.MetricPoint(value=0))


def test_json_bytes_are_embedded_and_empty_ones_are_an_empty_object() -> None:
    assert b'"properties":{"a": 1}' in encode_message(stored_event_pb2.StoredEvent(properties_json=b'{"a": 1}'))
    assert b'"properties":{}' in encode_message(stored_event_pb2.StoredEvent())


def test_enums_are_short_and_lower_case_both_ways() -> None:
    result = ingest_service_pb2.EventResult(result=ingest_service_pb2.EVENT_OUTCOME_DUPLICATE)
    assert orjson.loads(encode_message(result))["result"] == "duplicate"
    for text in ("duplicate", "EVENT_OUTCOME_DUPLICATE"):
        again = ingest_service_pb2.EventResult()
        merge_body(again, {"result": text})
        assert again == result


def refused(call: Any) -> tuple[str, str]:
    with pytest.raises(InvalidArgument) as caught:
        call()
    return caught.value.reason, caught.value.field


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        ({"nope": 1}, "UNKNOWN_FIELD", "nope"),
        ({"config": {"nope": 1}}, "UNKNOWN_FIELD", "config.nope"),
        ({"expected_version": "3"}, "BAD_FIELD", "expected_version"),
        ({"expected_version": True}, "BAD_FIELD", "expected_version"),
        ({"expected_version": 2**63}, "BAD_FIELD", "expected_version"),
        ({"expected_version": 1.5}, "BAD_FIELD", "expected_version"),
        ({"expected_version": 1e300}, "BAD_FIELD", "expected_version"),
        ({"tenant_id": 5}, "BAD_FIELD", "tenant_id"),
        ({"config": {"retention_days": 2**31}}, "BAD_FIELD", "config.retention_days"),
        ({"config": {"sampling_rate": "half"}}, "BAD_FIELD", "config.sampling_rate"),
        ({"config": {"sampling_rate": False}}, "BAD_FIELD", "config.sampling_rate"),
        ({"config": {"excluded_events": {"a": 1}}}, "BAD_FIELD", "config.excluded_events"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(body: dict[str, Any], reason: str, field: str) -> None:
    assert refused(lambda: merge_body(tenant_pb.UpdateConfigRequest(), body)) == (reason, field)


def test_every_unknown_field_is_named() -> None:
    with pytest.raises(InvalidArgument) as caught:
        merge_body(tenant_pb.UpdateConfigRequest(), {"b": 1, "a": 2, "tenant_id": "x"})
    assert caught.value.metadata["fields"] == "a, b"


def test_null_leaves_a_field_unset_and_whole_floats_are_integers() -> None:
    request = tenant_pb.UpdateConfigRequest()
    merge_body(request, {"tenant_id": None, "expected_version": 4.0, "config": {"enabled": None, "sampling_rate": 1}})
    assert request.expected_version == 4
    assert not request.config.HasField("enabled")
    assert request.config.sampling_rate == 1.0


def test_an_empty_list_of_a_patch_is_there_and_a_missing_one_is_not() -> None:
    patch = config_pb2.TenantAnalyticsConfigPatch()
    merge_body(patch, {"excluded_events": []})
    assert patch.HasField("excluded_events")
    assert not patch.HasField("custom_properties")


def test_a_body_as_deep_as_json_may_be_is_refused_and_not_a_crash() -> None:
    body: dict[str, Any] = {"field": "user_id", "op": "exists"}
    for _ in range(900):
        body = {"all": [body]}

    assert refused(lambda: merge_body(filter_pb2.Filter(), body))[0] == "TOO_DEEP"


def test_query_parameters_by_json_name_and_by_field_name() -> None:
    for name in ("from", "from_time"):
        request = stored_event_pb2.ListEventsRequest()
        merge_query(request, [(name, "1"), ("filter", "a"), ("filter", "b"), ("page_size", "-3")])
        assert (request.from_time, list(request.filter), request.page_size) == ("1", ["a", "b"], -3)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("frm", "1")], ("UNKNOWN_FIELD", "frm")),
        ([("page_size", "1.0")], ("BAD_FIELD", "page_size")),
        ([("page_size", "")], ("BAD_FIELD", "page_size")),
        ([("page_size", "١")], ("BAD_FIELD", "page_size")),
        ([("page_size", "9" * 20)], ("BAD_FIELD", "page_size")),
        ([("page_size", "1"), ("page_size", "1")], ("DUPLICATE_PARAMETER", "page_size")),
        ([("from", "1"), ("from_time", "1")], ("DUPLICATE_PARAMETER", "from_time")),
        ([("event_name", "\udcff")], ("BAD_FIELD", "event_name")),
    ],
)
def test_bad_query_parameters(pairs: list[tuple[str, str]], expected: tuple[str, str]) -> None:
    assert refused(lambda: merge_query(stored_event_pb2.ListEventsRequest(), pairs)) == expected


def test_the_path_wins_over_the_body_and_a_body_leaves_no_room_for_parameters() -> None:
    request = tenant_pb.RotateKeyRequest()
    merge_body(request, {"key_id": "body"})
    merge_path(request, {"key_id": "path"})
    assert request.key_id == "path"
    assert refused(lambda: refuse_query(["x"])) == ("UNKNOWN_FIELD", "x")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "BAD_JSON"),
        (b"[]", "NOT_OBJECT"),
        (b'"x"', "NOT_OBJECT"),
        (b"{} {}", "BAD_JSON"),
        (b'{"a":NaN}', "BAD_JSON"),
        (b'{"a":1e400}', "BAD_JSON"),
        (b'{"a":"\\ud800"}', "BAD_JSON"),
        (b"\xff\xfe{\x00}\x00", "BAD_ENCODING"),
        (b"[" * 100_000, "BAD_JSON"),
    ],
)
def test_lines_1_12_13_14_16_bodies_that_are_no_object(body: bytes, reason: str) -> None:
    assert refused(lambda: parse_object(body))[0] == reason


def test_an_empty_body_is_an_empty_object() -> None:
    assert parse_object(b" \n") == {}


def test_embedded_json_that_is_too_deep_to_be_written_is_refused() -> None:
    nested: dict[str, Any] = {}
    for _ in range(300):
        nested = {"a": nested}
    with pytest.raises(InvalidArgument) as refused:
        merge_body(saved_service_pb2.CreateSavedInsightRequest(), {"request": nested})
    assert (refused.value.reason, refused.value.field) == ("TOO_DEEP", "request")
