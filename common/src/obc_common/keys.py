"""The text of API keys: how one is made, recognised and fingerprinted.

| kind | text | for |
|---|---|---|
| write | `wk_live_` + 22 random characters + checksum | browsers and apps: public, may only send events |
| secret | `sk_live_` + 8 for people + `_` + 43 random (256 bits) + checksum | servers: the scopes it was given |
| operator | `ok_live_` + likewise | whoever runs the suite |

Random characters are base62. The checksum is the CRC-32 of all that comes before it, as 6 base62 characters: a mistyped
or invented key is refused without a look-up, and secret scanners can tell a real key from text that looks like one.
The checksum is no security: that is the 131 or 256 random bits. 256 random bits need no slow hash (bcrypt and the like
protect guessable passwords), so SHA-256 is what is stored.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from typing import Final, Literal

KeyKind = Literal["write", "secret", "operator"]

MAX_KEY_CHARS: Final = 80
"""No key is longer; a longer text need not be looked at."""

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_CHECKSUM_CHARS: Final = 6  # 62 ** 6 > 2 ** 32
_PREFIX: Final[dict[KeyKind, str]] = {"write": "wk_live_", "secret": "sk_live_", "operator": "ok_live_"}
_SHAPE: Final[dict[KeyKind, re.Pattern[str]]] = {
    "write": re.compile(r"wk_live_[0-9A-Za-z]{28}"),
    "secret": re.compile(r"sk_live_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}"),
    "operator": re.compile(r"ok_live_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}"),
}


def generate_key(kind: KeyKind) -> str:
    """Makes the text of a new key from the operating system's random numbers."""
    random_part = _random(22) if kind == "write" else f"{_random(8)}_{_random(43)}"
    body = _PREFIX[kind] + random_part
    return body + _checksum(body)


def key_kind(text: str) -> KeyKind | None:
    """Says which kind of key a text is by its shape and checksum, or None when it can be no key."""
    if len(text) > MAX_KEY_CHARS:
        return None
    for kind, shape in _SHAPE.items():
        if shape.fullmatch(text):
            body, checksum = text[:-_CHECKSUM_CHARS], text[-_CHECKSUM_CHARS:]
            return kind if _checksum(body) == checksum else None
    return None


def key_sha256(text: str) -> bytes:
    """The 32 bytes under which a key is stored and looked up."""
    return hashlib.sha256(text.encode()).digest()


def key_hint(text: str) -> str:
    """What people recognise a key by: all of a write key (it is public), else the part before the secret.

    Raises:
        ValueError: the text is no key.
    """
    kind = key_kind(text)
    if kind is None:
        raise ValueError("not the text of a key")
    return text if kind == "write" else text[: len(_PREFIX[kind]) + 8]


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    rest, characters = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_CHARS):
        rest, digit = divmod(rest, 62)
        characters = _ALPHABET[digit] + characters
    return characters
