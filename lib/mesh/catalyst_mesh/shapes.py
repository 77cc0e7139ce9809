"""What a pattern of the contract asks for, in words: people are told how a name is written before they see its expression.

Of a text that does not match, the words name what it breaks. Nothing of the text itself is repeated: it may be a secret.
A pattern that the words would tell wrong, or that a text breaks in another way, is shown as it is.
"""

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from re import _constants as sre  # the tree of a pattern has no public door
from re import _parser
from typing import Any

_KNOWN = frozenset(string.printable) - frozenset(string.whitespace)
_RANGES = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
_OPTIONAL = re.compile(r"\((?P<part>[^()]*/)\)\?(?P<rest>.*)")


def broken(pattern: str, text: str) -> str:
    """How `text`, which does not match, should be written: a sentence's end after the name of its field."""
    whole = pattern.removeprefix("^").removesuffix("$").replace("[[", "[\\[")  # Python warns of a set in a set
    if optional := _OPTIONAL.fullmatch(whole):
        # `(organizations/…/)?blueprints/…`: the one of the two that the text begins as.
        begins = text.startswith(optional["part"].partition("/")[0] + "/")
        whole = optional["part"] + optional["rest"] if begins else optional["rest"]
    segments = _segments(whole)
    if len(segments) == 1 or "" in segments:  # the latter is an address
        return _told("", whole, text) or f"is not of the form {pattern}"
    form = "/".join(one if _is_plain(one) else "…" for one in segments)
    parts = text.split("/")
    if len(parts) != len(segments) or any(_is_plain(s) and s != p for s, p in zip(segments, parts, strict=True)):
        return f"write it as {form}"
    for before, segment, part in zip(["", *segments], segments, parts, strict=False):
        if not re.fullmatch(segment, part):
            what = f"what follows {before}/" if before else "its beginning"
            return f"write it as {form}; {_told(what, segment, part) or f'{what} is not of the form {segment}'}"
    return f"is not of the form {pattern}"


def _told(what: str, segment: str, text: str) -> str:
    """The words for one segment; empty where they do not tell what is wrong with the text."""
    shape = _shape(segment)
    if shape is None or shape.holds(text):
        return ""
    return f"{what} {shape.words()}".lstrip()


@dataclass(frozen=True, slots=True)
class Shape:
    """What holds of every text that matches a pattern without `/`: lengths and sets of characters."""

    prefix: str
    least: int
    most: int
    first: frozenset[str]
    last: frozenset[str]
    every: frozenset[str]

    def holds(self, text: str) -> bool:
        """Whether a text is so."""
        rest = text.removeprefix(self.prefix)
        if not text.startswith(self.prefix) or not self.least <= len(rest) <= self.most or not set(rest) <= self.every:
            return False
        return not rest or (rest[0] in self.first and rest[-1] in self.last)

    def words(self) -> str:
        """`must have 3 to 63 characters of a-z, 0-9 and -, the first of a-z`."""
        said = [f"have {self._length()} of {_named(self.every)}"]
        said += [f"the first of {_named(self.first)}"] if self.first != self.every else []
        said += [f"the last of {_named(self.last)}"] if self.last != self.every and self.most > 1 else []
        begin = f"must begin with {self.prefix}, then " if self.prefix else "must "
        return begin + ", ".join(said)

    def _length(self) -> str:
        if self.least == self.most:
            return f"{self.least} character{'s' * (self.least != 1)}"
        if self.most >= sre.MAXREPEAT:
            return f"{self.least} or more characters"
        return f"{self.least} to {self.most} characters"


@lru_cache(maxsize=1024)
def _shape(segment: str) -> Shape | None:
    tree = list(_parser.parse(segment))
    prefix = ""
    while tree and tree[0][0] is sre.LITERAL:
        prefix += chr(tree.pop(0)[1])
    rest = segment[len(re.escape(prefix)) :] if segment.startswith(re.escape(prefix)) else segment[len(prefix) :]
    try:
        ends = _sequence(tree)
    except _Unknown:
        return None
    least, most = _parser.parse(rest).getwidth()
    return Shape(prefix, least, most, ends.first, ends.last, ends.every) if tree else None


@lru_cache(maxsize=1024)
def _segments(pattern: str) -> tuple[str, ...]:
    """A pattern cut at each `/` that stands outside of sets and groups."""
    found, depth, begin, i = [], 0, 0, 0
    while i < len(pattern):
        sign = pattern[i]
        if sign == "\\":
            i += 1
        elif sign == "[":
            i = pattern.index("]", i + 2)  # in a set that begins with it, `]` stands for itself
        elif sign in "()":
            depth += 1 if sign == "(" else -1
        elif sign == "/" and not depth:
            found.append(pattern[begin:i])
            begin = i + 1
        i += 1
    return (*found, pattern[begin:])


def _is_plain(segment: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_-]+", segment) is not None


class _Unknown(Exception):
    """A part of a pattern of which no words are made."""


@dataclass(frozen=True, slots=True)
class _Ends:
    first: frozenset[str]
    last: frozenset[str]
    every: frozenset[str]
    may_be_empty: bool


_NOTHING = _Ends(frozenset(), frozenset(), frozenset(), may_be_empty=True)


def _sequence(tree: Any) -> _Ends:
    whole = _NOTHING
    for op, argument in tree:
        one = _ends(op, argument)
        whole = _Ends(
            whole.first | one.first if whole.may_be_empty else whole.first,
            whole.last | one.last if one.may_be_empty else one.last,
            whole.every | one.every,
            whole.may_be_empty and one.may_be_empty,
        )
    return whole


def _ends(op: Any, argument: Any) -> _Ends:
    if op is sre.LITERAL:
        return _of(frozenset(chr(argument)))
    if op is sre.IN:
        return _of(frozenset(_members(argument)))
    if op is sre.SUBPATTERN:
        return _sequence(argument[3])
    if op is sre.MAX_REPEAT:
        least, _, inner = argument
        one = _sequence(inner)
        return _Ends(one.first, one.last, one.every, one.may_be_empty or least == 0)
    if op is sre.BRANCH:
        if any(sum(op is sre.LITERAL for op, _ in way) > 1 for way in argument[1]):
            raise _Unknown  # words, not letters
        ways = [_sequence(way) for way in argument[1]]
        return _Ends(
            frozenset().union(*(way.first for way in ways)), frozenset().union(*(way.last for way in ways)),
            frozenset().union(*(way.every for way in ways)), any(way.may_be_empty for way in ways),
        )  # fmt: skip
    raise _Unknown


def _of(characters: frozenset[str]) -> _Ends:
    return _Ends(characters, characters, characters, may_be_empty=False)


def _members(items: Any) -> Iterator[str]:
    for op, argument in items:
        if op is sre.LITERAL:
            yield chr(argument)
        elif op is sre.RANGE:
            yield from map(chr, range(argument[0], argument[1] + 1))
        else:  # `[^/]`, `\w`: too many to name
            raise _Unknown


def _named(characters: frozenset[str]) -> str:
    """`a-z, 0-9 and -`."""
    rest, said = set(characters), []
    for known in _RANGES:
        said += [_range(run) for run in _runs(sorted(rest & set(known)))]
        rest -= set(known)
    said += ["space" if one == " " else one for one in sorted(rest)]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"


def _runs(letters: list[str]) -> Iterator[list[str]]:
    run: list[str] = []
    for letter in letters:
        if run and ord(letter) != ord(run[-1]) + 1:
            yield run
            run = []
        run.append(letter)
    if run:
        yield run


def _range(run: list[str]) -> str:
    return f"{run[0]}-{run[-1]}" if len(run) > 2 else " and ".join(run)
