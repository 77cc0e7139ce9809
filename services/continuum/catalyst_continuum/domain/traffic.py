"""Names that follow the holder: one conditional update moves addresses and the epoch that they belong to.

Invariants
  I3  EffectMonotone  a name that was written in an epoch is never written in a lower one;
  I12 DNSSafe         a name always has an address, and the mark beside it names the epoch that wrote it.

A writer that was delayed finds another mark than the one it read, and changes nothing (RFC 2136 section 3.2).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_MARK = re.compile(r"^e=([0-9]+) h=([a-z0-9-]+)$")


@dataclass(frozen=True, slots=True)
class Update:
    """One update of one name, all or nothing.

    only_if    texts that the mark's TXT record set must equal; empty: it must not exist; None: whatever it is
    mark       the new mark
    addresses  the new addresses, never none
    """

    only_if: tuple[str, ...] | None
    mark: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stale:
    """The name belongs to a newer epoch already, or its mark is none of ours."""

    why: str


def move(mark: str | None, epoch: int, holder: str, addresses: Sequence[str]) -> Update | Stale | None:
    """Move a name whose mark is `mark` (None: it has none) to the holder of `epoch`; None: it is there."""
    if not addresses:
        return Stale("a name is never left without an address")
    wanted = f"e={epoch} h={holder}"
    if mark is None:
        return Update((), wanted, tuple(addresses))
    match = _MARK.match(mark)
    if match is None:
        return Stale(f"the mark {mark!r} is none of ours")
    if int(match[1]) > epoch:
        return Stale(f"the name belongs to epoch {match[1]}")
    if mark == wanted:
        return None
    if int(match[1]) == epoch:
        return Stale(f"epoch {epoch} has the holder {match[2]} already")
    return Update((mark,), wanted, tuple(addresses))
