"""OpenAPI 3.1 (its schemas are JSON Schema 2020-12), made from the same descriptors that answer the requests."""

import json
import re
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from . import names, own, registrars, words
from .bodies import schema
from .names import Path
from .routes import Route, Routes
from .schemas import WELL_KNOWN, Schemas, comments, reference

_VARIABLE = re.compile(r"\{([a-z_.]+)(?:=([^}]*))?\}")


def document(routes: Routes) -> bytes:
    """The description of every route."""
    schemas = Schemas(comments(), {"Problem": _PROBLEM})
    paths: dict[str, Any] = {}
    tags: dict[str, str] = dict(words.TAGS)
    for one in routes.all:
        path, variables = _path(one.template)
        paths.setdefault(path, {})[one.verb.lower()] = _operation(one, variables, schemas)
        service = one.method.containing_service
        tags.setdefault(service.name, schemas.said.get(service.full_name, ""))
    for tag, written in (("Names", names.PATHS), ("Registrars", registrars.PATHS), ("Gateway", own.PATHS)):
        for by_hand in written:
            paths.setdefault(by_hand.template, {})[by_hand.verb.lower()] = _by_hand(by_hand, tag)
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "Catalyst",
            "version": "0.1.0",
            "description": words.INFO,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name, "description": text} for name, text in sorted(tags.items())],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.found.items())),
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


def _operation(one: Route, names: list[str], schemas: Schemas) -> dict[str, Any]:
    method = one.method
    answer = {"text/event-stream": {}} if method.server_streaming else _json(method.output_type, schemas)
    operation: dict[str, Any] = {
        "operationId": _operation_id(one, method),
        "tags": [method.containing_service.name],
        **_told(schemas.said.get(method.full_name, "")),
        "parameters": [*_in_path(one, names, schemas)],
        "responses": {
            "200": {"description": "The answer", "content": answer},
            "default": {
                "description": "A problem (RFC 9457)",
                "content": {"application/problem+json": {"schema": reference("Problem")}},
            },
        },
    }
    if one.body:
        kind = method.input_type if one.body == "*" else method.input_type.fields_by_name[one.body].message_type
        operation["requestBody"] = {"required": True, "content": _json(kind, schemas)}
    if one.body != "*":
        operation["parameters"] += _query(one, schemas)
    return operation


def _told(comment: str) -> dict[str, str]:
    """A comment as title and text of an operation: its first sentence, and all of it, errors and roles on lines of their own."""
    if not comment:
        return {}
    first = re.split(r"(?<=[^.][.])\s", comment, maxsplit=1)[0]
    return {"summary": first.rstrip("."), "description": re.sub(r" (?=(Errors|Roles?): |Since \d)", "\n\n", comment)}


def _in_path(one: Route, names: list[str], schemas: Schemas) -> Iterator[dict[str, Any]]:
    """Parts of the names in the path: what is said of the field that they are a part of."""
    fields = one.method.input_type.fields_by_name
    told = [fields[word.split(".")[0]].full_name for word in one.variables if word.split(".")[0] in fields]
    for name in names:
        part = {"description": f"Part of the path. {schemas.said.get(told[0], '')}".rstrip()} if told else {}
        yield {"name": name, "in": "path", "required": True, **part, "schema": {"type": "string"}}


def _by_hand(one: Path, tag: str) -> dict[str, Any]:
    """A path whose body is written by hand; the answer is an object, with the fields that the specification names."""
    variables = [found[1] for found in _VARIABLE.finditer(one.template)]
    text = {"type": "string"}
    in_path = [{"name": name, "in": "path", "required": True, "schema": text} for name in variables]
    in_query = [{"name": name, "in": "query", "description": words.QUERIES[name], "schema": text} for name in one.query]
    kind = "text/event-stream" if one.handler == "events" else "application/json"
    answer = {"description": "The answer", "content": {kind: {"schema": {"type": "object"}} if "json" in kind else {}}}
    problem = {"application/problem+json": {"schema": reference("Problem")}}
    statuses = {one.status, 200} if one.handler == "commit" else {one.status}
    operation: dict[str, Any] = {
        "operationId": f"{tag.lower()}.{one.handler}",
        "tags": [tag],
        **_told(words.BY_HAND[f"{tag.lower()}.{one.handler}"]),
        "parameters": [*in_path, *in_query],
        "responses": {
            **{str(status): answer for status in sorted(statuses)},
            "default": {"description": "A problem (RFC 9457)", "content": problem},
        },
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


def _query(one: Route, schemas: Schemas) -> list[dict[str, Any]]:
    taken = {*(variable.split(".")[0] for variable in one.variables), one.body}
    plain = [f for f in one.method.input_type.fields if f.name not in taken and not _is_deep(f)]
    return [{"name": f.camelcase_name, "in": "query", **_apart(schemas.of_field(f))} for f in plain]


def _apart(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter's description stands beside its schema."""
    text = {"description": schema["description"]} if "description" in schema else {}
    return {**text, "schema": {key: value for key, value in schema.items() if key != "description"}}


def _is_deep(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.full_name not in WELL_KNOWN


def _json(kind: Descriptor | None, schemas: Schemas) -> dict[str, Any]:
    return {"application/json": {"schema": schemas.of(kind) if kind else {}}}


_VIOLATION = {
    "type": "object",
    "required": ["field", "description", "rule"],
    "properties": {
        "field": {
            "type": "string",
            "description": "The field by its name in the contract, as over gRPC; REST takes it by this name too.",
        },
        "description": {"type": "string"},
        "rule": {"type": "string"},
        "pointer": {
            "type": "string",
            "description": "Where it stands in the body that was sent (RFC 6901); absent where it stands elsewhere.",
        },
    },
}
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
        "violations": {"type": "array", "items": _VIOLATION},
        "traceId": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    },
}
