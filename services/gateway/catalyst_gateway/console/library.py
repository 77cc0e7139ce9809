"""The documentation: Markdown of a folder as pages of the console, with links that lead to pages that are there.

Invariants
  inside        nothing outside the folder is ever read, whatever a path says;
  no markup     HTML in a page is shown as text;
  no dead link  a link to what is not served is shown as the text that it has.
"""

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalyst_sdk import Code, Refused

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

INDEX = "README.md"
FILES = {".md": "text/html", ".json": "application/json", ".graphql": "text/plain"}
"""What is served, by the end of its name."""
_DEPTH = 2
"""Level of the headings that the table of contents has."""


class NoSuchDocument(Refused):
    code, reason, message = Code.NOT_FOUND, "PATH_NOT_FOUND", "the documentation has no {path}"


@dataclass(frozen=True, slots=True)
class Document:
    """A page.

    html       its body, ready for the frame
    contents   its sections: id and words
    headings   ids of all its headings
    links      where its links lead, those that are served
    """

    title: str
    html: str
    contents: Sequence[tuple[str, str]]
    headings: frozenset[str]
    links: Sequence[str]


class Library:
    """Reads a folder, anew where a file has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._read = lru_cache(maxsize=128)(self._rendered)

    def document(self, path: str) -> Document:
        """A page by its path below the folder. Raises NoSuchDocument."""
        file = self._file(path)
        return self._read(path, file.stat().st_mtime_ns)

    def raw(self, path: str) -> bytes:
        """A file for machines, as it is. Raises NoSuchDocument."""
        return self._file(path).read_bytes()

    def pages(self) -> Sequence[str]:
        """Every page, by its path."""
        return sorted(str(file.relative_to(self._folder)) for file in self._folder.rglob("*.md"))

    def has(self, path: str) -> bool:
        """Whether something is served there."""
        try:
            return bool(self._file(path))
        except NoSuchDocument:
            return False

    def _file(self, path: str) -> Path:
        file = (self._folder / path).resolve()
        if not file.is_relative_to(self._folder) or file.suffix not in FILES or not file.is_file():
            raise NoSuchDocument(path=path)
        return file

    def _rendered(self, path: str, _changed: int) -> Document:
        markdown = _markdown()
        tokens = markdown.parse(self._file(path).read_text())
        headings = list(_named(tokens))
        links = [link for token in tokens for link in self._linked(token, path)]
        title = next((text for level, _, text in headings if level == 1), path)
        return Document(
            title,
            markdown.renderer.render(tokens, markdown.options, {}),
            [(id, text) for level, id, text in headings if level == _DEPTH],
            frozenset(id for _, id, _ in headings),
            links,
        )

    def _linked(self, token: "Token", path: str) -> list[str]:
        """Give the links of a paragraph their addresses, and take those away that lead nowhere."""
        found: list[str] = []
        ends: list[bool] = []
        for child in token.children or ():
            if child.type == "link_open":
                to = self._address(str(child.attrGet("href") or ""), path)
                ends.append(bool(to))
                if to:
                    found.append(to)
                    child.attrSet("href", to)
                    if not to.startswith("/"):
                        child.attrSet("rel", "noopener")
                else:
                    child.tag, child.attrs = "span", {}
            elif child.type == "link_close" and not ends.pop():
                child.tag = "span"
        return found

    def _address(self, href: str, path: str) -> str:
        """Where a link of the page at `path` leads; empty for what is not served."""
        target, mark, anchor = href.partition("#")
        if re.match(r"https?://", href):
            return href
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) if target else path
        return f"/docs/{wanted}{mark}{anchor}" if self.has(wanted) else ""


def _named(tokens: "Sequence[Token]") -> "list[tuple[int, str, str]]":
    """Give each heading an id, as Git hosts do; level, id and words of all."""
    found: list[tuple[int, str, str]] = []
    for n, token in enumerate(tokens):
        if token.type == "heading_open":
            text = "".join(child.content for child in tokens[n + 1].children or ())
            id = anchor(text)
            again = sum(
                known == id or re.fullmatch(rf"{re.escape(id)}-\d+", known) is not None for _, known, _ in found
            )
            id = f"{id}-{again}" if again else id
            token.attrSet("id", id)
            found.append((int(token.tag[1:]), id, text))
    return found


def anchor(text: str) -> str:
    """The id of a heading with these words."""
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", text.strip().lower()))


def _markdown() -> "MarkdownIt":
    """Made when somebody reads: its library stays out of a gateway that nobody asks."""
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": False}).enable("table")
    made.add_render_rule("table_open", _table_open)
    made.add_render_rule("table_close", _table_close)
    made.add_render_rule("fence", _fence)
    return made


def _table_open(*_: Any) -> str:
    return '<div class="wide" tabindex="0" role="group" aria-label="Table"><table>\n'


def _table_close(*_: Any) -> str:
    return "</table></div>\n"


def _fence(renderer: Any, tokens: "Sequence[Token]", n: int, *_: Any) -> str:
    from markdown_it.common.utils import escapeHtml

    return f'<pre tabindex="0" aria-label="Example"><code>{escapeHtml(tokens[n].content)}</code></pre>\n'
