import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obc_ingest.bad_rows import bad_row
from obc_ingest.model import Rejected
from obc_ingest.scrub import REDACTED, is_sensitive_key, scrub_event, scrub_object, scrub_text, scrub_value
from tests.support.valid_event import valid_event

CARD = "4111111111111111"


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "user_password",
        "userPassword",
        "PASSWORD",
        "pwd",
        "token",
        "access_token",
        "accessToken",
        "csrfToken",
        "authorization",
        "Authorization",
        "email",
        "userEmail",
        "e-mail",
        "ssn",
        "card",
        "card_number",
        "cardNumber",
        "credit_card",
        "api_key",
        "X-Api-Key",
        "client_secret",
        "cvv",
        "billing.email",
    ],
)
def test_keys_that_hold_personal_or_secret_values_are_known(key: str) -> None:
    assert is_sensitive_key(key)


@pytest.mark.parametrize(
    "key",
    [
        "plan",
        "page_title",
        "card_type",
        "card_view",
        "email_verified",
        "token_count",
        "tokens",
        "author",
        "keyboard",
        "discard",
        "mailbox",
        "map_pan",
        "password_strength",
        "",
        "$",
        "ключ",
    ],
)
def test_keys_that_only_sound_like_it_are_left_alone(key: str) -> None:
    assert not is_sensitive_key(key)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("write to anna.b+c@mail.example.org now", f"write to {REDACTED} now"),
        ("https://x.example/?q=1&email=a%40b.example", f"https://x.example/?q=1&email={REDACTED}"),
        ("https://x.example/?who=a%40b.example&x=2", f"https://x.example/?who={REDACTED}&x=2"),
        ("https://x.example/#access_token=abc&state=1", f"https://x.example/#access_token={REDACTED}&state=1"),
        ("https://x.example/reset?token=abc", f"https://x.example/reset?token={REDACTED}"),
        ("https://anna:pw@x.example/", "https://x.example/"),
        (CARD, REDACTED),
        ("card 4111 1111 1111 1111, thanks", f"card {REDACTED}, thanks"),
        ("4111-1111-1111-1111", REDACTED),
        ("4111 1111 1111 1111 12/29", f"{REDACTED} 12/29"),
        ("5500005555555559", REDACTED),
        ("378282246310005", REDACTED),
    ],
)
def test_personal_data_in_text_is_redacted(text: str, clean: str) -> None:
    assert scrub_text(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello @anna",
        "4111111111111112",
        "1700000000000",
        "1700000000000000",
        "41111111-1111-4111-8111-111111111111",
        "v4.111111111111111",
        "https://x.example/?utm_source=mail&page=2",
        "a=b?",
    ],
)
def test_what_is_none_of_it_stays(text: str) -> None:
    assert scrub_text(text) == text


def test_nested_values_are_reached_and_the_rest_is_not_copied() -> None:
    untouched = {"a": [1, 2.5, None, {"b": "x"}]}
    assert scrub_object(untouched) is untouched

    dirty = {"a": [{"password": "x"}, "a@b.example"], "card": {"number": 1}, "email": None, "n": int(CARD)}

    assert scrub_object(dirty) == {
        "a": [{"password": REDACTED}, REDACTED],
        "card": REDACTED,
        "email": None,
        "n": REDACTED,
    }
    assert dirty["email"] is None
    assert dirty["card"] == {"number": 1}, "the original is not changed"


@pytest.mark.parametrize(
    "text", ["a" * 8192 + "@", "a@" * 4096, "4" * 8192, "4 " * 4096, "?a=" * 2700, "://" + "a" * 8000]
)
def test_hostile_text_takes_no_time(text: str) -> None:
    started = time.perf_counter()
    scrub_text(text)
    assert time.perf_counter() - started < 0.1


@given(st.text())
def test_scrubbing_twice_changes_nothing_more(text: str) -> None:
    once = scrub_value(text)

    assert scrub_value(once) == once


def row_of(raw: object, *, minimal: bool = False) -> tuple[dict[str, object], bool]:
    row = bad_row(raw, Rejected("bad_event_id", "event_id", "no"), "t", 1, "js/1", minimal=minimal)
    assert len(row.body) <= 65_536
    return (orjson.loads(row.body) if not row.truncated or len(row.body) < 65_536 else {}), row.truncated


addresses = st.sampled_from(["https://x.example/a", "https://x.example/?token=t", "https://x.example/?m=a@b.example"])


@given(st.lists(addresses | st.text(max_size=300), max_size=20))
def test_addresses_that_come_again_are_scrubbed_as_they_were_the_first_time(visited: list[str]) -> None:
    for address in [*visited, *visited]:
        event = valid_event(page_url=address, referrer=address)
        changed = scrub_event(event)
        assert event.page_url == event.referrer == scrub_text(address)
        assert changed == (scrub_text(address) != address)


def test_more_addresses_than_are_remembered_are_scrubbed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obc_ingest.scrub._MOST_REMEMBERED", 3)
    for number in range(20):
        event = valid_event(page_url=f"https://x.example/{number}", referrer=f"https://x.example/{number}?token=t")
        scrub_event(event)
        assert event.page_url == f"https://x.example/{number}"
        assert event.referrer == f"https://x.example/{number}?token={REDACTED}"


def test_a_bad_row_is_scrubbed_too_and_keeps_no_user_agent() -> None:
    body, truncated = row_of({"user_agent": "Mozilla", "properties": {"email": "a@b.example", "x": "a@b.example"}})

    assert body == {"user_agent": REDACTED, "properties": {"email": REDACTED, "x": REDACTED}}
    assert not truncated


def test_a_bad_row_of_a_minimal_tenant_keeps_what_a_good_one_would() -> None:
    body, _ = row_of({"event_id": "x", "user_id": "anna", "properties": {"a": 1}, "session_id": "s"}, minimal=True)

    assert body == {"event_id": "x", "session_id": "s"}


@pytest.mark.parametrize("raw", [{"event_id": "anna@shop.example"}, {"properties": {"anna@shop.example": 1}}])
def test_a_bad_row_names_nobody_in_its_id_its_field_its_message_or_its_keys(raw: dict[str, object]) -> None:
    bad = Rejected("int_range", "properties.anna@shop.example", "too large: anna@shop.example")
    row = bad_row(raw, bad, "t", 1, "js/1", minimal=False)

    assert "anna" not in row.event_id + row.field + row.message + row.body.decode()
    assert row.field == REDACTED


def test_a_bad_row_keeps_no_address_of_the_client() -> None:
    body, _ = row_of({"ip": "203.0.113.9", "client_ip": "203.0.113.9", "properties": {"ip": "left to the tenant"}})

    assert body == {"ip": REDACTED, "client_ip": REDACTED, "properties": {"ip": "left to the tenant"}}


def test_a_bad_row_is_bounded_whatever_it_is() -> None:
    deep: object = 1
    for _ in range(900):
        deep = [deep]
    started = time.perf_counter()

    for monster in (
        deep,
        {"a": "x" * 4_000_000},
        list(range(1_000_000)),
        {str(n): "x" * 100 for n in range(40_000)},
        {"k" * 4_000_000: 1},
    ):
        assert row_of(monster)[1] is True

    assert time.perf_counter() - started < 1.0


@pytest.mark.parametrize("raw", [None, 5, "a\0b", [], {"event_id": "\0"}, {"a": "\0"}])
def test_a_bad_row_has_no_nul_outside_its_body(raw: object) -> None:
    row = bad_row(raw, Rejected("c", "f\0", "m\0"), "t", 1, "s\0", minimal=False)

    assert "\0" not in row.field + row.message + row.sdk + row.event_id
