"""Proofs that a log holds an entry: the way from its leaf to a root that the log has signed.

A proof holds where the hashes lead from the entry to the root that it names, and where the log's checkpoint names the same
root of a tree of the same size. Who signed the checkpoint, the caller asks.
sources: RFC 6962 §2.1, RFC 9162 §2.1.3.2, the signed note and the checkpoint of C2SP
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HINT_BYTES = 4
"""Bytes before each signature of a note, by which its key is found: of Rekor's the first of the log's id."""
_DASH = "\N{EM DASH} "


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log said of itself."""

    size: int
    root: bytes
    said: bytes
    """The bytes that its signatures sign."""
    signatures: tuple[tuple[bytes, bytes], ...]
    """Hint of the key, and signature."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The way from one entry to the root of a tree."""

    index: int
    size: int
    root: bytes
    hashes: tuple[bytes, ...]
    checkpoint: Checkpoint


def of_bundle(told: Mapping[str, Any] | None) -> Proof | None:
    """The proof of an entry of a bundle; None where it has none, or one whose root nobody signed.

    Raises what parsing a stranger's bytes does.
    """
    text = ((told or {}).get("checkpoint") or {}).get("envelope", "")
    if told is None or not text:
        return None
    return Proof(
        int(told.get("logIndex", 0)),
        int(told["treeSize"]),
        base64.b64decode(told["rootHash"]),
        tuple(map(base64.b64decode, told.get("hashes", ()))),
        checkpoint(text),
    )


def checkpoint(text: str) -> Checkpoint:
    """A checkpoint as it is written. Raises ValueError for any other text."""
    said, _, signed = text.rpartition("\n\n")
    lines = said.split("\n")
    if not said or len(lines) < 3 or not signed.endswith("\n"):
        raise ValueError("no checkpoint of a log")
    return Checkpoint(
        int(lines[1]),
        base64.b64decode(lines[2], validate=True),
        f"{said}\n".encode(),
        tuple(_signature(line) for line in signed.splitlines()),
    )


def holds(proof: Proof, body: bytes) -> bool:
    """Whether the tree of the checkpoint has `body` as its entry at the place that the proof names."""
    same = (proof.checkpoint.size, proof.checkpoint.root) == (proof.size, proof.root)
    leaf = hashlib.sha256(b"\0" + body).digest()
    return same and _root(proof.index, proof.size, leaf, proof.hashes) == proof.root


def _root(index: int, size: int, leaf: bytes, hashes: Sequence[bytes]) -> bytes | None:
    """The root to which hashes lead; None where they are too few or too many for a tree of that size."""
    if not 0 <= index < size:
        return None
    place, last, found = index, size - 1, leaf
    for one in hashes:
        if last == 0:
            return None
        if place % 2 or place == last:
            found = hashlib.sha256(b"\1" + one + found).digest()
            while place % 2 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\1" + found + one).digest()
        place, last = place >> 1, last >> 1
    return found if last == 0 else None


def _signature(line: str) -> tuple[bytes, bytes]:
    name, _, encoded = line.removeprefix(_DASH).rpartition(" ")
    raw = base64.b64decode(encoded, validate=True)
    if not line.startswith(_DASH) or not name or len(raw) <= HINT_BYTES:
        raise ValueError("no signature of a note")
    return raw[:HINT_BYTES], raw[HINT_BYTES:]
