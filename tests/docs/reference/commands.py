"""`catalyst` and everything below it: help, arguments, options."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer
from catalyst_cli.tree import build
from typer.main import get_command

from .words import MADE, table

_HEAD = f"""# The command line

{MADE}
Every command prints data on stdout and progress on stderr, and asks nothing where there is no terminal. Exit codes: 0 done,
1 failed, 2 wrong usage, 3 not found, 4 conflict, 5 not allowed, 6 unavailable, 130 left with Ctrl-C: the work goes on.
"""


def pages() -> Iterator[tuple[str, str]]:
    """The list of all commands, and a page for each word that comes first."""
    root: Any = get_command(build())
    shown = {name: command for name, command in root.commands.items() if not command.hidden}
    rows = [(f"[`catalyst {name}`]({name}.md)", _first_line(command)) for name, command in shown.items()]
    yield "reference/cli/README.md", f"{_HEAD}\n{table(('command', 'what it is for'), rows)}"
    for name, command in shown.items():
        parts = [f"# catalyst {name}\n\n{MADE}"]
        for path, one in _walk(command, ("catalyst", name)):
            title = f"{'#' * (len(path) - 1)} {' '.join(path)}\n\n" if len(path) > 2 else ""
            parts.append(title + (_group(one) if isinstance(one, typer.core.TyperGroup) else _command(one)))
        yield f"reference/cli/{name}.md", "\n".join(parts)


def _first_line(command: Any) -> str:
    return inspect.cleandoc(command.help or "").partition("\n")[0]


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    if isinstance(command, typer.core.TyperGroup):
        for name, child in command.commands.items():
            if not child.hidden:
                yield from _walk(child, (*path, name))


def _group(group: Any) -> str:
    return f"{_help(group)}\n" + (f"\n{_parameters(group)}" if group.invoke_without_command else "")


def _command(command: Any) -> str:
    return f"{_help(command)}\n\n{_parameters(command)}"


def _help(command: Any) -> str:
    """The help; its examples as a block to copy."""
    text, _, examples = inspect.cleandoc(command.help or "").partition("Examples:")
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    block = "\n\n```sh\n" + "\n".join(lines) + "\n```" if lines else ""
    return re.sub(r"([<*])", r"\\\1", text.strip()) + block


def _parameters(command: Any) -> str:
    rows = []
    for one in command.params:
        if getattr(one, "hidden", False) or one.name in ("install_completion", "show_completion", "help"):
            continue
        is_argument = one.param_type_name == "argument"
        name = f"`{one.name.upper()}`" if is_argument else ", ".join(f"`{o}`" for o in (*one.opts, *one.secondary_opts))
        rows.append((name, _default(one), getattr(one, "help", "") or ""))
    return table(("argument or option", "default", "what it is"), rows)


def _default(one: Any) -> str:
    if one.required:
        return "required"
    value = getattr(one.default, "value", one.default)  # an enum is shown as it is typed
    return "" if value in (None, "", False, (), []) or callable(value) else f"`{value}`"
