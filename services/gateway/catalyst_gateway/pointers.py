"""Where in a body a violation points: the contract's path of a field as a JSON pointer (RFC 6901) into what was sent.

Violations name fields by the contract, `spec.control_plane.count`, over gRPC and REST alike, and REST takes these names wherever
it takes a field. JSON as we send it spells them in camelCase (proto3 JSON), and a body may be one field of the request, so beside
the name stands the pointer, as RFC 9457 has it: `#/spec/controlPlane/count`.
"""

import re
from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from .routes import Route

_STEP = re.compile(r"(?:^|\.)([A-Za-z_][A-Za-z0-9_]*)|\[(?:(\d+)|\"([^\"]*)\")\]")
_FREE = frozenset({"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"})
"""Kinds whose inside has names of its own."""


def pointer(route: Route, path: str) -> str:
    """The pointer to a field, `#/…`; empty where it is not in the body: in path or query, or no field of the contract."""
    steps = _split(path)
    if not route.body or path in route.variables or not steps:
        return ""
    if route.body != "*":
        if steps[0] != route.body:
            return ""
        kind = route.method.input_type.fields_by_name[route.body].message_type
        steps = steps[1:]
    else:
        kind = route.method.input_type
    spelled = list(_spelled(kind, steps))
    if len(spelled) != len(steps):
        return ""
    return "#" + "".join(f"/{one.replace('~', '~0').replace('/', '~1')}" for one in spelled)


def _split(path: str) -> list[str]:
    """`a.b[0]["k"]` in its parts; empty where it is written another way."""
    found, end = list[str](), 0
    for step in _STEP.finditer(path):
        if step.start() != end:
            return []
        end = step.end()
        found.append(next(part for part in step.groups() if part is not None))
    return found if end == len(path) else []


def _spelled(kind: Descriptor | None, steps: list[str]) -> Iterator[str]:
    """The steps as JSON spells them; fewer where one is no field."""
    field: FieldDescriptor | None = None
    for step in steps:
        if kind is not None and kind.full_name in _FREE:
            yield step
        elif field is not None and field.is_repeated:  # which row, or which key
            if not (step.isdecimal() or _is_map(field)):
                return
            yield step
            field = None
        else:
            field = _field(kind, step) if kind is not None else None
            if field is None:
                return
            yield field.json_name
            kind = field.message_type
            if kind is not None and _is_map(field):
                kind = kind.fields_by_name["value"].message_type


def contract_path(kind: Descriptor, path: str) -> str:
    """A path by the contract's names, of one that the parser of JSON wrote by those of JSON; what is no field stays as it is."""
    steps = path.split(".")
    level: Descriptor | None = kind
    for n, step in enumerate(steps):
        name, bracket, place = step.partition("[")
        field = _field(level, name) if level is not None else None
        if field is None:
            break
        steps[n] = f"{field.name}{bracket}{place}"
        level = field.message_type
    return ".".join(steps)


def _field(kind: Descriptor, name: str) -> FieldDescriptor | None:
    """By the contract's name, or by that of JSON, which the parser of JSON tells."""
    return kind.fields_by_name.get(name) or kind.fields_by_camelcase_name.get(name)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry
