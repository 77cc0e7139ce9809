"""What comes of asking the register, and how its cells looked."""

from dataclasses import dataclass

from catalyst_continuum.domain.record import Lease


@dataclass(frozen=True, slots=True)
class Committed:
    """The record as the register has it; `sent_at` on the clock that counts suspension, before the first message left."""

    lease: Lease | None
    sent_at: float


@dataclass(frozen=True, slots=True)
class Refused:
    """The operation refused on the committed record `lease`."""

    lease: Lease | None
    why: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Too few cells answered, or too many proposers competed: it may have happened."""

    why: str


Outcome = Committed | Refused | Unknown


@dataclass(frozen=True, slots=True)
class NotQuarantined:
    """The cell shows no less than it once did."""


@dataclass(frozen=True, slots=True)
class CellView:
    """What a cell showed at the last look.

    lag          ballots that it is behind the one that is ahead
    quarantined  whether it counts as down because it shows less than was seen of it
    identity     id and incarnation; empty where unknown
    """

    name: str
    reachable: bool
    ballot: int = 0
    rtt: float = 0.0
    message: str = ""
    lag: int = 0
    quarantined: bool = False
    identity: str = ""
