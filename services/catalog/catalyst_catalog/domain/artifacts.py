"""The bytes of versions, kept: what was taken in can be had again, whatever has become of its source.

Invariants
  same digest   what is kept is enough to make its digest anew: the files with their modes, or the manifest and the archive
                that it names;
  same bytes    an archive that we make of a folder is the same for the same files.
"""

import gzip
import io
import tarfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from catalyst_sdk.source import Artifact


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of an artifact."""

    digest: str
    media_type: str
    archive: bytes
    """Its files, as `tar` and `gzip`."""
    manifest: bytes
    """The manifest that has the digest and names the archive; empty: the digest is that of the folder."""
    signatures: tuple[bytes, ...] = ()
    attestations: tuple[bytes, ...] = ()


def kept(artifact: Artifact) -> Kept:
    """What is kept of what a source gave."""
    archive = artifact.archive or packed(artifact.files, artifact.executables)
    return Kept(
        artifact.digest, artifact.media_type, archive, artifact.manifest, artifact.signatures, artifact.attestations
    )


def packed(files: Mapping[str, bytes], executables: Collection[str]) -> bytes:
    """The files of a folder as `tar` and `gzip`; who reads them learns nothing of when or where they were packed."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(files):
            member = tarfile.TarInfo(path)
            member.size = len(files[path])
            member.mode = 0o755 if path in executables else 0o644
            archive.addfile(member, io.BytesIO(files[path]))
    return gzip.compress(made.getvalue(), mtime=0)
