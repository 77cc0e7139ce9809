"""Mending a manifest where there is one right way to do so, without touching anything else of its text.

What is mended: words that other readers of YAML take for booleans are quoted, and the name becomes that of its folder.
All else that a linter finds needs its author.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import yaml

from . import importer, linting
from .inspection import FILE
from .linting import Found

_NAME = re.compile(r"[a-z][a-z0-9-]{0,61}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    text: str


def mended(folders: Mapping[str, Mapping[str, bytes]], found: Iterable[Found]) -> dict[str, bytes]:
    """New manifests by folder, of those that could be mended."""
    by_folder: dict[str, list[Found]] = {}
    for one in found:
        by_folder.setdefault(one.folder, []).append(one)
    new = {folder: _mended(folder, folders[folder].get(FILE, b""), mine) for folder, mine in by_folder.items()}
    return {folder: content for folder, content in new.items() if content != folders[folder].get(FILE, b"")}


def _mended(folder: str, content: bytes, found: Iterable[Found]) -> bytes:
    node = linting.composed(content)
    if node is None:
        return content
    text = content.decode()
    for edit in sorted(_edits(folder, node, found), key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text.encode()


def _edits(folder: str, node: yaml.Node, found: Iterable[Found]) -> Iterator[_Edit]:
    rules = {one.rule for one in found}
    if "UNQUOTED_BOOLEAN" in rules:
        for word in linting.loose_words(node):
            yield _Edit(word.start_mark.index, word.end_mark.index, f'"{word.value}"')
    name = linting.at(node, "metadata.name")
    if "NAME_MISMATCH" in rules and isinstance(name, yaml.ScalarNode) and _NAME.fullmatch(folder):
        yield _Edit(name.start_mark.index, name.end_mark.index, f"{importer.PREFIX}{folder}")
