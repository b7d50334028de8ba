"""Signed page tokens for keyset paging (AIP-158): opaque, tied to the call they came from, never an authorisation.

A token is base64url(MAC || JSON of the position). The MAC covers the binding as well, so that a token answered for one
method and one set of arguments is refused by every other.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any

import orjson

from obc_common.errors import InvalidArgument

_MAC_BYTES = 16
_MAX_TOKEN_CHARS = 4096
_PURPOSE = b"obc.page_token.v1\x00"


def encode(secret: str, binding: str, position: list[Any]) -> str:
    """Makes the token of the page that begins after a position.

    Args:
        secret: the suite's internal secret; every replica has the same.
        binding: the method and the arguments that the next call must repeat, e.g. `ListKeys/<tenant>`.
        position: the sort key of the last row answered: JSON values only.

    Returns:
        URL-safe text without padding.
    """
    payload = orjson.dumps(position)
    return base64.urlsafe_b64encode(_mac(secret, binding, payload) + payload).rstrip(b"=").decode()


def decode(secret: str, binding: str, token: str) -> list[Any]:
    """Gives back the position that `encode` was given.

    Raises:
        InvalidArgument: `BAD_PAGE_TOKEN` on `page_token`, when the token was changed, comes from other arguments, or
            is none.
    """
    if not token or len(token) > _MAX_TOKEN_CHARS:
        raise _bad_token()
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):  # ValueError: a character outside ASCII
        raise _bad_token() from None
    mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(secret, binding, payload)):
        raise _bad_token()
    position = orjson.loads(payload)
    assert isinstance(position, list)  # we signed it, so we wrote it
    return position


def _mac(secret: str, binding: str, payload: bytes) -> bytes:
    # The binding is hashed to a fixed length, so no part of it can be taken for a part of the payload.
    signed = _PURPOSE + hashlib.sha256(binding.encode()).digest() + payload
    return hmac.digest(secret.encode(), signed, "sha256")[:_MAC_BYTES]


def _bad_token() -> InvalidArgument:
    return InvalidArgument(
        "BAD_PAGE_TOKEN",
        "The page token is not valid for this call. Start again from the first page.",
        field="page_token",
    )
