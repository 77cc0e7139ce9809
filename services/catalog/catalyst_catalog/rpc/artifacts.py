"""Bytes of versions as messages."""

from catalyst.catalog.v1 import service_pb2 as rpc

from ..domain.artifacts import Kept

MOST = 1024 * 1024
"""Bytes of an archive in one answer, well below what one message may hold."""


def part(kept: Kept, offset: int) -> rpc.ReadArtifactResponse:
    """The archive from `offset` on; what is said about it goes with its first part."""
    end = offset + MOST
    found = rpc.ReadArtifactResponse(
        digest=kept.digest, media_type=kept.media_type, size_bytes=len(kept.archive), data=kept.archive[offset:end],
        next_offset=end if end < len(kept.archive) else 0,
    )  # fmt: skip
    if not offset:
        found.manifest = kept.manifest
        found.signatures.extend(kept.signatures)
        found.attestations.extend(kept.attestations)
    return found
