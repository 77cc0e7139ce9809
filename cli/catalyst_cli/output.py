"""What commands print: data on stdout in the form that was asked for, progress and words on stderr."""

import csv
import io
import json
import re
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text


class Form(StrEnum):
    """Forms of output."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"
    CSV = "csv"


Output = Annotated[Form, typer.Option("--output", "-o", help="How to print: table, json, yaml, name or csv.")]
_PREFIXES = (
    "STATE_",
    "INTENT_",
    "HEALTH_",
    "SEVERITY_",
    "LEVEL_",
    "STATUS_",
    "KIND_",
    "TIER_",
    "SCOPE_",
    "MODE_",
    "ROLE_",
    "REQUIREMENT_",
)  # fmt: skip - what the values of enums begin with
err = Console(stderr=True, highlight=False, soft_wrap=True)


def show(form: Form, answer: Any, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]] | None = None) -> None:
    """Print an answer.

    columns   heading to path in a row, dots between the steps
    rows      what the table shows; None: the answer itself is the one row
    """
    listed = [answer] if rows is None else list(rows)
    if form is Form.JSON:
        print(json.dumps(answer, indent=1))
    elif form is Form.YAML:
        print(yaml.safe_dump(answer, sort_keys=False, allow_unicode=True), end="")
    elif form is Form.NAME:
        for row in listed:
            print(row.get("name", ""))
    elif form is Form.CSV:
        _csv(columns, listed)
    else:
        _table(columns, listed)


def _table(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns:
        table.add_column(heading, overflow="fold")
    for row in rows:
        # What people and servers wrote is no markup: `[…]` in it would vanish, and `[/…]` end the command.
        table.add_row(*(Text(_cell(row, path)) for path in columns.values()))
    if sys.stdout.isatty():
        Console(highlight=False).print(table)
        return
    # Not a terminal: no cutting to a width that nobody has, and no filling up to one.
    page = Console(highlight=False, width=10_000, file=io.StringIO(), color_system=None)
    page.print(table)
    print(*(line.rstrip() for line in page.file.getvalue().splitlines()), sep="\n")  # type: ignore[attr-defined] # StringIO


def _csv(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
    """RFC 4180, for a spreadsheet."""
    written = csv.writer(sys.stdout)
    written.writerow(columns)
    for row in rows:
        written.writerow(_inert(_cell(row, path)) for path in columns.values())


def _inert(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: people name Organizations and give reasons."""
    return (
        f"'{text}" if text[:1] in ("=", "+", "@", "\t", "\r") or (text[:1] == "-" and not text[1:2].isdigit()) else text
    )


def show_one(
    form: Form, answer: Mapping[str, Any], columns: Mapping[str, str], row: Mapping[str, Any] | None = None
) -> None:
    """Print one resource, and beside its table what of it does not hold.

    row   what the table shows of it; None: the resource itself
    """
    show(form, answer, columns, None if row is None else [row])
    if form is Form.TABLE:
        tell_fallen(answer)


def tell_fallen(answer: Mapping[str, Any]) -> None:
    """What of a resource does not hold, and why, beside its table."""
    for one in answer.get("conditions", ()):
        if one.get("status") != "STATUS_TRUE":
            err.print(": ".join(filter(None, (one["type"], one.get("reason"), one.get("message")))), markup=False)


def word(state: object) -> str:
    """`STATE_ACTIVE` as `ACTIVE`, and what is not said as nothing."""
    text = str(state or "")
    if text.isupper() and text.endswith("_UNSPECIFIED"):
        return ""
    for prefix in _PREFIXES:
        text = text.removeprefix(prefix)
    return text


def money(amount: Mapping[str, Any] | None) -> str:
    """`{minor: "9000", currency: OMR}` as `9.000 OMR`."""
    if not amount:
        return "unknown"
    exponent = {"OMR": 3, "BHD": 3, "KWD": 3, "JPY": 0}.get(amount["currency"], 2)
    minor = int(amount["minor"])
    whole, part = divmod(abs(minor), 10**exponent)
    sign = "-" if minor < 0 else ""
    return f"{sign}{whole}.{part:0{exponent}} {amount['currency']}" if exponent else f"{minor} {amount['currency']}"


def _cell(row: Mapping[str, Any], path: str) -> str:
    """A value as a table shows it; `SIGNATURE_VALID` of a field `signature` is `VALID`."""
    prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", path.rpartition(".")[2]).upper() + "_"
    value = _at(row, path)
    return _text(value).removeprefix(prefix) if isinstance(value, str) and value.isupper() else _text(value)


def _at(row: Mapping[str, Any], path: str) -> Any:
    value: Any = row
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(word, value))
    return word(value) if value is not None else ""
