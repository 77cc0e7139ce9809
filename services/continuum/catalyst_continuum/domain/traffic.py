"""Names that follow the holder: one conditional update moves addresses and the mark of the epoch that they belong to.

Invariants
  I3  EffectMonotone  a name that was written in an epoch is never written in a lower one;
  I12 DNSSafe         a name always has an address, and the mark beside it names the epoch that wrote it;
  one mark, one write a mark is written once: each update counts it up, so that a writer that was delayed, by an epoch or by
                      a moment, finds another mark than the one it read, and changes nothing (RFC 2136 section 3.2).

The mark stands at `_continuum.<name>` as one TXT string, `e=<epoch> h=<holder> n=<count> k=<kinds> d=<digest>`. What was
written is known by its digest, so that even a server that computes its answers can be asked whether it has it.
"""

import hashlib
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_MARK = re.compile(r"e=([0-9]{1,18}) h=([a-z0-9-]{1,63}) n=([0-9]{1,18}) k=([a-z,]{1,16}) d=([0-9a-f]{8})")
ADDRESS_KINDS = ("A", "AAAA")
LUA = "LUA"
"""Records that a PowerDNS evaluates at each question; others do not have them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a name is to have: content by record type, in canonical form, and its lifetime in seconds."""

    records: Mapping[str, tuple[str, ...]]
    ttl: int

    @property
    def kinds(self) -> str:
        """The types as a mark names them."""
        return ",".join(sorted(self.records)).lower()

    @property
    def digest(self) -> str:
        """8 hex digits that differ where content or lifetime do."""
        text = "\n".join(f"{kind} {line}" for kind in sorted(self.records) for line in self.records[kind])
        return hashlib.sha256(f"{self.ttl}\n{text}".encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands beside a name.

    number   counts the updates of one epoch, from 1
    kinds    types of record that the name has from us
    digest   of what it has
    """

    epoch: int
    holder: str
    number: int
    kinds: str
    digest: str

    def __str__(self) -> str:
        return f"e={self.epoch} h={self.holder} n={self.number} k={self.kinds} d={self.digest}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What an authority has at a name.

    marks       texts of the TXT records of the mark; more than one, or one that is no mark, are somebody else's
    addresses   by type, as it answers them
    ttl         the lowest of the lifetimes; None: there is no address
    """

    marks: tuple[str, ...] = ()
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ttl: int | None = None

    @property
    def mark(self) -> Mark | None:
        """The mark, where there is one that can be read."""
        match = _MARK.fullmatch(self.marks[0]) if len(self.marks) == 1 else None
        return Mark(int(match[1]), match[2], int(match[3]), match[4], match[5]) if match else None

    def all_addresses(self) -> tuple[str, ...]:
        """Of both families, sorted."""
        return tuple(sorted(one for some in self.addresses.values() for one in some))


@dataclass(frozen=True, slots=True)
class Update:
    """One update of one name, all or nothing.

    only_if    texts that the mark's TXT record set must equal; empty: it must not exist; None: whatever it is
    mark       the new mark
    removed    types of record that go
    """

    only_if: tuple[str, ...] | None
    mark: Mark
    wanted: Wanted
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stale:
    """The name belongs to a newer epoch already."""

    why: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """What stands there is none of ours, or what is wanted is no answer: people have to look."""

    why: str


def move(seen: Seen, epoch: int, holder: str, wanted: Wanted) -> Update | Stale | Foreign | None:
    """Bring a name to the holder of `epoch`; None: it is there."""
    if not any(wanted.records.values()):
        return Foreign("a name is never left without an address")
    mark = seen.mark
    if mark is None:
        if seen.marks:
            return Foreign(f"the mark {' / '.join(seen.marks)!r} is none of ours")
        return Update((), Mark(epoch, holder, 1, wanted.kinds, wanted.digest), wanted, _removed("", wanted))
    if mark.epoch > epoch:
        return Stale(f"the name belongs to epoch {mark.epoch}")
    if mark.epoch == epoch and mark.holder != holder:
        return Stale(f"epoch {epoch} has the holder {mark.holder} already")
    if has(seen, epoch, holder, wanted):
        return None
    number = mark.number + 1 if mark.epoch == epoch else 1
    new = Mark(epoch, holder, number, wanted.kinds, wanted.digest)
    return Update((str(mark),), new, wanted, _removed(mark.kinds, wanted))


def has(seen: Seen, epoch: int, holder: str, wanted: Wanted) -> bool:
    """Whether the name has what is wanted, and from this epoch. Addresses that somebody changed by hand are not."""
    mark = seen.mark
    if mark is None or (mark.epoch, mark.holder, mark.digest) != (epoch, holder, wanted.digest):
        return False
    return LUA in wanted.records or (seen.ttl == wanted.ttl and dict(seen.addresses) == dict(wanted.records))


def _removed(before: str, wanted: Wanted) -> tuple[str, ...]:
    there = {*ADDRESS_KINDS, *filter(None, before.upper().split(","))}
    return tuple(sorted(there - set(wanted.records)))


def addressed(addresses: Sequence[str], ttl: int) -> Wanted:
    """What a name has that leads to these addresses. Raises ValueError where one is none."""
    found: dict[str, set[str]] = {}
    for text in addresses:
        address = ipaddress.ip_address(text)
        found.setdefault(ADDRESS_KINDS[address.version == 6], set()).add(str(address))
    return Wanted({kind: tuple(sorted(some)) for kind, some in sorted(found.items())}, ttl)
