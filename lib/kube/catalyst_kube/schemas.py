"""Schemas of a kind: the structural one of its definition, and the strict one beside it.

An API server prunes what a structural schema does not know (KEP-2896); whoever mistypes a field would never hear of it. The
strict twin refuses it, in the linter, the command line and the controllers.
"""

import importlib.resources
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import re2

from .kind import Kind, Part, Rule

FREE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_KEPT = (
    "type",
    "description",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "default",
)  # fmt: skip - a list
"""What a structural schema may say, of what ours say."""


def definition(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind (apiextensions.k8s.io/v1)."""
    columns = [
        {
            "name": each.name,
            "type": each.type,
            "jsonPath": each.path,
            **({"priority": each.priority} if each.priority else {}),
        }
        for each in kind.columns
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.full_name, "labels": {"app.kubernetes.io/part-of": "catalyst"}},
        "spec": {
            "group": kind.group,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [name for name in kind.short if name != kind.plural],
                "categories": list(kind.categories),
            },
            "scope": kind.scope.value,
            "versions": [
                {
                    "name": kind.version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": structural(kind)},
                }
            ],
        },
    }  # fmt: skip - a document


@cache
def structural(kind: Kind) -> dict[str, Any]:
    """What an API server takes: structural, so without references and alternatives, and with the rules in CEL."""
    spec = _structural(_told(kind.spec))
    if kind.spec.model_config.get("extra") == "allow":
        spec["x-kubernetes-preserve-unknown-fields"] = True
    if kind.rules:
        spec["x-kubernetes-validations"] = [_validation(rule) for rule in kind.rules]
    whole: dict[str, Any] = {
        "description": (kind.spec.__doc__ or kind.name).strip(),
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": _structural(_told(kind.status)),
        },
    }  # fmt: skip - a document
    if kind.whole:
        whole["x-kubernetes-validations"] = [_validation(rule) for rule in kind.whole]
    return whole


@cache
def strict(kind: Kind) -> dict[str, Any]:
    """JSON Schema 2020-12 of a whole object, in which an unknown field is a mistake."""
    spec = _blueprint_spec() if kind.name == "Blueprint" else _without_null(kind.spec.model_json_schema())
    definitions = spec.pop("$defs", {})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
        "properties": {
            "apiVersion": {"const": kind.api_version},
            "kind": {"const": kind.name},
            "metadata": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string", "minLength": 1}},
            },
            "spec": spec,
            "status": {"type": "object"},
        },
        "$defs": definitions,
    }


def _blueprint_spec() -> dict[str, Any]:
    """The catalogue's own schema, beside which an import takes a few fields more (platform specification, section 5)."""
    text = (importlib.resources.files(__package__) / "blueprint.schema.json").read_text()
    whole = json.loads(text)
    spec = {**whole["$defs"]["Spec"], "$defs": whole["$defs"]}
    spec["properties"] = {**spec["properties"], **_IMPORTED}
    made: dict[str, Any] = _without_null(spec)
    return made


_IMPORTED: Mapping[str, Any] = {
    "consoleUI": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "sidebarEntry": {"type": "boolean"},
            "sidebarLabel": {"type": "string"},
            "sidebarRoute": {"type": "string"},
            "sidebarOrder": {"type": "integer", "minimum": 0, "maximum": 100},
            "sidebarIcon": {"type": "string"},
        },
    },
    "hasUserUIEndpoint": {"type": "boolean"},
    "producesInstances": {
        "type": "object",
        "additionalProperties": False,
        "required": ["kind", "instanceBlueprint"],
        "properties": {"kind": {"type": "string"}, "instanceBlueprint": {"type": "string"}},
    },
    "allowedPlacements": {"type": "array", "items": {"enum": ["host", "mgmt", "dmz", "rtz"]}},
    "topology": {
        "type": "object",
        "additionalProperties": False,
        "required": ["supported", "defaults"],
        "properties": {
            "supported": {"type": "array", "minItems": 1, "items": {"type": "string"}},
            "defaults": {
                "type": "object",
                "required": ["multi-region", "single-region"],
                "additionalProperties": {"type": "string"},
            },
            "perTopology": {"type": "object"},
        },
    },
}


def _validation(rule: Rule) -> dict[str, str]:
    return {"rule": rule.expression, "message": rule.message}


@cache
def _told(model: type[Part]) -> dict[str, Any]:
    return model.model_json_schema()


def _without_null(schema: Any) -> Any:
    """Absent is how a manifest says nothing; null would be a second way."""
    if isinstance(schema, list):
        return [_without_null(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _without_null(value) for key, value in schema.items() if (key, value) != ("default", None)}
    if "anyOf" in kept:
        others = [each for each in kept["anyOf"] if each != {"type": "null"}]
        if len(others) == 1 and len(others) < len(kept["anyOf"]):
            return {**{key: value for key, value in kept.items() if key != "anyOf"}, **others[0]}
        kept["anyOf"] = others
    return kept


def _structural(schema: Mapping[str, Any]) -> dict[str, Any]:
    return _plain(_without_null(schema), schema.get("$defs", {}))


def _plain(schema: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """One node without references; an alternative of several shapes is left to the strict twin and the rules."""
    if "$ref" in schema:
        found = _without_null(known[schema["$ref"].rsplit("/", 1)[1]])
        return _plain({**found, **{key: value for key, value in schema.items() if key != "$ref"}}, known)
    if "anyOf" in schema or "type" not in schema:
        told = {key: schema[key] for key in ("description",) if key in schema}
        if "enum" in schema or "const" in schema:
            return {**told, "type": "string", "enum": schema.get("enum", [schema.get("const")])}
        return {**told, "x-kubernetes-preserve-unknown-fields": True}
    told = {key: schema[key] for key in _KEPT if key in schema}
    if told.get("default", True) in (
        "",
        [],
        {},
    ):  # what nobody wrote stays absent, or `has()` of the rules would find it
        del told["default"]
    if "const" in schema:
        told["enum"] = [schema["const"]]
    if "pattern" in told and not _is_re2(told["pattern"]):
        del told["pattern"]
    if schema["type"] == "array":
        told["items"] = _plain(schema["items"], known)
    if schema["type"] == "object":
        return {**told, **_object(schema, known)}
    return told


def _object(schema: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    if "properties" in schema:
        told: dict[str, Any] = {
            "properties": {name: _plain(each, known) for name, each in schema["properties"].items()}
        }
        return {**told, "required": schema["required"]} if schema.get("required") else told
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        return {"additionalProperties": _plain(values, known)}
    return {"x-kubernetes-preserve-unknown-fields": True}


def _is_re2(pattern: str) -> bool:
    """Whether an API server, which is written in Go, can read the pattern."""
    try:
        re2.compile(pattern)
    except re2.error:
        return False
    return True
