"""The record behind every event of a slot, chained so that a gap or a change shows (proof for DORA and NIS2).

Invariants
  one chain     each region tells a slot's events in one chain: a record names the hash of the one before it;
  all of it     the hash covers every field of the record, the name of the slot and its version;
  I15 AuditComplete   versions grow by one with each record, so that a record that is missing is seen.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Record:
    """What every event tells. `lag` in seconds, None: unknown or beside the point; `step` as `N/M`."""

    continuum: str
    version: int
    type: str
    region: str
    epoch: int
    seq: int
    at: datetime
    application: str = ""
    from_primary: str = ""
    to_primary: str = ""
    lag: float | None = None
    step: str = ""
    reason: str = ""
    message: str = ""
    initiated_by: str = ""
    run: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)
    prev_hash: str = ""
    hash: str = ""


def digest(record: Record) -> str:
    """SHA-256 of all of a record but its own hash, in hex: of its fields as JSON, sorted, without spaces."""
    at = record.at.astimezone(UTC)
    fields = {
        name: getattr(record, name)
        for name in Record.__slots__
        if name not in ("hash", "at", "lag", "evidence")
    } | {
        # Whole numbers, so that every way of carrying them gives them back as they were.
        "at": int(at.timestamp()) * 1_000_000 + at.microsecond,
        "lag": None if record.lag is None else round(record.lag * 1_000_000),
        "evidence": dict(record.evidence),
    }  # fmt: skip
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def breaks(records: Sequence[Record]) -> Iterator[str]:
    """What is wrong with a chain, from its first record on; nothing: it is whole."""
    previous: Record | None = None
    for record in records:
        here = f"version {record.version}"
        if record.hash != digest(record):
            yield f"{here}: the record is not the one that was hashed"
        if previous is None and record.version == 1 and record.prev_hash:
            yield f"{here}: the first record follows another one"
        if previous is not None and record.prev_hash != previous.hash:
            yield f"{here}: does not follow version {previous.version}"
        if previous is not None and record.version != previous.version + 1:
            yield f"{here}: comes after version {previous.version}"
        previous = record
