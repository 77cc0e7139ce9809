"""Contract of the kind `blueprint_source`: where Blueprints come from.

One plugin serves many sources of its kind; each call says which one by its `Location`. A source is only read.

What every source promises:
  by digest     equal bytes have equal digests, on every machine; other bytes have another one;
  as listed     `fetch` answers the bytes whose digest was asked for, or refuses;
  contained     nothing outside the location is read, whatever links and paths inside it say.
"""

import hashlib
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
    """What it is called in its source; unique there."""
    digest: str = ""
    """Digest of its bytes; empty where the source cannot tell without reading them."""
    version: str = ""
    """Version, where the source keeps several of one item."""
    name: str = ""
    """Name of the folder, where that is not `path`: of several versions of one item it is the same."""


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
    """Each `{"payload": base64, "signature": base64}`: cosign's simple signing of the digest; of keyless signers with
    `certificate` (PEM), `chain` (PEM) and `bundle` (JSON) as cosign notes them. Or Sigstore's bundle as it is."""
    attestations: tuple[bytes, ...] = ()
    """Each a DSSE envelope around an in-toto statement about the digest."""
    executables: frozenset[str] = frozenset()
    """Paths of files that may be executed, as the digest of a folder counts them."""
    manifest: bytes = b""
    """The manifest that has the digest, where it is no folder's, and below the one archive that it names: so they can be
    kept, and shown to whoever asks for the digest."""
    archive: bytes = b""


def folder_digest(files: Mapping[str, tuple[bytes, bool]]) -> str:
    """Digest of a folder, for sources that have none of their own: SHA-256 over its sorted paths, modes and SHA-256.

    files   content, and whether it may be executed, by path
    """
    total = hashlib.sha256()
    for name in sorted(files):
        content, is_executable = files[name]
        mode = "x" if is_executable else "-"
        # The length stands before the path: a name with a line break in it must not look like two files.
        total.update(f"{len(name.encode())} {name} {mode} {hashlib.sha256(content).hexdigest()}\n".encode())
    return f"sha256:{total.hexdigest()}"


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
