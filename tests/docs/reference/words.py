"""Pieces of Markdown that the made pages share."""

import re
from collections.abc import Iterable, Sequence

MADE = "Made from the code by `script/reference`; a test compares.\n"


def cell(text: str) -> str:
    """A text in a cell of a table: one line, and no bar of its own."""
    return " ".join(text.split()).replace("|", "\\|")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, or nothing where it has no rows."""
    lines = [f"| {' | '.join(cell(one) for one in row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *lines]) + "\n" if lines else ""


def prose(comment: str) -> str:
    """A comment of a contract as a paragraph. What looks like markup in it is not meant so."""
    return re.sub(r"([<*]|(?<!\w)_)(?=[^`]*(?:`[^`]*`[^`]*)*$)", r"\\\1", " ".join(comment.split()))
