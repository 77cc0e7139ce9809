"""Versions and npm style ranges of them, each text parsed once.

Order is semantic versioning's with build metadata ignored. A pre-release matches only a range that names one of the
same release, unless its source has them count as any other version: `spans`.
"""

from functools import lru_cache
from typing import Any

from semantic_version import NpmSpec, Version
from semantic_version.base import AllOf, AnyOf, Range

from .refusals import RangeInvalid

LONGEST = 200
"""Characters of a range that are read at all."""


# Pure functions of short texts: remembering their answers changes nothing but the time (a closure asks thousands).
@lru_cache(maxsize=65_536)
def version(text: str) -> Version:
    """Parse an exact version. Raises ValueError."""
    return Version(text)


@lru_cache(maxsize=65_536)
def parse(text: str) -> NpmSpec:
    """Parse a range. Raises RangeInvalid."""
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    if not text.strip() or len(text) > LONGEST:
        raise RangeInvalid(range=shown)
    try:
        return NpmSpec(text.strip())
    except ValueError as error:
        raise RangeInvalid(range=shown) from error


@lru_cache(maxsize=262_144)
def matches(text: str, candidate: str) -> bool:
    """Whether version `candidate` lies in range `text`. Raises RangeInvalid."""
    return bool(parse(text).match(version(candidate)))


@lru_cache(maxsize=65_536)
def spans(text: str, candidate: str) -> bool:
    """Whether `candidate` lies between the bounds of `text`, whether or not this names pre-releases. Raises RangeInvalid."""
    return matches(text, candidate) or _lies_in(parse(text).clause, version(candidate))


def _lies_in(clause: Any, candidate: Version) -> bool:
    if isinstance(clause, AnyOf):
        return any(_lies_in(one, candidate) for one in clause.clauses)
    if isinstance(clause, AllOf):
        return all(_lies_in(one, candidate) for one in clause.clauses)
    if not isinstance(clause, Range):
        return bool(clause.match(candidate))
    if clause.operator == Range.OP_LT and not clause.target.prerelease:
        # What precedes 2.0.0 by being its candidate is not what `<2.0.0` means: `^1` would take it.
        return bool(candidate.truncate() < clause.target)
    return bool(Range(clause.operator, clause.target, prerelease_policy=Range.PRERELEASE_ALWAYS).match(candidate))


def is_version(text: str) -> bool:
    """Whether `text` is one exact version."""
    try:
        version(text)
    except ValueError:
        return False
    return True


def newest_first(texts: list[str]) -> list[str]:
    """Versions in descending order."""
    return sorted(texts, key=lambda text: version(text).precedence_key, reverse=True)
