"""The pages of the reference that are made from code: `script/reference` writes them, a test compares.

Invariants
  one source   nothing on such a page is written by hand: who wants another sentence changes the code's;
  no process   pages are made in this process; only the contracts' comments are asked of `buf`, once.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from . import calls, commands, plugins, runbooks, settings

DOCS = Path(__file__).parents[3] / "docs"


def made() -> Mapping[Path, str]:
    """Every such page with its text."""
    return dict(_pages())


def _pages() -> Iterator[tuple[Path, str]]:
    for module in (calls, commands, plugins, runbooks, settings):
        for name, text in module.pages():
            yield DOCS / name, text


def gone() -> list[Path]:
    """Pages in folders that are made whole, and that nothing makes any more."""
    folders = (DOCS / "reference" / name for name in ("api", "cli", "settings"))
    return sorted({path for folder in folders for path in folder.glob("*.md")} - set(made()))
