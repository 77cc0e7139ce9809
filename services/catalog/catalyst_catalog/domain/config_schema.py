"""The configuration of a Blueprint against its schema: a subset of JSON Schema 2020-12 that is safe to evaluate.

Unknown properties are refused unless a schema says `additionalProperties`; defaults are filled in at every depth, also
below absent objects; all violations come at once, with JSON pointers, and never show a value. A field hinted `password`
takes a reference to a secret, `{secretRef: {name: …}}`, and nothing else.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from catalyst_sdk import Violation
from jsonschema import Draft202012Validator, SchemaError
from jsonschema.exceptions import ValidationError

from . import formats
from .refusals import ConfigInvalid, SchemaUnsupported

KEYWORDS = frozenset(
    [
        "type",
        "format",
        "default",
        "enum",
        "const",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "pattern",
        "items",
        "minItems",
        "maxItems",
        "oneOf",
        "anyOf",
        "required",
        "properties",
        "additionalProperties",
        "dependentRequired",
        "description",
        "title",
    ]
)
HINTS = frozenset({"x-catalyst-ui-hint", "x-catalyst-ui-filter", "x-catalyst-advanced", "x-catalyst-immutable"})
HINT_WORDS = frozenset({"password", "domain-picker", "application-ref"})
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
LARGEST, MOST_PROPERTIES, DEEPEST, LONGEST_PATTERN = 128 * 1024, 500, 12, 200
_SECRET = {
    "type": "object",
    "required": ["secretRef"],
    "additionalProperties": False,
    "properties": {
        "secretRef": {
            "type": "object",
            "required": ["name"],
            "additionalProperties": False,
            "properties": {"name": {"type": "string", "minLength": 1}, "version": {"type": "string"}},
        }
    },
}


def check(schema: Mapping[str, Any]) -> None:
    """Refuse a schema that leaves the subset. Raises SchemaUnsupported with the first cause."""
    if len(json.dumps(schema)) > LARGEST:
        raise SchemaUnsupported(why=f"more than {LARGEST} bytes")
    nodes = list(_nodes(schema, 0))
    if sum(len(node.get("properties", {})) for node, _ in nodes) > MOST_PROPERTIES:
        raise SchemaUnsupported(why=f"more than {MOST_PROPERTIES} properties")
    for node, path in nodes:
        _check_words(node, path)
    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        raise SchemaUnsupported(why=f"{error.json_path}: not a JSON Schema") from error
    for node, path in nodes:
        _check_node(node, path)
    _check_defaults(schema)


def normalise(schema: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with all defaults. Raises ConfigInvalid with every violation."""
    closed = _closed_text(json.dumps(schema or {"type": "object"}, sort_keys=True))
    whole: dict[str, Any] = _with_defaults(closed, config)
    errors = _validator(json.dumps(closed, sort_keys=True)).iter_errors(whole)
    found = sorted({v for error in errors for v in _violations(error)}, key=lambda v: (v.field, v.rule))
    if found:
        raise ConfigInvalid(tuple(found))
    return whole


def defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What holds where nothing was said; required values may be missing in it."""
    whole = _with_defaults(schema or {"type": "object"}, {})
    return whole if isinstance(whole, dict) else {}


def filled_in(given: Any, whole: Any, at: str = "") -> Iterator[str]:
    """JSON pointers of what `normalise` added to `given`."""
    if isinstance(whole, Mapping):
        known = given if isinstance(given, Mapping) else {}
        for name, value in whole.items():
            path = f"{at}/{_escaped(name)}"
            if name not in known and not isinstance(value, Mapping):
                yield path
            else:
                yield from filled_in(known.get(name), value, path)
    elif isinstance(whole, list) and isinstance(given, list):
        for n, (before, after) in enumerate(zip(given, whole, strict=True)):
            yield from filled_in(before, after, f"{at}/{n}")


def config_hash(config: Mapping[str, Any]) -> str:
    """SHA-256 of a normalised configuration, hexadecimal."""
    return hashlib.sha256(_CANONICAL.encode(config).encode()).hexdigest()


def _nodes(schema: Any, depth: int, path: str = "") -> Iterator[tuple[Mapping[str, Any], str]]:
    if not isinstance(schema, Mapping):
        raise SchemaUnsupported(why=f"{path or '/'}: an object is expected")
    if depth > DEEPEST:
        raise SchemaUnsupported(why=f"{path}: deeper than {DEEPEST}")
    yield schema, path or "/"
    for name, child in _children(schema):
        yield from _nodes(child, depth + 1, f"{path}/{name}")


def _children(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    properties = schema.get("properties", {})
    if not isinstance(properties, Mapping):
        raise SchemaUnsupported(why="properties: an object is expected")
    yield from properties.items()
    if "items" in schema:
        yield "items", schema["items"]
    for word in ("oneOf", "anyOf"):
        branches = schema.get(word, [])
        if not isinstance(branches, list):
            raise SchemaUnsupported(why=f"{word}: a list is expected")
        yield from ((f"{word}/{n}", branch) for n, branch in enumerate(branches))
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield "additionalProperties", schema["additionalProperties"]


def _check_words(node: Mapping[str, Any], path: str) -> None:
    for word in node:
        if word not in KEYWORDS | HINTS:
            raise SchemaUnsupported(why=f"{path}: keyword {word} is not supported")


def _check_node(node: Mapping[str, Any], path: str) -> None:
    """Rules of ours about a node that is proper JSON Schema."""
    if node.get("format", "email") not in formats.CHECKS:
        raise SchemaUnsupported(why=f"{path}: format {node['format']} is not checked")
    hint = node.get("x-catalyst-ui-hint", "password")
    if not isinstance(hint, str) or hint not in HINT_WORDS:
        raise SchemaUnsupported(why=f"{path}: hint {hint} is not known")
    if "string" in _types(node) and any(isinstance(value, bool) for value in node.get("enum", ())):
        raise SchemaUnsupported(why=f"{path}: an enum of strings holds a boolean; quote it")
    if "pattern" in node:
        _check_pattern(node["pattern"], path)


def _types(node: Mapping[str, Any]) -> list[str]:
    found = node.get("type", [])
    return [found] if isinstance(found, str) else list(found)


def _check_pattern(pattern: Any, path: str) -> None:
    """Only what a backtracking engine answers in linear time: no repeated group that repeats or branches inside."""
    if not isinstance(pattern, str) or len(pattern) > LONGEST_PATTERN:
        raise SchemaUnsupported(why=f"{path}: a pattern has at most {LONGEST_PATTERN} characters")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise SchemaUnsupported(why=f"{path}: the pattern is not understood") from error
    plain = re.sub(r"\[(?:\\.|[^\]\\])*\]", "c", re.sub(r"\\.", "c", pattern))
    while (inner := re.sub(r"\((?:\?[:=!<]+)?[^()]*\)(?![*+{])", _flat, plain)) != plain:
        plain = inner
    if re.search(r"\([^()]*[*+{|][^()]*\)[*+{]|\(.*\(.*\)[*+{]", plain) or re.search(r"\\\d|\(\?P=", pattern):
        raise SchemaUnsupported(why=f"{path}: a repeated group of the pattern repeats or branches inside")


def _flat(group: re.Match[str]) -> str:
    inside = group[0].strip("()")
    return "".join(sign for sign in "*|" if re.search(r"[*+{]" if sign == "*" else r"\|", inside)) or "c"


def _check_defaults(schema: Mapping[str, Any]) -> None:
    for node, path in _nodes(schema, 0):
        if "default" in node and not _evaluator(node).is_valid(node["default"]):
            raise SchemaUnsupported(why=f"{path}: the default does not satisfy its own schema")


def _evaluator(schema: Mapping[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(dict(schema), format_checker=formats.checker())


# Parsing a schema costs more than using it, and there are few.
@lru_cache(maxsize=1024)
def _validator(text: str) -> Draft202012Validator:
    return _evaluator(json.loads(text))


@lru_cache(maxsize=1024)
def _closed_text(text: str) -> Any:
    return _closed(json.loads(text))


def _closed(schema: Any) -> Any:
    """The schema with unknown properties refused, and secrets asked for as references."""
    if not isinstance(schema, Mapping):
        return schema
    if schema.get("x-catalyst-ui-hint") == "password":
        return _SECRET
    closed = dict(schema)
    if "object" in _types(schema) or "properties" in schema:
        closed.setdefault("additionalProperties", False)
    if "properties" in schema:
        closed["properties"] = {name: _closed(child) for name, child in schema["properties"].items()}
    if "items" in schema:
        closed["items"] = _closed(schema["items"])
    for word in ("oneOf", "anyOf"):
        if word in schema:
            closed[word] = [_closed(branch) for branch in schema[word]]
    return closed


def _with_defaults(schema: Any, value: Any) -> Any:
    if isinstance(value, list) and "items" in schema:
        return [_with_defaults(schema["items"], item) for item in value]
    if not isinstance(value, Mapping):
        return value
    whole = dict(value)
    for name, child in schema.get("properties", {}).items():
        if name in whole:
            whole[name] = _with_defaults(child, whole[name])
        elif "default" in child:
            whole[name] = json.loads(json.dumps(child["default"]))  # a copy: nobody shares the schema's own
        elif "object" in _types(child) and (filled := _with_defaults(child, {})):
            whole[name] = filled
    return whole


def _violations(error: ValidationError) -> Iterator[Violation]:
    rule: Any = error.validator_value
    given: Any = error.instance
    at = "".join(f"/{_escaped(step)}" for step in error.absolute_path)
    if error.validator == "required":
        missing = [name for name in rule if name not in given]
        yield from (Violation(f"{at}/{_escaped(name)}", "is required", "required") for name in missing)
    elif error.validator == "additionalProperties" and isinstance(error.schema, Mapping):
        unknown = [name for name in given if name not in error.schema.get("properties", {})]
        yield from (Violation(f"{at}/{_escaped(name)}", "is not known", "unknown") for name in unknown)
    else:
        yield Violation(at or "/", _sentence(error), str(error.validator))


_SENTENCES = {
    "type": "must be of type {}",
    "enum": "must be one of {}",
    "const": "must be {}",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "pattern": "must match {}",
    "format": "must be a valid {}",
    "oneOf": "must fit exactly one of the alternatives",
    "anyOf": "must fit one of the alternatives",
    "dependentRequired": "lacks what another value needs",
}


def _sentence(error: ValidationError) -> str:
    """What the rule asks for; never the value, which may be somebody's secret."""
    keyword, rule = str(error.validator), error.validator_value
    if keyword == "type" and isinstance(rule, list):
        rule = " or ".join(rule)
    elif keyword in {"enum", "const"}:
        rule = json.dumps(rule)
    return _SENTENCES.get(keyword, "is not allowed").format(rule)


def _escaped(step: Any) -> str:
    return str(step).replace("~", "~0").replace("/", "~1")
