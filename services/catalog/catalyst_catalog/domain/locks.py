"""A lock: the answer of the solver as canonical JSON, with a digest that depends on nothing else."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .closure import waves
from .provider import Policy, Root
from .ranges import version
from .solver import Chosen, Solution
from .universe import Release

LOCK_VERSION = 1
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """One locked version, with what an installer needs to know of it."""

    release: Release
    parents: tuple[tuple[str, str], ...]
    """Who needs it, with the alias used there; '' is the caller."""
    needs: tuple[str, ...]
    config_hash: str
    wave: int
    """Number of its install wave, from 0."""
    is_installed: bool = False
    """Whether some version of it stands already."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """With defaults and what its parents pass to it."""


@dataclass(frozen=True, slots=True)
class Move:
    """An installed version that changes."""

    name: str
    before: str
    after: str
    is_downgrade: bool


@dataclass(frozen=True, slots=True)
class Lock:
    """What to install, in which order."""

    catalog_revision: int
    roots: tuple[Root, ...]
    entries: tuple[Entry, ...]
    waves: tuple[tuple[str, ...], ...]
    moves: tuple[Move, ...]
    digest: str


def lock(solution: Solution, policy: Policy, catalog_revision: int) -> Lock:
    """The lock of a solution. Raises DependencyCycle."""
    order = waves({one.release.name: one.needs for one in solution.chosen})
    wave = {name: number for number, names in enumerate(order) for name in names}
    entries = tuple(_entry(one, wave[one.release.name], policy) for one in solution.chosen)
    moves = tuple(move for one in solution.chosen if (move := _move(one, policy)))
    return Lock(catalog_revision, solution.roots, entries, order, moves, digest(solution.roots, entries))


def digest(roots: tuple[Root, ...], entries: tuple[Entry, ...]) -> str:
    """SHA-256, hexadecimal, over what the lock says. The revision is left out: what others publish must not change a lock."""
    document = {
        "lock_version": LOCK_VERSION,
        "roots": [{"name": root.name, "range": root.range} for root in roots],
        "entries": [_canonical(entry) for entry in entries],
    }
    return hashlib.sha256(_CANONICAL.encode(document).encode()).hexdigest()


def _entry(one: Chosen, wave: int, policy: Policy) -> Entry:
    is_installed = one.release.name in policy.installed
    return Entry(one.release, one.parents, one.needs, one.config_hash, wave, is_installed, one.config)


def _canonical(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.release.name,
        "version": entry.release.version,
        "digest": entry.release.digest,
        "source": entry.release.source,
        "parents": entry.parents,
        "config_hash": entry.config_hash,
    }


def _move(one: Chosen, policy: Policy) -> Move | None:
    before = policy.installed.get(one.release.name)
    if before is None or before == one.release.version:
        return None
    return Move(one.release.name, before, one.release.version, version(one.release.version) < version(before))
