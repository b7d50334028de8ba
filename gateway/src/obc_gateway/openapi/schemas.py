"""JSON Schemas of proto messages, by the rules of `transcoding.encoding`."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from obc_common.transcoding.names import enum_text, enum_type, is_raw_json, json_key, message_type

Schema = dict[str, Any]

_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: "int32",
    FieldDescriptor.CPPTYPE_UINT32: "uint32",
    FieldDescriptor.CPPTYPE_INT64: "int64",
    FieldDescriptor.CPPTYPE_UINT64: "uint64",
}


class SchemaBook:
    """Collects the schemas of all messages that are referred to.

    Args:
        comments: descriptions by full proto name.
    """

    def __init__(self, comments: Mapping[str, str]) -> None:
        self._comments = comments
        self._names: dict[str, str] = {}
        self.schemas: dict[str, Schema] = {}

    def reference(self, message: Descriptor, *, answer: bool = False) -> Schema:
        """A `$ref` to the message's schema, which is added to the book.

        Args:
            message: the type.
            answer: true in an answer: there, every field without presence is always there.
        """
        if message.full_name == "google.protobuf.ListValue":
            return {"type": "array", "items": {}}
        name = f"{message.name}"
        owner = self._names.setdefault(name, message.full_name)
        if owner != message.full_name:
            raise ValueError(f"two messages are called {name}: {owner} and {message.full_name}")
        if name not in self.schemas:
            self.schemas[name] = {}  # before its fields: messages may be recursive
            self.schemas[name] = self._object(message, answer)
        return {"$ref": f"#/components/schemas/{name}"}

    def field(self, field: FieldDescriptor, *, answer: bool = False) -> Schema:
        """The schema of one field, with its comment."""
        one = self._single(field, answer)
        schema: Schema = {"type": "array", "items": one} if field.is_repeated else dict(one)
        if comment := self._comments.get(field.full_name):
            schema["description"] = comment
        return schema

    def describe(self, full_name: str) -> str:
        """The comment of anything."""
        return self._comments.get(full_name, "")

    def _object(self, message: Descriptor, answer: bool) -> Schema:
        schema: Schema = {
            "type": "object",
            "description": self.describe(message.full_name),
            "properties": {json_key(field): self.field(field, answer=answer) for field in message.fields},
        }
        if answer and (required := [json_key(field) for field in message.fields if not field.has_presence]):
            schema["required"] = required
        if not answer:
            schema["additionalProperties"] = False
        return schema

    def _single(self, field: FieldDescriptor, answer: bool) -> Schema:
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            return self.reference(message_type(field), answer=answer)
        if is_raw_json(field):
            return {"type": "object", "additionalProperties": True}
        if field.type == FieldDescriptor.TYPE_BYTES:
            return {"type": "string", "contentEncoding": "base64"}
        if field.type == FieldDescriptor.TYPE_ENUM:
            return {"type": "string", "enum": [enum_text(value) for value in enum_type(field).values]}
        if field.cpp_type in _INTEGERS:
            return {"type": "integer", "format": _INTEGERS[field.cpp_type]}
        if field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
            return {"type": "number"}
        return {"type": "boolean" if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL else "string"}
