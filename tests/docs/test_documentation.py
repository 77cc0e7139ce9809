"""The documentation is whole: what code tells is as code tells it, every page is reached, no link is dead, commands exist."""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from catalyst_cli.tree import build
from catalyst_gateway.console.library import INDEX, Library
from typer.core import TyperGroup
from typer.main import get_command

from .reference import gone, made
from .test_console import wrong_command

DOCS = Path("docs")
PAGES = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))
_TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(DOCS)


def links(page: str) -> Iterator[tuple[str, str]]:
    """Where the links of a page lead, as it writes them: file beside the documentation's folder, and heading."""
    for found in re.findall(r"\]\(([^)\s]+)\)", (DOCS / page).read_text()):
        if not re.match(r"https?:", found):
            target, _, heading = found.partition("#")
            yield os.path.normpath((DOCS / page).parent / target) if target else str(DOCS / page), heading


def test_what_the_code_tells_stands_in_the_reference() -> None:
    """After a change: `script/reference`."""
    late = [str(path) for path, text in made().items() if not path.exists() or path.read_text() != text]
    assert (late, gone()) == ([], [])


def test_every_link_leads_to_a_file_and_a_heading_that_are_there(library: Library) -> None:
    dead = []
    for page in PAGES:
        for file, heading in links(page):
            there = Path(file).exists()
            if there and heading and file.endswith(".md"):
                there = heading in library.document(os.path.relpath(file, DOCS)).headings
            dead += [] if there else [f"{page}: {file}#{heading}"]
    assert dead == []


def test_every_page_is_reached_from_the_index(library: Library) -> None:
    reached, waiting = set[str](), [INDEX]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            served = (link.removeprefix("/docs/").partition("#")[0] for link in library.document(page).links)
            waiting += [link for link in served if link.endswith(".md") and not link.startswith("http")]
    assert sorted(set(PAGES) - reached) == []


@pytest.mark.parametrize("page", _TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_names_commands_and_options_that_are_there(page: Path) -> None:
    for block in re.findall(r"^```sh[^\n]*\n(.*?)^```$", page.read_text(), re.S | re.M):
        for line in block.splitlines():
            words = shlex.split(line)
            if words[0] == "catalyst" and "$(" not in line:
                assert wrong_command(words) == ""


def test_a_command_within_a_sentence_is_there() -> None:
    """Runbooks and references name them; what follows a command there may be left out, or stand for something."""
    root, wrong = get_command(build()), []
    for page in [*DOCS.rglob("*.md"), *Path("plugins").glob("*/README.md")]:
        for span in re.findall(r"`(catalyst [a-z][^`\n]*)`", page.read_text()):
            command: Any = root
            rest = span.split()[1:]
            while isinstance(command, TyperGroup) and rest and re.fullmatch("[a-z][a-z-]*", rest[0]):
                command = command.commands.get(rest.pop(0))
            wrong += [] if command and _takes(command, rest) else [f"{page}: {span}"]
    assert wrong == []


def _takes(command: Any, words: list[str]) -> bool:
    """Whether a command has these options, and a place for each of the other words."""
    if isinstance(command, TyperGroup):
        return True
    options = {name: one for one in command.params for name in (*one.opts, *one.secondary_opts) if name.startswith("-")}
    given = [n for n, word in enumerate(words) if word.startswith("-")]
    valued = {n + 1 for n in given if words[n] in options and not options[words[n]].is_flag}
    places = [one.nargs for one in command.params if one.param_type_name == "argument"]
    others = len(words) - len({*given, *valued})
    return {words[n] for n in given} <= {*options} and (-1 in places or others <= len(places))
