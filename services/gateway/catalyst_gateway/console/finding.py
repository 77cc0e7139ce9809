"""Finding something in the documentation: the sections in which all words stand, the most telling ones first."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .library import Library, anchor

MOST = 30
"""Sections that are shown."""
_LONGEST = 100
"""Characters of a question that are read."""
_AROUND = 90
"""Characters of a section that are shown before and behind the first word."""
_TITLE, _HEADING, _BODY = 9, 3, 1
"""How much it weighs where a word stands."""
_HEADED = re.compile(r"(#{1,6})\s+(.*)")


@dataclass(frozen=True, slots=True)
class Section:
    """What stands under one heading of a page."""

    path: str
    title: str
    id: str
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A section that was found, with the words around the place."""

    section: Section
    excerpt: str


def find(library: Library, question: str) -> Sequence[Hit]:
    """Sections in which each word of `question` stands, in the title of their page or their heading before anywhere else."""
    words = question.casefold()[:_LONGEST].split()
    if not words:
        return []
    weighed = [(_weight(one, words), one) for path in library.pages() for one in _sections(library, path)]
    best = sorted(((weight, one) for weight, one in weighed if weight), key=lambda pair: -pair[0])[:MOST]
    return [Hit(one, _excerpt(one.text, words)) for _, one in best]


def _weight(section: Section, words: Sequence[str]) -> int:
    """0 where a word stands nowhere in it."""
    places = (
        (section.title.casefold(), _TITLE),
        (section.heading.casefold(), _HEADING),
        (section.text.casefold(), _BODY),
    )
    each = [sum(weight for text, weight in places if word in text) for word in words]
    return sum(each) if all(each) else 0


def _sections(library: Library, path: str) -> Iterator[Section]:
    """A page by its headings; what stands in a fence is text, whatever it begins with."""
    title, heading, id, lines = path, "", "", list[str]()
    seen: Counter[str] = Counter()
    fenced = False
    for line in library.raw(path).decode(errors="replace").splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
            continue
        headed = None if fenced else _HEADED.match(line)
        if headed is None:
            lines.append(line)
            continue
        if lines:
            yield Section(path, title, id, heading or title, _plain(lines))
        heading, lines = headed[2].strip(), []
        plain = re.sub(r"[`*]", "", heading)
        id = anchor(plain) + (f"-{seen[plain]}" if seen[plain] else "")
        seen[plain] += 1
        title = plain if len(headed[1]) == 1 else title
        heading = plain
    yield Section(path, title, id, heading or title, _plain(lines))


def _plain(lines: Sequence[str]) -> str:
    """Words without the marks of Markdown."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(lines))
    return re.sub(r"\s+", " ", re.sub(r"\||-{3,}", " ", re.sub(r"[`*]", "", text))).strip()


def _excerpt(text: str, words: Sequence[str]) -> str:
    folded = text.casefold()
    at = min((place for word in words if (place := folded.find(word)) >= 0), default=0)
    start, end = max(0, at - _AROUND), at + _AROUND
    return ("… " if start else "") + text[start:end].strip() + (" …" if end < len(text) else "")
