"""What a cell holds: the highest promise, the last accepted ballot, and the value accepted with it (CASPaxos).

`p=<ballot> a=<ballot or -> <value or ->`, a ballot being `<counter>.<proposer>`. Ballots are ordered by counter, then by
proposer; one ballot never carries two values, because proposers are drawn anew at each start of a process.
"""

from dataclasses import dataclass
from functools import total_ordering

from .record import Corrupt


@total_ordering
@dataclass(frozen=True, slots=True)
class Ballot:
    """A proposal's number."""

    counter: int
    proposer: str

    def __lt__(self, other: "Ballot") -> bool:
        return (self.counter, self.proposer) < (other.counter, other.proposer)

    def __str__(self) -> str:
        return f"{self.counter}.{self.proposer}"

    def next_of(self, proposer: str) -> "Ballot":
        """The lowest ballot of `proposer` above this one."""
        return Ballot(self.counter + 1, proposer)


ZERO = Ballot(0, "")


@dataclass(frozen=True, slots=True)
class Acceptor:
    """The state of one cell for one slot."""

    promised: Ballot = ZERO
    accepted: Ballot = ZERO
    value: str = ""

    @property
    def has_value(self) -> bool:
        """Whether anything was ever accepted here."""
        return self.accepted != ZERO


UNWRITTEN = Acceptor()
"""A cell that never heard of the slot."""


def write(acceptor: Acceptor) -> bytes:
    """The bytes of a cell."""
    accepted = str(acceptor.accepted) if acceptor.has_value else "-"
    return f"p={acceptor.promised} a={accepted} {acceptor.value or '-'}".encode("ascii")


def read(raw: bytes | None) -> Acceptor:
    """The state that `raw` holds; None is a cell that never heard of the slot. Raises Corrupt."""
    if raw is None:
        return UNWRITTEN
    try:
        promised, accepted, value = raw.decode("ascii").split(" ", 2)
    except ValueError as error:
        raise Corrupt("not the state of a cell") from error
    if not promised.startswith("p=") or not accepted.startswith("a="):
        raise Corrupt("not the state of a cell")
    state = Acceptor(
        parsed(promised[2:]),
        ZERO if accepted == "a=-" else parsed(accepted[2:]),
        "" if value == "-" else value,
    )
    if write(state) != raw:
        raise Corrupt("not written as the state of a cell is written")
    return state


def parsed(text: str) -> Ballot:
    """The ballot that `text` names. Raises Corrupt."""
    counter, _, proposer = text.partition(".")
    if not counter.isdigit() or not proposer:
        raise Corrupt(f"no ballot: {text!r}")
    return Ballot(int(counter), proposer)
