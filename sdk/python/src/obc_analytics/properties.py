"""Custom properties: checked while the caller still knows what it did, and encoded once.

Encoding at the call also takes a snapshot: a dictionary that the host changes afterwards changes no event.
"""

import json
from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any
from uuid import UUID

from obc_analytics.errors import InvalidEvent

MAX_KEYS = 256
MAX_KEY_LENGTH = 128
MAX_DEPTH = 8
MAX_STRING_BYTES = 8 * 1024
MAX_SAFE_INTEGER = 2**53


def encode_properties(properties: Mapping[str, Any] | None) -> bytes:
    """The JSON object, compact UTF-8; empty for none.

    Besides JSON's own types: datetime and date (RFC 3339), UUID and Enum (its value).

    Raises:
        InvalidEvent: naming the property.
    """
    if not properties:
        return b""
    if not isinstance(properties, Mapping):
        raise InvalidEvent("properties", "must be a dictionary")
    plain = _Reader().read_object(properties, "properties", 1)
    text = json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidEvent("properties", "contains a lone surrogate, which is no text") from None


class _Reader:
    """Makes plain JSON values of one event's properties."""

    def __init__(self) -> None:
        self._keys_left = MAX_KEYS

    def read_object(self, value: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
        """An object and what is in it."""
        self._check_depth(depth)
        self._keys_left -= len(value)
        if self._keys_left < 0:
            raise InvalidEvent("properties", f"may have at most {MAX_KEYS} keys, nested ones included")
        plain = {}
        for key, item in value.items():
            if not isinstance(key, str) or "\0" in key:
                raise InvalidEvent(path, f"keys must be text without NUL, this one is {key!r:.60}")
            if len(key) > MAX_KEY_LENGTH:
                raise InvalidEvent(path, f"a key may have at most {MAX_KEY_LENGTH} characters: {key[:40]}...")
            plain[key] = self._value(item, f"{path}.{key}", depth)
        return plain

    def _value(self, value: Any, path: str, depth: int) -> Any:
        if isinstance(value, Enum):
            value = value.value
        if isinstance(value, str):
            return _text(value, path)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            # Also refuses NaN and the infinities, which compare as outside of every range.
            if not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
                raise InvalidEvent(path, "a number must be finite and at most 2^53 in magnitude; send it as a string")
            return value
        if isinstance(value, datetime | date):
            return value.isoformat()
        if isinstance(value, UUID):
            return str(value)
        if isinstance(value, Mapping):
            return self.read_object(value, path, depth + 1)
        if isinstance(value, list | tuple):
            self._check_depth(depth + 1)
            return [self._value(item, path, depth + 1) for item in value]
        raise InvalidEvent(path, f"a {type(value).__name__} is no JSON value; convert it")

    def _check_depth(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise InvalidEvent("properties", f"may be at most {MAX_DEPTH} deep")


def _text(value: str, path: str) -> str:
    if len(value) > MAX_STRING_BYTES or len(value.encode(errors="replace")) > MAX_STRING_BYTES:
        raise InvalidEvent(path, f"a string may have at most {MAX_STRING_BYTES} bytes")
    return value
