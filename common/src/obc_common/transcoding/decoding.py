"""Path, query and body of a REST request -> proto message. Whatever does not fit is a 400 that names the field."""

import base64
import binascii
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from obc_common.errors import InvalidArgument
from obc_common.transcoding.names import enum_text, enum_type, fields_by_key, is_raw_json

_INTEGER = re.compile(r"-?[0-9]{1,20}\Z", re.ASCII)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
# Messages may hold messages of their own kind (filters); this is deeper than any request that means something.
_MAX_DEPTH = 32
_FLOATS = (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`; an empty body is an empty object.

    Raises:
        InvalidArgument: BAD_ENCODING, BAD_JSON or NOT_OBJECT.
    """
    if not body.strip():
        return {}
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgument("BAD_ENCODING", "The body is not UTF-8.") from error
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidArgument("BAD_JSON", "The body is not valid JSON.") from error
    if not isinstance(parsed, dict):
        raise InvalidArgument("NOT_OBJECT", "The body must be a JSON object.")
    return parsed


def merge_body(message: Message, body: Mapping[str, Any]) -> None:
    """Sets the fields of `message` from a JSON object; null leaves a field unset.

    Raises:
        InvalidArgument: UNKNOWN_FIELD or BAD_FIELD, with the path of the field (`config.retention_days`); TOO_DEEP.
    """
    _merge_object(message, body, "", _MAX_DEPTH)


def _merge_object(message: Message, body: Mapping[str, Any], prefix: str, depth: int) -> None:
    if depth == 0:
        raise InvalidArgument("TOO_DEEP", f"A body is at most {_MAX_DEPTH} objects deep.", field=prefix[:64])
    known = fields_by_key(message.DESCRIPTOR)
    if unknown := sorted(name for name in body if name not in known):
        raise _unknown(f"{prefix}{unknown[0]}", [f"{prefix}{name}" for name in unknown])
    for name, value in body.items():
        if value is not None:
            _set(message, known[name], value, f"{prefix}{name}", depth)


def merge_query(message: Message, query: Iterable[tuple[str, str]]) -> None:
    """Sets the fields of `message` from query parameters, in order; a repeated field may be given several times.

    Raises:
        InvalidArgument: UNKNOWN_FIELD, BAD_FIELD or DUPLICATE_PARAMETER, naming the parameter.
    """
    known = fields_by_key(message.DESCRIPTOR)
    pairs = list(query)
    if unknown := sorted({name for name, _ in pairs if name not in known}):
        raise _unknown(unknown[0], unknown)
    seen: set[str] = set()
    for name, text in pairs:
        field = known[name]
        value = _from_text(field, text, name)
        if field.is_repeated:
            getattr(message, field.name).append(value)
        elif field.name in seen:
            raise InvalidArgument("DUPLICATE_PARAMETER", f"Parameter {name} is given twice.", field=name)
        else:
            setattr(message, field.name, value)
        seen.add(field.name)


def refuse_query(query: Iterable[str]) -> None:
    """A request whose body is the message has no query parameters. Raises InvalidArgument(UNKNOWN_FIELD)."""
    if names := sorted(set(query)):
        raise _unknown(names[0], names)


def merge_path(message: Message, variables: Mapping[str, str]) -> None:
    """Sets the fields bound in the path; they win over the body."""
    for name, text in variables.items():
        field = fields_by_key(message.DESCRIPTOR)[name]
        setattr(message, name, _from_text(field, text, name))


def _unknown(first: str, names: list[str]) -> InvalidArgument:
    listed = ", ".join(name[:64] for name in names[:10])
    return InvalidArgument("UNKNOWN_FIELD", f"Unknown field: {listed}.", field=first[:64], metadata={"fields": listed})


def _bad(path: str, wanted: str) -> InvalidArgument:
    return InvalidArgument("BAD_FIELD", f"{path} must be {wanted}.", field=path)


def _set(message: Message, field: FieldDescriptor, value: Any, path: str, depth: int) -> None:
    if field.is_repeated:
        if not isinstance(value, list):
            raise _bad(path, "an array")
        target = getattr(message, field.name)
        for index, item in enumerate(value):
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                _merge_message(target.add(), item, f"{path}[{index}]", depth)
            else:
                target.append(_from_json(field, item, f"{path}[{index}]"))
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        nested = getattr(message, field.name)
        nested.SetInParent()
        _merge_message(nested, value, path, depth)
    else:
        setattr(message, field.name, _from_json(field, value, path))


def _merge_message(message: Message, value: Any, path: str, depth: int) -> None:
    if message.DESCRIPTOR.full_name == "google.protobuf.ListValue":
        if not isinstance(value, list):
            raise _bad(path, "an array")
        try:
            message.extend(value)  # type: ignore[attr-defined]  # the well-known type's own method, unknown to Message
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise _bad(path, "an array of JSON values") from error
    elif isinstance(value, dict):
        _merge_object(message, value, f"{path}.", depth - 1)
    else:
        raise _bad(path, "an object")


def _from_json(field: FieldDescriptor, value: Any, path: str) -> Any:
    if is_raw_json(field):
        if not isinstance(value, dict):
            raise _bad(path, "an object")
        try:
            return orjson.dumps(value)
        except orjson.JSONEncodeError as error:  # it reads deeper than it writes
            raise InvalidArgument("TOO_DEEP", f"{path} has too many levels.", field=path) from error
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        if not isinstance(value, bool):
            raise _bad(path, "true or false")
        return value
    if kind in _RANGES:
        if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _bad(path, "an integer")
        return _in_range(field, value, path)
    if kind in _FLOATS:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise _bad(path, "a number")
        return float(value)
    if not isinstance(value, str):
        raise _bad(path, "a string")
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return _enum(field, value, path)
    return _base64(value, path) if field.type == FieldDescriptor.TYPE_BYTES else value


def _from_text(field: FieldDescriptor, text: str, path: str) -> Any:
    kind = field.cpp_type
    if field.type in (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_BYTES):
        raise _unknown(path, [path])  # cannot be written as a parameter, so it is not one
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        if text not in _BOOLEANS:
            raise _bad(path, "true or false")
        return _BOOLEANS[text]
    if kind in _RANGES:
        if not _INTEGER.match(text):
            raise _bad(path, "an integer")
        return _in_range(field, int(text), path)
    if kind in _FLOATS:
        try:
            number = float(text)
        except ValueError as error:
            raise _bad(path, "a number") from error
        if not math.isfinite(number):
            raise _bad(path, "a number")
        return number
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return _enum(field, text, path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:  # percent-encoded bytes that are not UTF-8 arrive as lone surrogates
        raise _bad(path, "UTF-8 text") from error
    return text


def _in_range(field: FieldDescriptor, value: int, path: str) -> int:
    low, high = _RANGES[field.cpp_type]
    if not low <= value <= high:
        raise _bad(path, f"between {low} and {high}")
    return value


def _enum(field: FieldDescriptor, text: str, path: str) -> int:
    for value in enum_type(field).values:
        if text in (enum_text(value), value.name):
            return value.number
    raise _bad(path, f"one of {', '.join(enum_text(value) for value in enum_type(field).values)}")


def _base64(text: str, path: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad(path, "base64") from error
