"""Between rows and the domain's values, by their type hints alone.

A field `price: Money` is the column `price_minor` beside the row's `currency`; a nested value is a JSON document.
"""

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, Union

from sqlalchemy import Table

from ..domain.money import Money

T = TypeVar("T")


def to_row(value: Any, table: Table) -> dict[str, Any]:
    """The row of a domain value."""
    row: dict[str, Any] = {}
    for name in table.c.keys():  # noqa: SIM118 - columns are iterated as objects otherwise
        if name.endswith("_minor"):
            money: Money = getattr(value, name.removesuffix("_minor"))
            row |= {name: money.minor, "currency": money.currency}
        elif name not in row:
            held = getattr(value, name, None)
            row[name] = held if isinstance(held, datetime) else plain(held)
    return row


def of_row(kind: type[T], row: Mapping[str, Any]) -> T:
    """The domain value of a row."""
    return kind(**{name: _field(hint, name, row) for name, hint in _hints(kind).items()})


def plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    return value


def of_plain(hint: Any, value: Any) -> Any:
    """The value of type `hint` that `plain` wrote down."""
    if value is None:
        return None
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        return of_plain(next(arg for arg in typing.get_args(hint) if arg is not type(None)), value)
    if origin is tuple:
        of = typing.get_args(hint)
        each = of[:1] * len(value) if of[-1] is Ellipsis else of
        return tuple(of_plain(kind, item) for kind, item in zip(each, value, strict=True))
    if isinstance(hint, type) and is_dataclass(hint):
        return hint(**{name: of_plain(h, value[name]) for name, h in _hints(hint).items() if name in value})
    if hint is datetime:
        return value if isinstance(value, datetime) else datetime.fromisoformat(value)
    if hint is timedelta:
        return timedelta(seconds=value)
    return hint(value)


def _field(hint: Any, name: str, row: Mapping[str, Any]) -> Any:
    if f"{name}_minor" in row:
        return Money(int(row[f"{name}_minor"]), row["currency"])
    return of_plain(hint, row[name])


_hints: Callable[[Any], dict[str, Any]] = cache(typing.get_type_hints)
"""Asked for each row, so worked out once for each class."""
