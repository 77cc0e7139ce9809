"""Sigstore's bundles that were attached to a manifest as its referrers, where newer signers put them.

Both what is signed and what is stated about a manifest come in bundles; which of them one is, its content says.
sources: OCI distribution specification 1.1 (listing referrers), cosign's specification of attached bundles
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from catalyst_sdk import Permanent

from .documents import descriptors, document, layers
from .shelves import Shelf

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
MOST = 50
"""Referrers that are looked at; whoever may write to the repository can attach any number."""
_SIGNING = "https://sigstore.dev/cosign/sign/"
"""Type of a statement that says no more than a signature."""


async def bundles(shelf: Shelf, repository: str, digest: str) -> tuple[list[bytes], list[bytes]]:
    """Signatures of a manifest, and attestations about it. Raises PluginFailure."""
    index = await shelf.referrers(repository, digest)
    found = descriptors(index, "manifests") if index is not None else []
    attached = [one for one in found if one.get("artifactType") == BUNDLE]
    held = [raw for one in attached[:MOST] for raw in await _of(shelf, repository, str(one.get("digest")))]
    signatures = [raw for raw in held if _is_signature(raw)]
    return signatures, [raw for raw in held if raw not in signatures]


async def _of(shelf: Shelf, repository: str, digest: str) -> list[bytes]:
    found = await shelf.manifest(repository, digest)
    described = layers(found[0]) if found else []
    return [await shelf.blob(repository, str(one.get("digest"))) for one in described if one.get("mediaType") == BUNDLE]


def _is_signature(bundle: bytes) -> bool:
    """Whether a bundle signs the bytes, or states nothing else about them."""
    try:
        told = document(bundle)
        return "messageSignature" in told or _predicate(told).startswith(_SIGNING)
    except (Permanent, ValueError, TypeError, KeyError, binascii.Error):
        return True  # what cannot be read is a bad signature, and is told as one


def _predicate(bundle: Mapping[str, Any]) -> str:
    return str(document(base64.b64decode(bundle["dsseEnvelope"]["payload"])).get("predicateType", ""))
