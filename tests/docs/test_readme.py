"""The README's commands are the ones that work."""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from catalyst_cli.tree import build
from typer.main import get_command

README = Path("README.md")


def blocks(page: Path) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", page.read_text(), re.S)


def lines(page: Path) -> list[str]:
    return [line.split("#")[0].strip() for block in blocks(page) for line in block.splitlines() if line.strip()]


def test_the_two_commands_of_the_readme_are_scripts_that_run_anywhere() -> None:
    for script in ("script/demo", "script/test", "script/bootstrap"):
        assert script in lines(README)
        assert os.access(script, os.X_OK)


def test_every_catalyst_command_of_the_readme_exists() -> None:
    root = whole()
    for line in lines(README):
        words = line.split()
        if words[0].endswith("catalyst"):
            command: object = root
            for word in words[1:]:
                if not isinstance(command, typer.core.TyperGroup):
                    break
                command = command.commands[word]


@cache
def whole() -> Any:
    """The command line with everything in it, built once."""
    return get_command(build())


def commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []

    def walk(command: object, path: tuple[str, ...]) -> None:
        if isinstance(command, typer.core.TyperGroup):
            for name, child in command.commands.items():
                walk(child, (*path, name))
        else:
            found.append(path)

    walk(whole(), ())
    return found


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_has_help_with_examples_that_name_real_options(path: tuple[str, ...]) -> None:
    command = whole()
    for word in path:
        command = command.commands[word]
    text = str(command.help)
    examples = [line.strip() for line in text.splitlines() if line.strip().startswith("catalyst ")]
    assert examples, "no example"
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for example in examples:
        words = [w for w in example.split()[1:] if not w.startswith('"')]
        alias = tuple("plugins" if w == "plugin" else w for w in path)
        assert tuple(words[: len(path)]) in (path, alias), example
        assert {w for w in words if w.startswith("--")} <= known, example


def test_help_comes_without_a_server() -> None:
    done = subprocess.run([sys.executable, "-m", "catalyst_cli", "--help"], capture_output=True, text=True, check=True)
    assert "sovereign" in done.stdout


def test_the_pages_link_to_files_that_are_there() -> None:
    for page in [*Path(".").glob("*.md"), *Path("docs").rglob("*.md"), *Path("plugins").glob("*/README.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page} links to {target}"
