"""Small rules of the edge: addresses, origins, CORS, credentials, limits, frames."""

import asyncio
import struct

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obc_common.clock import ManualClock
from obc_common.context import Principal
from obc_common.errors import PermissionDenied, ResourceExhausted, Unauthenticated, Unavailable
from obc_common.keys import generate_key
from obc_gateway.access import credentials
from obc_gateway.access.checks import check_origin, check_tenant
from obc_gateway.access.credentials import Credential
from obc_gateway.access.failure_limiter import FailureLimiter
from obc_gateway.bodies.budget import UNKNOWN_CALLER, BodyBudget
from obc_gateway.edge.client_address import ProxyTrust, limiter_network
from obc_gateway.edge.correlation import correlation_id
from obc_gateway.edge.cors import CorsPolicy
from obc_gateway.edge.mask_guard import MaskGuard
from obc_gateway.edge.origins import is_same_origin, normal_origin
from obc_gateway.settings import Settings
from obc_gateway.sockets.flood import FloodGate
from obc_gateway.sockets.frames import Auth, Bad, Events, Heartbeat, parse_frame
from obc_gateway.sockets.window import Window
from tests.support.eventually import eventually

PROXIES = ("10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["1.1.1.1"], "203.0.113.9"),
        ("10.0.0.1", ["1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["6.6.6.6, 1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["6.6.6.6", "1.1.1.1, 10.2.2.2"], "1.1.1.1"),
        ("10.0.0.1", ["10.9.9.9"], "10.9.9.9"),
        ("10.0.0.1", ["1.1.1.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1:4711"], "1.1.1.1"),
        ("fd00::1", ["[2001:db8::7]:443"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["1.1.1.1"], "1.1.1.1"),
        (None, ["1.1.1.1"], ""),
    ],
)
def test_line_58_the_client_is_the_right_most_untrusted_hop(
    peer: str | None, forwarded: list[str], client: str
) -> None:
    assert ProxyTrust(PROXIES).client_ip(peer, forwarded) == client


def test_a_limiter_counts_an_ipv6_network_as_one_client() -> None:
    assert limiter_network("2001:db8:1:2:3::4") == limiter_network("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert limiter_network("192.0.2.1") == "192.0.2.1"


@pytest.mark.parametrize("text", ["null", "", "https://", "example.com", "https://a/b", "https://a b", "a" * 400])
def test_what_is_no_origin(text: str) -> None:
    assert normal_origin(text) is None


def test_origins_are_compared_whole_and_in_lower_case() -> None:
    assert normal_origin("HTTPS://App.Example.com:8443") == "https://app.example.com:8443"
    assert is_same_origin("https://app.example.com", "APP.example.com")
    assert not is_same_origin("https://app.example.com", "app.example.com.evil.io")


def test_cors_reflects_any_origin_on_ingest_and_listed_ones_elsewhere() -> None:
    policy = CorsPolicy({"/v1/events:batch"}, [])
    assert policy.allowed_origin("/v1/events:batch", "https://shop.example") == "https://shop.example"
    assert policy.allowed_origin("/v1/metrics", "https://shop.example") is None
    assert policy.allowed_origin("/v1/events:batch", "null") is None
    listed = CorsPolicy({"/v1/events:batch"}, ["https://dash.example"])
    assert listed.allowed_origin("/v1/events:batch", "https://shop.example") is None
    assert listed.allowed_origin("/v1/metrics", "https://dash.example") == "https://dash.example"


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"Authorization": "Bearer abc"}, "abc"),
        ({"Authorization": "bearer  abc "}, "abc"),
        ({"Authorization": "Bearer "}, None),
        ({"Authorization": "Bearer ", "X-API-Key": "k"}, "k"),
        ({"Authorization": "Bearer abc", "X-API-Key": "k"}, "abc"),
        ({}, None),
    ],
)
def test_credentials_in_headers(headers: dict[str, str], text: str | None) -> None:
    found = credentials.from_headers(headers)
    assert (found.text if found else None) == text


def test_another_scheme_is_a_bad_credential() -> None:
    for header in ("Basic dTpw", "abc", "Digest x"):
        with pytest.raises(Unauthenticated):
            credentials.from_headers({"Authorization": header})


def test_only_write_keys_may_be_in_public_places() -> None:
    credentials.check_place(Credential(generate_key("write"), public=True))
    credentials.check_place(Credential(generate_key("secret")))
    for text in (generate_key("secret"), generate_key("operator"), "a.b.c", ""):
        with pytest.raises(Unauthenticated):
            credentials.check_place(Credential(text, public=True))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"key":5}', b'{"key":""}', b"\xff", b'{"events":[]}'])
def test_a_body_without_a_readable_key_has_none(body: bytes) -> None:
    assert credentials.from_body(body) is None


def principal(kind: str = "write", origins: tuple[str, ...] = ()) -> Principal:
    return Principal("T-1", "s", kind, frozenset({"ingest"}), allowed_origins=origins)  # type: ignore[arg-type]  # literal


def test_origin_rules_are_for_write_keys() -> None:
    check_origin(principal(), None)
    check_origin(principal(), "https://any.example")
    check_origin(principal("secret"), "null")
    check_origin(principal(origins=("https://A.example",)), "https://a.example")
    for origin in (None, "null", "https://b.example"):
        with pytest.raises(PermissionDenied):
            check_origin(principal(origins=("https://a.example",)), origin)
    with pytest.raises(PermissionDenied):
        check_origin(principal(), "null")


def test_a_named_tenant_must_be_the_callers() -> None:
    check_tenant(principal(), None)
    check_tenant(principal(), " t-1 ")
    check_tenant(principal("operator"), "T-2")
    with pytest.raises(PermissionDenied):
        check_tenant(principal(), "T-2")


def test_failures_are_limited_per_client_and_forgiven_with_time() -> None:
    clock = ManualClock()
    limiter = FailureLimiter(clock, per_second=0.5, burst=2)
    for _ in range(2):
        limiter.check("a")
        limiter.failed("a")
    with pytest.raises(ResourceExhausted) as caught:
        limiter.check("a")
    assert caught.value.retry_after == pytest.approx(2.0)
    limiter.check("b")
    clock.advance(2.0)
    limiter.check("a")


def test_correlation_ids_are_kept_when_well_formed() -> None:
    assert correlation_id("a.b:c-1_2") == "a.b:c-1_2"
    for bad in (None, "", "a b", "x" * 129, "é"):
        assert correlation_id(bad) != bad


def test_bodies_under_way_are_bounded_together_and_by_caller() -> None:
    budget = BodyBudget(16)
    with budget.hold("a") as of_a, budget.hold("b") as of_b:
        # given a tenant that has its share, half of the room
        of_a.grow(5)
        of_a.grow(8)
        with pytest.raises(Unavailable):
            of_a.grow(9)
        # then another has room, and those who are nobody yet have a quarter together
        of_b.grow(4)
        with budget.hold(UNKNOWN_CALLER) as first, budget.hold(UNKNOWN_CALLER) as second:
            first.grow(3)
            with pytest.raises(Unavailable):
                second.grow(2)
            second.grow(1)
            with pytest.raises(Unavailable):
                of_b.grow(5)
    # when all of it is given back
    with budget.hold("a") as of_a:
        of_a.grow(8)


def test_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_INTERNAL_SECRET", "s" * 32)
    monkeypatch.setenv("ANALYTICS_GATEWAY_PORT", "8123")
    monkeypatch.setenv("ANALYTICS_GATEWAY_ADMIN_PORT", "")
    monkeypatch.setenv("ANALYTICS_CORS_ORIGINS", "https://a.example, https://b.example")
    monkeypatch.setenv("ANALYTICS_TRUSTED_PROXIES", "10.0.0.0/8")
    settings = Settings()
    assert (settings.port, settings.admin_port) == (8123, None)
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert all(field.description for field in Settings.model_fields.values())
    with pytest.raises(ValueError, match="trusted_proxies"):
        Settings(trusted_proxies=("nonsense",))


EVENT = '{"event_id":"e","event_name":"x"}'


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ('{"type":"auth","token":" k "}', Auth("k", "")),
        ('{"type":"auth","token":"k","tenant_id":"t"}', Auth("k", "t")),
        ('{"type":"heartbeat","timestamp":5}', Heartbeat(5)),
        ('{"type":"heartbeat"}', Heartbeat(None)),
        ('{"type":"heartbeat","timestamp":true}', Heartbeat(None)),
        ('{"type":"events","seq":7,"events":[]}', Events(7, b'{"type":"events","seq":7,"events":[]}')),
        ('{"events":[]}', Events(None, b'{"events":[]}')),
        (EVENT, Events(None, EVENT.encode())),
        ('{"type":"click","event_name":"x"}', Events(None, b'{"type":"click","event_name":"x"}')),
    ],
)
def test_frames(text: str, frame: object) -> None:
    assert parse_frame(text) == frame


@given(st.one_of(st.text(), st.recursive(st.none() | st.integers(-5, 5) | st.text(), st.lists).map(str)))
def test_no_frame_raises(text: str) -> None:
    assert isinstance(parse_frame(text), Auth | Bad | Events | Heartbeat)


def test_the_flood_gate_refills() -> None:
    clock = ManualClock()
    gate = FloodGate(clock, burst=2, per_second=1)
    assert [gate.admit() for _ in range(3)] == [True, True, False]
    clock.advance(1)
    assert [gate.admit() for _ in range(2)] == [True, False]


async def test_the_window_waits_for_credit_and_numbers_bare_events_downwards() -> None:
    window = Window(2)
    assert [window.open(None), window.open(None)] == [-1, -2]
    waiting = asyncio.create_task(window.has_room())
    await asyncio.sleep(0)
    assert not waiting.done()
    window.close(-1, credits=2)
    await eventually(waiting.done)
    assert window.unacked == [-2]
    assert window.open(5) == 5
    assert 5 in window


def client_frame(payload: bytes, masked: bool = True) -> bytes:
    length = len(payload)
    if length < 126:
        sized = bytes([length])
    elif length < 65_536:
        sized = b"\x7e" + struct.pack("!H", length)
    else:
        sized = b"\x7f" + struct.pack("!Q", length)
    if masked:
        sized = bytes([sized[0] | 0x80]) + sized[1:] + b"mask"
    return b"\x81" + sized + payload


@given(
    sizes=st.lists(st.sampled_from([0, 1, 125, 126, 127, 300, 65_535, 65_536, 70_000]), max_size=5),
    step=st.integers(1, 4000),
    unmasked=st.booleans(),
)
def test_line_30_the_mask_guard_follows_frames_in_any_pieces(sizes: list[int], step: int, unmasked: bool) -> None:
    data = b"".join(client_frame(b"\x00" * size) for size in sizes)
    if unmasked:
        data += client_frame(b"{}", masked=False)
    guard = MaskGuard()
    verdicts = [guard.admit(data[start : start + step]) for start in range(0, len(data), step)]
    assert all(verdicts) is not unmasked


def test_a_frame_is_passed_on_as_it_came() -> None:
    text = '{"type":"events", "seq":1, "events":[{"n":1.50}]}'
    frame = parse_frame(text)
    assert isinstance(frame, Events)
    assert frame.json == text.encode()
    assert orjson.loads(frame.json)["seq"] == 1
