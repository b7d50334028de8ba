"""Proto message -> JSON, by encoders that are compiled once per message type.

The rules (contract section 5): snake_case keys, int64 and times as numbers, an integral double without a fraction, an
unset `optional` or message field absent, everything else always present, `bytes *_json` embedded, never NaN or
Infinity.
"""

import base64
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import orjson
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from obc_common.transcoding.names import enum_text, enum_type, is_raw_json, json_key, message_type

# Above this a double no longer holds every integer, so "integral" says nothing about the value that was meant.
_EXACT_DOUBLE = 2**53

_Convert = Callable[[Any], Any]


def encode_message(message: Message) -> bytes:
    """The JSON text of `message`, UTF-8."""
    return orjson.dumps(to_json(message))


def to_json(message: Message) -> dict[str, Any]:
    """The JSON object of `message`, ready for orjson (it may hold `orjson.Fragment`s)."""
    encoded: dict[str, Any] = {}
    for name, key, has_presence, convert in _plan(message.DESCRIPTOR):
        if has_presence and not message.HasField(name):
            continue
        encoded[key] = convert(getattr(message, name))
    return encoded


@cache
def _plan(descriptor: Descriptor) -> tuple[tuple[str, str, bool, _Convert], ...]:
    return tuple((field.name, json_key(field), field.has_presence, _converter(field)) for field in descriptor.fields)


def _converter(field: FieldDescriptor) -> _Convert:
    one = _single(field)
    if field.is_repeated:
        return lambda values: [one(value) for value in values]
    return one


def _single(field: FieldDescriptor) -> _Convert:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        if message_type(field).GetOptions().map_entry:
            raise TypeError(f"{field.full_name}: maps are not part of the REST contract")
        return _list_value if message_type(field).full_name == "google.protobuf.ListValue" else to_json
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return _number
    if field.type == FieldDescriptor.TYPE_ENUM:
        names = {value.number: enum_text(value) for value in enum_type(field).values}
        return lambda number: names.get(number, str(number))
    if is_raw_json(field):
        return lambda raw: orjson.Fragment(raw or b"{}")
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda raw: base64.b64encode(raw).decode("ascii")
    return lambda value: value


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) <= _EXACT_DOUBLE else value


def _list_value(value: Message) -> list[Any]:
    plain: Any = json_format.MessageToDict(value)  # an array for this well-known type, whatever the name says
    return [_number(item) if isinstance(item, float) else item for item in plain]
