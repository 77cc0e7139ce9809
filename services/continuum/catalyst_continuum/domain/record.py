"""The lease as it stands in the register: one line of lower-case ASCII, at most 200 octets.

Cells compare whole values, some of them without case, so there is exactly one way to write a record.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

FORMAT = "c1"
MOST_OCTETS = 200
_REGION = re.compile(r"^[a-z][a-z0-9]*(-[a-z0-9]+){3,}$")
_WORD = re.compile(r"^[a-z0-9.:,/-]*$")
_KEYS = ("e", "q", "s", "h", "n", "t", "y", "w", "m", "o", "k", "x")


class Corrupt(ValueError):
    """A value that is no record; nothing is ever decided on it."""


class State(StrEnum):
    """What the record says about the right to write."""

    FREE = "free"
    HELD = "held"
    HANDOFF = "handoff"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may write.

    epoch    fencing token, +1 exactly when the right to write moves
    seq      +1 on every write
    holder   host-cluster name of the region, or empty
    ttl_ms   what the holder promised: it stops by itself when it could not renew for so long
    nonce    8 hex digits, so that two writes are never equal
    """

    epoch: int
    seq: int
    state: State
    holder: str = ""
    next: str = ""
    ttl_ms: int = 10_000
    sync: str = "0"
    lsn: str = "0"
    commit_ms: str = "0"
    run: str = ""
    phase: str = ""
    nonce: str = "00000000"


def write(lease: Lease) -> str:
    """The one way to write `lease`. Raises Corrupt where it does not fit."""
    values = (
        lease.epoch,
        lease.seq,
        lease.state,
        lease.holder or "-",
        lease.next or "-",
        lease.ttl_ms,
        lease.sync,
        lease.lsn,
        lease.commit_ms,
        lease.run or "-",
        lease.phase or "-",
        lease.nonce,
    )  # fmt: skip - in the order of the keys
    text = " ".join([FORMAT, *(f"{key}={value}" for key, value in zip(_KEYS, values, strict=True))])
    if len(text) > MOST_OCTETS or not all(_WORD.match(str(value)) for value in values):
        raise Corrupt(f"a record of {len(text)} octets does not fit, or has a character that cells do not keep")
    return text


def read(text: str) -> Lease:
    """Raises Corrupt for whatever `write` would not have written."""
    head, *fields = text.split(" ")
    pairs = [field.partition("=") for field in fields]
    if head != FORMAT or tuple(key for key, _, _ in pairs) != _KEYS:
        raise Corrupt(f"not a record of format {FORMAT}")
    value = {key: "" if text == "-" else text for key, _, text in pairs}
    try:
        lease = Lease(
            epoch=int(value["e"]), seq=int(value["q"]), state=State(value["s"]), holder=value["h"], next=value["n"],
            ttl_ms=int(value["t"]), sync=value["y"], lsn=value["w"], commit_ms=value["m"], run=value["o"], phase=value["k"],
            nonce=value["x"],
        )  # fmt: skip
    except ValueError as error:
        raise Corrupt(str(error)) from error
    if min(lease.epoch, lease.seq, lease.ttl_ms) < 0 or write(lease) != text:
        raise Corrupt("not written as a record is written")
    return lease


def is_region(name: str) -> bool:
    """Whether `name` can be the name of a region: a host cluster's, at most 32 characters."""
    return len(name) <= 32 and bool(_REGION.match(name))
