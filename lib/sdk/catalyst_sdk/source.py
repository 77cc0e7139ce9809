"""Contract of the kind `blueprint_source`: where Blueprints come from.

One plugin serves many sources of its kind; each call says which one by its `Location`. A source is only read.

What every source promises:
  by digest     equal bytes have equal digests, on every machine; other bytes have another one;
  as listed     `fetch` answers the bytes whose digest was asked for, or refuses;
  contained     nothing outside the location is read, whatever links and paths inside it say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .secrets import SecretRef

CAPABILITIES = frozenset({"digests", "signatures", "incremental", "webhook"})
"""What a source may declare."""

REASONS = frozenset({"CONFIG", "NOT_FOUND", "AUTH", "PATH_ESCAPES", "TOO_LARGE", "UNREADABLE"})
"""Reasons of a `Permanent` from a source."""


@dataclass(frozen=True, slots=True)
class Location:
    """One source: its settings after the plugin's documentation, and the credential if it needs one."""

    config: Mapping[str, Any] = field(default_factory=dict)
    credential: SecretRef | None = None


@dataclass(frozen=True, slots=True)
class Ref:
    """One item of a source, normally a folder with a manifest."""

    path: str
    """Name of the folder; unique in the source."""
    digest: str = ""
    """Digest of its bytes; empty where the source cannot tell without reading them."""
    version: str = ""
    """Version, where the source keeps several of one item."""


@dataclass(frozen=True, slots=True)
class RefPage:
    """Some items in order of their paths, and where to go on; `next_cursor` empty: these were the last."""

    refs: tuple[Ref, ...]
    next_cursor: str = ""


@dataclass(frozen=True, slots=True)
class Artifact:
    """The bytes of one item, by path inside its folder."""

    files: Mapping[str, bytes]
    digest: str
    media_type: str = ""
    signatures: tuple[bytes, ...] = ()
    attestations: tuple[bytes, ...] = ()


class BlueprintSource(Protocol):
    """Reads Blueprints from one kind of place."""

    async def list(self, *, at: Location, cursor: str = "") -> RefPage:
        """Every item of the source, by pages.

        cursor   empty: from the start; else `next_cursor` of the page before
        raises   Permanent where the location can never be read, Temporary where it cannot be read now
        """
        ...

    async def fetch(self, *, at: Location, ref: Ref) -> Artifact:
        """The bytes of `ref`. An item that changed since it was listed has another digest than `ref`.

        raises   Permanent(NOT_FOUND, PATH_ESCAPES, TOO_LARGE, UNREADABLE) for this item alone, Temporary
        """
        ...

    async def probe(self, *, at: Location) -> None:
        """Ask whether the location can be read. Raises what `list` would."""
        ...
