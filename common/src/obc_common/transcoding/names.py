"""How a proto field is called in JSON: snake_case, unless the proto gives it a `json_name` of its own."""

from collections.abc import Mapping
from functools import cache

from google.protobuf.descriptor import Descriptor, EnumDescriptor, EnumValueDescriptor, FieldDescriptor

JSON_BYTES_SUFFIX = "_json"


def _default_json_name(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


@cache
def json_key(field: FieldDescriptor) -> str:
    """The field's name in JSON: its explicit `json_name` (`from`, `timestamp`), otherwise its snake_case name.

    A descriptor always has a json_name; it was written by hand when it differs from the camelCase that protoc derives.
    """
    return field.name if field.json_name == _default_json_name(field.name) else field.json_name


@cache
def fields_by_key(message: Descriptor) -> Mapping[str, FieldDescriptor]:
    """Every name a client may use for a field of `message`: its JSON key and its proto name."""
    accepted = {field.name: field for field in message.fields}
    accepted.update({json_key(field): field for field in message.fields})
    return accepted


def is_raw_json(field: FieldDescriptor) -> bool:
    """True for `bytes *_json`: the bytes are JSON already and are embedded as they are."""
    return field.type == FieldDescriptor.TYPE_BYTES and field.name.endswith(JSON_BYTES_SUFFIX)


def message_type(field: FieldDescriptor) -> Descriptor:
    """The message type of a message field."""
    assert field.message_type is not None
    return field.message_type


def enum_type(field: FieldDescriptor) -> EnumDescriptor:
    """The enum type of an enum field."""
    assert field.enum_type is not None
    return field.enum_type


@cache
def enum_prefix(enum: EnumDescriptor) -> str:
    """The prefix that buf STANDARD demands of every value: `EventOutcome` -> `EVENT_OUTCOME_`."""
    spaced = "".join(f"_{letter}" if letter.isupper() else letter for letter in enum.name)
    return f"{spaced.lstrip('_').upper()}_"


@cache
def enum_text(value: EnumValueDescriptor) -> str:
    """An enum value in JSON: lower case, without the prefix (`EVENT_OUTCOME_ACCEPTED` -> `accepted`)."""
    return value.name.removeprefix(enum_prefix(value.type)).lower()
