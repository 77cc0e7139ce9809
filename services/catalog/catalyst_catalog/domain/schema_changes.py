"""How the configuration schemas of two versions differ, and what that means for a configuration that stands."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from . import config_schema
from .refusals import FieldImmutable, FieldRemoved

Schema = Mapping[str, Any]


class Kind(Enum):
    ADDED = "added"
    REMOVED = "removed"
    RETYPED = "retyped"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One difference; `before` and `after` are types, or defaults as JSON."""

    path: str
    kind: Kind
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Carried:
    """A configuration that was carried over to another version."""

    config: dict[str, Any]
    changes: tuple[SchemaChange, ...]
    dropped: tuple[str, ...] = ()


def between(before: Schema, after: Schema) -> list[SchemaChange]:
    """Every difference, by path. A field in an object that is new as a whole counts by itself."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    found = []
    for path in sorted({*old, *new}):
        if path not in old:
            found.append(SchemaChange(path, Kind.ADDED, after=_type(new[path])))
        elif path not in new:
            found.append(SchemaChange(path, Kind.REMOVED, before=_type(old[path])))
        elif _type(old[path]) != _type(new[path]):
            found.append(SchemaChange(path, Kind.RETYPED, _type(old[path]), _type(new[path])))
        elif (was := _default(old[path])) != (becomes := _default(new[path])):
            found.append(SchemaChange(path, Kind.DEFAULT, was, becomes))
    return found


def carry(
    before: Schema, after: Schema, current: Mapping[str, Any], wanted: Mapping[str, Any], *, drop_unknown: bool = False
) -> Carried:
    """`wanted` as the configuration of the later version, over one that stands.

    Raises FieldRemoved where a value would be lost unasked, FieldImmutable, ConfigInvalid with every other violation.
    """
    changes = between(before, after)
    removed = [change.path for change in changes if change.kind is Kind.REMOVED and _has(wanted, change.path)]
    if removed and not drop_unknown:
        raise FieldRemoved(fields=", ".join(removed))
    kept: dict[str, Any] = json.loads(json.dumps(dict(wanted)))
    for path in removed:
        _drop(kept, _steps(path))
    whole = config_schema.normalise(after, kept)
    stood = config_schema.normalise(before, current) if current else {}
    fixed = [path for path, node in _leaves(after) if node.get("x-catalyst-immutable") and _has(stood, path)]
    if moved := [path for path in fixed if _at(stood, path) != _at(whole, path)]:
        raise FieldImmutable(fields=", ".join(moved))
    return Carried(whole, tuple(changes), tuple(removed))


def _leaves(schema: Schema, at: str = "") -> Iterator[tuple[str, Schema]]:
    for name, node in schema.get("properties", {}).items():
        path = f"{at}/{name.replace('~', '~0').replace('/', '~1')}"
        if node.get("properties"):
            yield from _leaves(node, path)
        else:
            yield path, node


def _type(node: Schema) -> str:
    found = node.get("type", "any")
    text = " or ".join(found) if isinstance(found, list) else str(found)
    return f"{text} of {_type(node['items'])}" if text == "array" and isinstance(node.get("items"), Mapping) else text


def _default(node: Schema) -> str:
    return json.dumps(node["default"], sort_keys=True) if "default" in node else ""


def _steps(path: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]


def _at(config: Any, path: str) -> Any:
    for step in _steps(path):
        config = config.get(step) if isinstance(config, Mapping) else None
    return config


def _has(config: Any, path: str) -> bool:
    return _at(config, path) is not None


def _drop(config: dict[str, Any], steps: list[str]) -> None:
    """Take a value out, and the objects that it leaves empty."""
    inner = config.get(steps[0])
    if len(steps) > 1 and isinstance(inner, dict):
        _drop(inner, steps[1:])
    if len(steps) == 1 or not inner:
        config.pop(steps[0], None)
