"""The text of keys, and signed page tokens."""

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obc_common import page_tokens
from obc_common.errors import InvalidArgument
from obc_common.keys import KeyKind, generate_key, key_hint, key_kind, key_sha256

KINDS: list[KeyKind] = ["write", "secret", "operator"]
BASE62 = string.digits + string.ascii_letters


@pytest.mark.parametrize("kind", KINDS)
class TestKeys:
    def test_a_generated_key_is_recognised(self, kind: KeyKind) -> None:
        text = generate_key(kind)
        assert key_kind(text) == kind
        assert len(key_sha256(text)) == 32

    def test_no_two_keys_are_alike(self, kind: KeyKind) -> None:
        assert len({generate_key(kind) for _ in range(1000)}) == 1000

    def test_any_changed_character_is_noticed_without_a_lookup(self, kind: KeyKind) -> None:
        text = generate_key(kind)
        start = len("wk_live_")
        for position in range(start, len(text)):
            if text[position] == "_":
                continue
            for other in (BASE62[(BASE62.index(text[position]) + step) % 62] for step in (1, 17)):
                assert key_kind(text[:position] + other + text[position + 1 :]) is None

    def test_swapped_prefixes_and_surroundings_are_noticed(self, kind: KeyKind) -> None:
        text = generate_key(kind)
        for wrong in (text + "\n", " " + text, text[:-1], text + "0", text.upper(), text.replace("live", "test")):
            assert key_kind(wrong) is None
        for prefix in ("wk", "sk", "ok"):
            if not text.startswith(prefix):
                assert key_kind(prefix + text[2:]) is None

    def test_a_hint_shows_no_secret(self, kind: KeyKind) -> None:
        text = generate_key(kind)
        assert key_hint(text) == (text if kind == "write" else text[:16])


@given(st.text(max_size=200))
def test_no_other_text_is_a_key(text: str) -> None:
    assert key_kind(text) is None


def test_the_hint_of_what_is_no_key_is_refused() -> None:
    with pytest.raises(ValueError, match="not the text of a key"):
        key_hint("wk_live_nonsense")


SECRET = "s" * 32
POSITIONS = st.lists(st.one_of(st.integers(-(2**53), 2**53), st.text(max_size=40), st.none(), st.booleans()))


class TestPageTokens:
    @given(st.text(max_size=50), POSITIONS)
    def test_a_token_gives_its_position_back(self, binding: str, position: list[object]) -> None:
        token = page_tokens.encode(SECRET, binding, position)
        assert set(token) <= set(BASE62 + "-_")
        assert page_tokens.decode(SECRET, binding, token) == position

    @pytest.mark.parametrize(
        ("secret", "binding"), [("t" * 32, "List/a"), (SECRET, "List/b"), (SECRET, "List/a "), (SECRET, "")]
    )
    def test_a_token_is_good_for_its_own_call_only(self, secret: str, binding: str) -> None:
        token = page_tokens.encode(SECRET, "List/a", [1])
        with pytest.raises(InvalidArgument) as refused:
            page_tokens.decode(secret, binding, token)
        assert (refused.value.reason, refused.value.field) == ("BAD_PAGE_TOKEN", "page_token")

    def test_every_changed_byte_is_noticed(self) -> None:
        token = page_tokens.encode(SECRET, "List/a", ["event", 7])
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        for position in range(len(raw)):
            changed = raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]
            with pytest.raises(InvalidArgument):
                page_tokens.decode(SECRET, "List/a", base64.urlsafe_b64encode(changed).decode().rstrip("="))

    @given(st.one_of(st.text(max_size=60), st.just("A" * 5000)))
    def test_any_other_text_is_refused_alike(self, text: str) -> None:
        with pytest.raises(InvalidArgument) as refused:
            page_tokens.decode(SECRET, "List/a", text)
        assert refused.value.reason == "BAD_PAGE_TOKEN"
