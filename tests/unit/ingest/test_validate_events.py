from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obc_ingest.limits import Limits
from obc_ingest.model import Event, Rejected
from obc_ingest.timestamps import skew_ms
from obc_ingest.validate import NUL_NOTE, Reception, event_label, validate

TENANT = "0190a0a0-0000-7000-8000-000000000001"
NOW = 1_750_000_000_000
ID = "0190f0f0-aaaa-7bbb-8ccc-0123456789ab"
LIMITS = Limits()
DAY = 86_400_000


def good(**changes: Any) -> dict[str, Any]:
    return {"event_id": ID, "event_name": "page_view", "timestamp": NOW - 1000, **changes}


def judge(raw: Any, *, sent_at: int = 0, skew: int = 0) -> Event:
    return validate(raw, Reception(TENANT, NOW, sent_at, skew), LIMITS)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


def test_the_seeds_event_is_accepted_whole() -> None:
    raw = good(
        tenant_id=TENANT,
        user_id="8f14e45f-ceea-467f-a0e6-3c1f0a1b2c3d",
        session_id="s",
        event_category="navigation",
        properties={"page_name": "home"},
        page_url="https://x.example/a?b=1",
        referrer="",
        user_agent="Mozilla/5.0",
        device_info={"screen_width": 1920, "viewport_width": 1519.2, "device_type": "desktop", "browser": "Chrome"},
        correlation_id="c",
    )

    event = judge(raw)

    assert (event.event_id, event.event_name, event.event_category) == (ID, "page_view", "navigation")
    assert event.device_info == {
        "screen_width": 1920,
        "viewport_width": 1519,
        "device_type": "desktop",
        "browser": "Chrome",
    }
    assert event.properties == {"page_name": "home"}


@pytest.mark.parametrize(
    ("raw", "code", "field"),
    [
        ("text", "not_object", ""),
        (None, "not_object", ""),
        ([], "not_object", ""),
        ({}, "bad_event_id", "event_id"),
        (good(event_id="x"), "bad_event_id", "event_id"),
        (good(event_id=7), "bad_event_id", "event_id"),
        (good(event_id="00000000-0000-0000-0000-000000000000"), "bad_event_id", "event_id"),
        (good(event_id="{" + ID + "}"), "bad_event_id", "event_id"),
        (good(event_id=ID.replace("-", "")), "bad_event_id", "event_id"),
        (good(event_id=ID + "\n"), "bad_event_id", "event_id"),
        (good(event_id="a\0"), "nul_byte", "event_id"),
        (good(event_name=None), "bad_event_name", "event_name"),
        (good(event_name=""), "bad_event_name", "event_name"),
        (good(event_name="  "), "bad_event_name", "event_name"),
        (good(event_name=5), "bad_event_name", "event_name"),
        (good(event_name="x" * 201), "too_long", "event_name"),
        (good(event_name="a\0b"), "nul_byte", "event_name"),
        (good(event_category="x" * 101), "too_long", "event_category"),
        (good(event_category=1), "bad_type", "event_category"),
        (good(user_id=42), "bad_user_id", "user_id"),
        (good(user_id="x" * 201), "too_long", "user_id"),
        (good(user_id="a\0b"), "nul_byte", "user_id"),
        (good(session_id="x" * 201), "too_long", "session_id"),
        (good(session_id="\0"), "nul_byte", "session_id"),
        (good(timestamp=None), "bad_timestamp", "timestamp"),
        (good(timestamp=0), "bad_timestamp", "timestamp"),
        (good(timestamp=-1), "bad_timestamp", "timestamp"),
        (good(timestamp=NOW // 1000), "bad_timestamp", "timestamp"),
        (good(timestamp=10**18), "bad_timestamp", "timestamp"),
        (good(timestamp=True), "bad_timestamp", "timestamp"),
        (good(timestamp=str(NOW)), "bad_timestamp", "timestamp"),
        (good(timestamp="infinity"), "bad_timestamp", "timestamp"),
        (good(timestamp="294277-01-01T00:00:00Z"), "bad_timestamp", "timestamp"),
        (good(timestamp="2025-06-15T15:06:40"), "bad_timestamp", "timestamp"),
        (good(timestamp="2025-02-30T15:06:40Z"), "bad_timestamp", "timestamp"),
        (good(timestamp="٢٠٢٥-06-15T15:06:40Z"), "bad_timestamp", "timestamp"),
        (good(timestamp=NOW + 25 * 3_600_000), "too_new", "timestamp"),
        (good(timestamp=NOW - 400 * DAY), "too_old", "timestamp"),
        (good(properties=[1]), "bad_properties", "properties"),
        (good(properties="x"), "bad_properties", "properties"),
        (good(properties=nested(9)), "too_deep", "properties"),
        (good(properties={"a": [[[[[[[[1]]]]]]]]}), "too_deep", "properties"),
        (good(properties={"a": nested(400)}), "too_deep", ""),
        (good(properties={str(n): n for n in range(257)}), "too_many_keys", "properties"),
        (good(properties={"k" * 129: 1}), "key_too_long", "properties"),
        (good(properties={"a\0": 1}), "nul_byte", "properties"),
        (good(properties={"a": "x" * 8193}), "too_long", "properties.a"),
        (good(properties={"a": ["é" * 4097]}), "too_long", "properties.a"),
        (good(properties={"a": 2**53 + 1}), "int_range", "properties.a"),
        (good(properties={"a": [{"b": -(2**53) - 1}]}), "int_range", "properties.b"),
        (good(properties=orjson.loads(b'{"a":18446744073709551616}')), "int_range", "properties.a"),
        (good(properties=orjson.loads(b'{"a":1' + b"0" * 300 + b"}")), "int_range", "properties.a"),
        (good(properties={str(n): "x" * 1000 for n in range(33)}), "event_too_big", ""),
        (good(page_url="x" * 2049), "too_long", "page_url"),
        (good(referrer="é" * 1025), "too_long", "referrer"),
        (good(user_agent="x" * 1025), "too_long", "user_agent"),
        (good(page_url=5), "bad_type", "page_url"),
        (good(device_info=[]), "bad_type", "device_info"),
        (good(device_info={"screen_width": "wide"}), "bad_type", "device_info.screen_width"),
        (good(device_info={"screen_width": -1}), "bad_type", "device_info.screen_width"),
        (good(device_info={"os": 5}), "bad_type", "device_info.os"),
        (good(device_info={"os": "x" * 101}), "too_long", "device_info.os"),
        (good(consent="no"), "bad_type", "consent"),
        (good(tenant_id="0190a0a0-0000-7000-8000-000000000002"), "tenant_mismatch", "tenant_id"),
        (good(tenant_id=5), "tenant_mismatch", "tenant_id"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_bad_data_is_rejected_with_its_code_and_field(raw: Any, code: str, field: str) -> None:
    with pytest.raises(Rejected) as rejected:
        judge(raw)

    assert (rejected.value.code, rejected.value.field) == (code, field)


@pytest.mark.parametrize(
    "user_id",
    [
        "0",
        "null",
        "NULL",
        "undefined",
        "None",
        "NaN",
        "anonymous",
        "Guest",
        "[object Object]",
        "true",
        "FALSE",
        "id",
        "user",
        "distinct_id",
        "00000000-0000-0000-0000-000000000000",
        " ",
        ' "null" ',
    ],
)
def test_an_id_that_would_merge_everybody_is_refused(user_id: str) -> None:
    with pytest.raises(Rejected) as rejected:
        judge(good(user_id=user_id))

    assert rejected.value.code == "bad_user_id"


@pytest.mark.parametrize("user_id", ["42", "anna", "guest-7", "truelove", "ä", "ID-1"])
def test_an_opaque_id_of_one_person_is_kept_verbatim(user_id: str) -> None:
    assert judge(good(user_id=user_id)).user_id == user_id


def test_an_empty_user_id_means_anonymous() -> None:
    assert judge(good(user_id="")).user_id == ""


def test_an_id_in_capitals_is_the_same_id() -> None:
    assert judge(good(event_id=ID.upper())).event_id == ID


def test_limits_are_inclusive() -> None:
    keys = {f"k{n:03}".ljust(128, "x") if n == 0 else str(n): n for n in range(253)}
    raw = good(
        event_name="x" * 200,
        user_id="u" * 200,
        properties={**keys, "text": "x" * 8192, "big": 2**53, "small": -(2**53)},
    )

    assert len(judge(raw).properties) == 256
    assert judge(good(properties=nested(8)))


@pytest.mark.parametrize("key", ["", "__proto__", "constructor", "$set", "a.b", "a'b", "🚀", 'a"b', "a\\u0000b"])
def test_strange_keys_are_kept_verbatim(key: str) -> None:
    event = judge(good(properties={key: 1}))

    assert event.properties == {key: 1}
    assert event.note == ""


def test_nul_in_values_is_replaced_and_said() -> None:
    event = judge(good(properties={"a": "x\0y", "b": [{"c": "\0"}]}, page_url="https://x/\0"))

    assert event.properties == {"a": "x\ufffdy", "b": [{"c": "\ufffd"}]}
    assert event.page_url == "https://x/\ufffd"
    assert event.note == NUL_NOTE


def test_unknown_fields_are_ignored() -> None:
    assert judge(good(colour="red", extra={"deep": nested(20)})).event_name == "page_view"


@pytest.mark.parametrize(
    ("timestamp", "ms"),
    [
        (NOW, NOW),
        (float(NOW) + 0.7, NOW),
        ("2025-06-15T15:06:40Z", NOW),
        ("2025-06-15t15:06:40.123456789z", NOW + 123),
        ("2025-06-15 17:06:40+02:00", NOW),
        ("2025-06-15T09:36:40.5-05:30", NOW + 500),
        ("2025-06-14T23:59:60Z", 1_749_945_600_000),
    ],
)
def test_times_are_milliseconds_or_rfc_3339(timestamp: Any, ms: int) -> None:
    assert judge(good(timestamp=timestamp)).timestamp_ms == ms


def test_a_wrong_clock_is_corrected_before_age_is_judged() -> None:
    skew = -3 * DAY  # the client's clock is three days ahead

    event = judge(good(timestamp=NOW + 3 * DAY - 5000), sent_at=NOW + 3 * DAY, skew=skew)

    assert (event.timestamp_ms, event.event_time_ms, event.skew_ms) == (NOW + 3 * DAY - 5000, NOW - 5000, skew)


def test_the_same_payload_has_the_same_fingerprint_whatever_its_key_order() -> None:
    first = judge({"event_id": ID, "event_name": "x", "timestamp": NOW, "properties": {"a": 1, "b": 2}})
    second = judge({"properties": {"b": 2, "a": 1}, "timestamp": NOW, "event_name": "x", "event_id": ID})
    other = judge({"properties": {"b": 2, "a": 2}, "timestamp": NOW, "event_name": "x", "event_id": ID})

    assert first.fingerprint == second.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("raw", "label"),
    [({"event_id": ID.upper()}, ID), ({"event_id": "x" * 99}, "x" * 64), ({}, ""), ([], ""), ({"event_id": 7}, "7")],
)
def test_an_answer_names_the_event_by_what_was_sent(raw: Any, label: str) -> None:
    assert event_label(raw) == label


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)
FIELDS = [
    "event_id",
    "event_name",
    "event_category",
    "user_id",
    "anonymous_id",
    "session_id",
    "properties",
    "timestamp",
    "page_url",
    "referrer",
    "user_agent",
    "device_info",
    "correlation_id",
    "tenant_id",
    "consent",
]
CODES = {
    "not_object",
    "bad_event_id",
    "bad_event_name",
    "bad_user_id",
    "bad_timestamp",
    "too_new",
    "too_old",
    "nul_byte",
    "int_range",
    "too_deep",
    "too_many_keys",
    "key_too_long",
    "too_long",
    "event_too_big",
    "bad_properties",
    "bad_type",
    "tenant_mismatch",
}


@settings(max_examples=400, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), JSON, max_size=5))
def test_whatever_json_comes_the_answer_is_an_event_or_a_known_code(changes: dict[str, Any]) -> None:
    try:
        event = judge({**good(), **changes})
    except Rejected as rejected:
        assert rejected.code in CODES
    else:
        assert event.tenant_id == TENANT
        assert event.event_id == event.event_id.lower()
        assert 1 <= len(event.event_name) <= 200
        assert b"\\u0000" not in orjson.dumps([event.properties, event.device_info, event.page_url]).replace(
            b"\\\\", b""
        )


@settings(max_examples=100, deadline=None)
@given(raw=JSON)
def test_whatever_stands_in_an_events_place_is_judged(raw: Any) -> None:
    with pytest.raises(Rejected) as rejected:
        judge(raw)
    assert rejected.value.code in CODES


@pytest.mark.parametrize(
    ("sent_at", "expected"),
    [
        (0, 0),  # unknown
        (NOW - 59_999, 0),  # latency
        (NOW - 60_000, 60_000),
        (NOW + 3 * DAY, -3 * DAY),
        (NOW - 30 * DAY, 30 * DAY),
        (NOW - 30 * DAY - 1, 0),  # not a clock, but a batch that was kept: its ids may be forgotten by now
    ],
)
def test_a_clock_is_corrected_within_the_age_of_a_live_event(sent_at: int, expected: int) -> None:
    assert skew_ms(NOW, sent_at, LIMITS.min_skew_ms, LIMITS.age_ms) == expected
