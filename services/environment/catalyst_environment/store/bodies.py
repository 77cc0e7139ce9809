"""Entities of the domain as JSON documents, and back by the types of their fields."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """A value of the domain as JSON has it."""
    if is_dataclass(value):
        return {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {str(key): to_json(one) for key, one in value.items()}
    if isinstance(value, (tuple, list, frozenset)):
        return [to_json(one) for one in (sorted(value) if isinstance(value, frozenset) else value)]
    return value


def from_json(kind: type[T], raw: Mapping[str, Any]) -> T:
    """The entity of type `kind`. A field that a row of an older release has not takes its default."""
    hints = _hints(kind)  # type: ignore[arg-type]  # a type is hashable
    return kind(**{name: _read(hints[name], value) for name, value in raw.items() if name in hints})


@cache
def _hints(kind: type[Any]) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _read(hint: Any, value: Any) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (UnionType, Union):
        return None if value is None else _read(next(one for one in inner if one is not NoneType), value)
    if origin in (tuple, frozenset):
        return origin(_read(inner[0], one) for one in value)
    if origin is not None or not isinstance(hint, type):
        return value  # mappings and Any are JSON already
    if is_dataclass(hint):
        return from_json(hint, value)
    if issubclass(hint, datetime):
        return datetime.fromisoformat(value)
    if issubclass(hint, timedelta):
        return timedelta(seconds=value)
    return hint(value) if issubclass(hint, Enum) else value
