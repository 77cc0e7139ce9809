"""The list of runbooks: what wakes somebody, and what its page is about."""

from collections.abc import Iterator
from pathlib import Path

from .words import MADE

RUNBOOKS = Path(__file__).parents[3] / "docs" / "runbooks"
_HEAD = f"""# Runbooks

{MADE}
A page for each alert of `deploy/observability`, and for each task that an operator has on a cluster.
"""


def pages() -> Iterator[tuple[str, str]]:
    """The page."""
    parts = [_HEAD]
    for folder in sorted(path for path in RUNBOOKS.iterdir() if path.is_dir()):
        lines = [f"- [{_title(page)}]({folder.name}/{page.name})" for page in sorted(folder.glob("*.md"))]
        parts.append("\n".join([f"## {folder.name}", "", *lines, ""]))
    yield "runbooks/README.md", "\n".join(parts)


def _title(page: Path) -> str:
    return page.read_text().partition("\n")[0].removeprefix("# ")
