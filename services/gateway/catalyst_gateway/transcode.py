"""Between JSON over HTTP and protobuf messages, by the mapping of proto3 JSON. Every fault of a request at once."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from catalyst_mesh.errors import InvalidRequest
from catalyst_sdk import Code, Refused, Violation
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from . import complaints
from .pointers import contract_path
from .routes import Route

_INTEGERS = {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64}
_INTEGERS |= {FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64}


class BodyUnreadable(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "BODY_INVALID", "the body cannot be read as JSON: {why}"


def to_request(route: Route, variables: Mapping[str, str], query: Iterable[tuple[str, str]], body: bytes) -> Message:
    """The request message of a call. Raises BodyUnreadable or InvalidRequest."""
    wish: dict[str, Any] = {}
    if route.body == "*":
        wish = object_of(body)
    elif route.body:
        wish = {route.body: object_of(body)}
    elif body.strip():
        raise BodyUnreadable(why="this method takes none")
    faults: list[Violation] = []
    for path, value in query:
        _place(wish, route.method.input_type, path, value, faults)
    for path, value in variables.items():
        _place(wish, route.method.input_type, path, value, faults)
    return _parse(wish, route.method.input_type, faults)


def to_json(message: Message) -> str:
    """A message as JSON, fields without a value included, so that clients need not guess."""
    return json_format.MessageToJson(message, always_print_fields_with_no_presence=True, indent=None)


def object_of(body: bytes) -> dict[str, Any]:
    """The JSON object that a body is; an empty body is an empty one. Raises BodyUnreadable."""
    if not body.strip():
        return {}
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise BodyUnreadable(why="it is nested too deeply") from error
    except ValueError as error:
        raise BodyUnreadable(why=str(error)) from error
    if not isinstance(value, dict):
        raise BodyUnreadable(why="an object is expected")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _parse(wish: dict[str, Any], kind: Descriptor, faults: list[Violation]) -> Message:
    message: Message = GetMessageClass(kind)()
    try:
        json_format.ParseDict(wish, message)
    except json_format.ParseError as error:
        said = complaints.violation(str(error), wish)
        faults.append(replace(said, field=contract_path(kind, said.field)))
    if faults:
        raise InvalidRequest(tuple(faults))
    return message


_INTEGER = re.compile(r"-?[0-9]{1,20}")
"""What may fit into 64 bits; `int` itself raises for thousands of digits, and for digits such as `²`."""


def _place(wish: dict[str, Any], kind: Descriptor, path: str, value: str, faults: list[Violation]) -> None:
    """Put a value of the path or the query where `path` says."""
    *parents, last = path.split(".")
    here, level = wish, kind
    for name in parents:
        field = _field(level, name)
        if field is None or field.message_type is None:
            faults.append(Violation(path, "there is no such field", "query"))
            return
        here, level = here.setdefault(field.name, {}), field.message_type
    field = _field(level, last)
    if field is None:
        faults.append(Violation(path, "there is no such field", "query"))
    elif field.is_repeated:
        here.setdefault(field.name, []).append(_typed(field, value))
    else:
        here[field.name] = _typed(field, value)


def _field(kind: Descriptor, name: str) -> FieldDescriptor | None:
    return kind.fields_by_name.get(name) or kind.fields_by_camelcase_name.get(name)


def _typed(field: FieldDescriptor, value: str) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return {"true": True, "false": False}.get(value.lower(), value)
    if field.cpp_type in _INTEGERS and _INTEGER.fullmatch(value):
        return int(value)
    return value
