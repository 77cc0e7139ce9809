"""Messages of the contracts as JSON Schema 2020-12, in the form that they have as JSON, with what the contracts say of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

WELL_KNOWN: dict[str, dict[str, Any]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?\d+(\.\d+)?s$"},
    "google.protobuf.FieldMask": {"type": "string"},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": {},
    "google.protobuf.Any": {"type": "object"},
    "google.protobuf.Empty": {"type": "object"},
}
_F = FieldDescriptor
_SCALARS: dict[int, dict[str, Any]] = {
    _F.CPPTYPE_BOOL: {"type": "boolean"},
    _F.CPPTYPE_INT32: {"type": "integer", "format": "int32"},
    _F.CPPTYPE_UINT32: {"type": "integer", "minimum": 0},
    # proto3 JSON writes 64-bit numbers as strings, and reads both.
    _F.CPPTYPE_INT64: {"type": ["string", "integer"], "format": "int64"},
    _F.CPPTYPE_UINT64: {"type": ["string", "integer"], "format": "uint64"},
    _F.CPPTYPE_FLOAT: {"type": "number"},
    _F.CPPTYPE_DOUBLE: {"type": "number"},
}


def comments() -> Mapping[str, str]:
    """What the contracts say of each service, method, message, field, enum and value, by full name.

    Read for each description anew: it is asked for rarely, and the comments are as large as everything else that a gateway keeps.
    """
    found: Mapping[str, str] = json.loads(files("catalyst").joinpath("comments.json").read_text())
    return found


@dataclass
class Schemas:
    """The components of one description.

    said   what is said of each part, by full name; where nothing is, the schema is without a description
    """

    said: Mapping[str, str]
    found: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: Descriptor) -> dict[str, Any]:
        """A message; it and what it needs is added to `found`."""
        if kind.full_name in WELL_KNOWN:
            return WELL_KNOWN[kind.full_name]
        if kind.full_name not in self.found:
            self.found[kind.full_name] = shape = {"type": "object", **self.described(kind.full_name), "properties": {}}
            shape["properties"] = {f.camelcase_name: self.of_field(f) for f in kind.fields}
        return reference(kind.full_name)

    def of_field(self, field: FieldDescriptor) -> dict[str, Any]:
        """A field with what is said of it, and which side writes it (AIP-203)."""
        marks = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
        who = {"readOnly": True} if field_behavior_pb2.OUTPUT_ONLY in marks else {}
        return {**self._shape(field), **self.described(field.full_name), **who}

    def described(self, name: str) -> dict[str, Any]:
        """The description of what has this full name, as part of its schema."""
        return {"description": self.said[name]} if name in self.said else {}

    def _shape(self, field: FieldDescriptor) -> dict[str, Any]:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            return {"type": "object", "additionalProperties": self._one(field.message_type.fields_by_name["value"])}
        one = self._one(field)
        return {"type": "array", "items": one} if field.is_repeated else one

    def _one(self, field: FieldDescriptor) -> dict[str, Any]:
        if field.message_type is not None:
            return self.of(field.message_type)
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        if field.type == _F.TYPE_BYTES:
            return {"type": "string", "contentEncoding": "base64"}
        return _SCALARS.get(field.cpp_type, {"type": "string"})

    def _enum(self, kind: EnumDescriptor) -> dict[str, Any]:
        """One of several words, each with its meaning in the description."""
        if kind.full_name not in self.found:
            rows = [f"- `{one.name}`: {self.said.get(f'{kind.full_name}.{one.name}', '')}" for one in kind.values]
            told = self.said.get(kind.full_name)
            text = {"description": "\n".join([told, "", *rows])} if told else {}
            self.found[kind.full_name] = {"type": "string", "enum": [one.name for one in kind.values], **text}
        return reference(kind.full_name)


def reference(name: str) -> dict[str, Any]:
    """Where a component stands."""
    return {"$ref": f"#/components/schemas/{name}"}
