"""The command tree. Each command stands in a file of its own."""

from typing import Any

import typer

_GROUP: dict[str, Any] = {"no_args_is_help": True, "rich_markup_mode": None, "pretty_exceptions_enable": False}


def build() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(help="Make Sovereigns exist, watch them, take them away.", **_GROUP)
