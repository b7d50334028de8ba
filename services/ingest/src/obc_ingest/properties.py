"""One pass over an event's custom properties: depth, keys, sizes, number range; NUL characters where there are any."""

from typing import Any

from obc_ingest.limits import Limits
from obc_ingest.model import Rejected

MAX_SAFE_INTEGER = 2**53
"""Beyond it a double skips integers, and orjson has made doubles of integers above 64 bits: refuse, never round."""


def check_properties(properties: dict[str, Any], limits: Limits) -> None:
    """Raises Rejected: too_deep, too_many_keys, key_too_long, too_long or int_range."""
    _check_object(properties, 1, limits.property_keys, limits)


def replace_nul(value: Any, path: str) -> Any:
    """A copy with U+FFFD for NUL in strings; PostgreSQL stores no NUL. Raises Rejected(nul_byte) for one in a key."""
    if type(value) is str:
        return value.replace("\0", "\ufffd")
    if type(value) is dict:
        for key in value:
            if "\0" in key:
                raise Rejected("nul_byte", path, "a property key contains a NUL character")
        return {key: replace_nul(item, path) for key, item in value.items()}
    if type(value) is list:
        return [replace_nul(item, path) for item in value]
    return value


def _check_object(value: dict[str, Any], depth: int, keys_left: int, limits: Limits) -> int:
    """Answers how many keys are left for the rest of the event."""
    if depth > limits.property_depth:
        raise Rejected("too_deep", "properties", f"properties may be at most {limits.property_depth} deep")
    keys_left -= len(value)
    if keys_left < 0:
        raise Rejected("too_many_keys", "properties", f"an event may have at most {limits.property_keys} property keys")
    key_length = limits.property_key_length
    for key, item in value.items():
        if len(key) > key_length:
            raise Rejected(
                "key_too_long", "properties", f"a property key may have at most {key_length} characters: {key[:40]}..."
            )
        kind = type(item)
        if kind is str:
            if len(item) * 4 > limits.string_bytes:
                _check_length(item, key, limits)
        elif kind is dict:
            keys_left = _check_object(item, depth + 1, keys_left, limits)
        elif kind is list:
            keys_left = _check_list(item, depth + 1, keys_left, limits, key)
        elif kind is int or kind is float:
            _check_number(item, key)
    return keys_left


def _check_list(value: list[Any], depth: int, keys_left: int, limits: Limits, key: str) -> int:
    if depth > limits.property_depth:
        raise Rejected("too_deep", "properties", f"properties may be at most {limits.property_depth} deep")
    for item in value:
        kind = type(item)
        if kind is str:
            if len(item) * 4 > limits.string_bytes:
                _check_length(item, key, limits)
        elif kind is dict:
            keys_left = _check_object(item, depth + 1, keys_left, limits)
        elif kind is list:
            keys_left = _check_list(item, depth + 1, keys_left, limits, key)
        elif kind is int or kind is float:
            _check_number(item, key)
    return keys_left


def _check_length(text: str, key: str, limits: Limits) -> None:
    if len(text) > limits.string_bytes or len(text.encode()) > limits.string_bytes:
        raise Rejected("too_long", f"properties.{key[:64]}", f"a string may have at most {limits.string_bytes} bytes")


def _check_number(number: float, key: str) -> None:
    if not -MAX_SAFE_INTEGER <= number <= MAX_SAFE_INTEGER:
        raise Rejected(
            "int_range", f"properties.{key[:64]}", "a number may be at most 2^53 in magnitude; send it as a string"
        )
