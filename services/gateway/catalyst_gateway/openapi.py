"""OpenAPI 3.1 (its schemas are JSON Schema 2020-12), made from the same descriptors that answer the requests."""

import json
import re
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from . import names, own, registrars
from .bodies import schema
from .names import Path
from .routes import Route, Routes

_WELL_KNOWN: dict[str, dict[str, Any]] = {
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
_VARIABLE = re.compile(r"\{([a-z_.]+)(?:=([^}]*))?\}")


def document(routes: Routes) -> bytes:
    """The description of every route."""
    schemas: dict[str, Any] = {"Problem": _PROBLEM}
    paths: dict[str, Any] = {}
    for one in routes.all:
        path, variables = _path(one.template)
        paths.setdefault(path, {})[one.verb.lower()] = _operation(one, variables, schemas)
    for tag, written in (("Names", names.PATHS), ("Registrars", registrars.PATHS), ("Gateway", own.PATHS)):
        for by_hand in written:
            paths.setdefault(by_hand.template, {})[by_hand.verb.lower()] = _by_hand(by_hand, tag)
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "Catalyst",
            "version": "0.1.0",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
        "security": [{"bearer": []}],
    }
    return json.dumps(whole).encode()


def _path(template: str) -> tuple[str, list[str]]:
    """`/v1/{name=pools/*/allocations/*}:commit` as `/v1/pools/{pool}/allocations/{allocation}:commit`."""
    names: list[str] = []

    def expand(found: re.Match[str]) -> str:
        before, parts = "", []
        for segment in (found[2] or "*").split("/"):
            if segment in ("*", "**"):
                name = _unique((before.removesuffix("s") or found[1].split(".")[-1]).replace("-", "_"), names)
                names.append(name)
                parts.append(f"{{{name}}}")
            else:
                parts.append(segment)
            before = segment
        return "/".join(parts)

    return _VARIABLE.sub(expand, template), names


def _unique(name: str, taken: list[str]) -> str:
    return name if name not in taken else f"{name}_{len(taken)}"


def _operation(one: Route, names: list[str], schemas: dict[str, Any]) -> dict[str, Any]:
    method = one.method
    answer = {"text/event-stream": {}} if method.server_streaming else _json(method.output_type, schemas)
    operation: dict[str, Any] = {
        "operationId": _operation_id(one, method),
        "tags": [method.containing_service.name],
        "parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names],
        "responses": {
            "200": {"description": "The answer", "content": answer},
            "default": {
                "description": "A problem (RFC 9457)",
                "content": {"application/problem+json": _ref("Problem")},
            },
        },
    }
    if one.body:
        kind = method.input_type if one.body == "*" else method.input_type.fields_by_name[one.body].message_type
        operation["requestBody"] = {"required": True, "content": _json(kind, schemas)}
    if one.body != "*":
        operation["parameters"] += _query(one, schemas)
    return operation


def _by_hand(one: Path, tag: str) -> dict[str, Any]:
    """A path whose body is written by hand; the answer is an object, with the fields that the specification names."""
    variables = [found[1] for found in _VARIABLE.finditer(one.template)]
    text = {"type": "string"}
    in_path = [{"name": name, "in": "path", "required": True, "schema": text} for name in variables]
    in_query = [{"name": name, "in": "query", "schema": text} for name in one.query]
    kind = "text/event-stream" if one.handler == "events" else "application/json"
    answer = {"description": "The answer", "content": {kind: {"schema": {"type": "object"}} if "json" in kind else {}}}
    problem = {"description": "A problem (RFC 9457)", "content": {"application/problem+json": _ref("Problem")}}
    statuses = {one.status, 200} if one.handler == "commit" else {one.status}
    operation: dict[str, Any] = {
        "operationId": f"{tag.lower()}.{one.handler}",
        "tags": [tag],
        "parameters": [*in_path, *in_query],
        "responses": {**{str(status): answer for status in sorted(statuses)}, "default": problem},
    }
    if one.form:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema(one.form)}}}
    return operation


def _operation_id(one: Route, method: MethodDescriptor) -> str:
    main = one.template == _main_template(method)
    suffix = "" if main else "_" + re.sub(r"\W+", "_", one.template).strip("_")
    return f"{method.containing_service.full_name}.{method.name}{suffix}"


def _main_template(method: MethodDescriptor) -> str:
    from google.api import annotations_pb2

    rule = method.GetOptions().Extensions[annotations_pb2.http]
    return str(getattr(rule, str(rule.WhichOneof("pattern"))))


def _query(one: Route, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    taken = {*(variable.split(".")[0] for variable in one.variables), one.body}
    plain = [f for f in one.method.input_type.fields if f.name not in taken and not _is_deep(f)]
    return [{"name": f.camelcase_name, "in": "query", "schema": _field(f, schemas)} for f in plain]


def _is_deep(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.full_name not in _WELL_KNOWN


def _json(kind: Descriptor | None, schemas: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema_of(kind, schemas) if kind else {}}}


def _ref(name: str) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{name}"}}


def schema_of(kind: Descriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    """A message in its JSON form; it and what it needs is added to `schemas`."""
    if kind.full_name in _WELL_KNOWN:
        return _WELL_KNOWN[kind.full_name]
    if kind.full_name not in schemas:
        schemas[kind.full_name] = shape = {"type": "object", "properties": {}}
        shape["properties"] = {f.camelcase_name: _field(f, schemas) for f in kind.fields}
    return {"$ref": f"#/components/schemas/{kind.full_name}"}


def _field(field: FieldDescriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {"type": "object", "additionalProperties": _one(field.message_type.fields_by_name["value"], schemas)}
    one = _one(field, schemas)
    return {"type": "array", "items": one} if field.is_repeated else one


def _one(field: FieldDescriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None:
        return schema_of(field.message_type, schemas)
    if field.enum_type is not None:
        return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    if field.type == _F.TYPE_BYTES:
        return {"type": "string", "contentEncoding": "base64"}
    return _SCALARS.get(field.cpp_type, {"type": "string"})


_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "reason", "metadata", "violations", "traceId"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "reason": {"type": "string"},
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        "violations": {"type": "array", "items": {"type": "object"}},
        "traceId": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    },
}
