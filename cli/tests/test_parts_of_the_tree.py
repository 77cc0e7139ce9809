"""The command line in parts: what one word needs, and no less."""

from typing import Any

import pytest
import typer.main
from catalyst_cli.tree import _PARTS, build

WORDS = [word for words in _PARTS for word in words]


def commands(group: Any) -> dict[str, Any]:
    """Every command below `group`, with its help, and those below them."""
    return {name: (one.help, commands(one)) for name, one in getattr(group, "commands", {}).items()}


def test_the_parts_are_the_whole() -> None:
    assert sorted(commands(typer.main.get_command(build()))) == sorted(WORDS)


@pytest.mark.parametrize("word", WORDS)
def test_a_word_alone_has_all_its_commands(word: str, whole: dict[str, Any]) -> None:
    assert commands(typer.main.get_command(build(word)))[word] == whole[word]


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return commands(typer.main.get_command(build()))


@pytest.mark.parametrize("word", ["", "--help", "no-such-word"])
def test_any_other_word_gets_the_whole(word: str, whole: dict[str, Any]) -> None:
    assert commands(typer.main.get_command(build(word))) == whole
