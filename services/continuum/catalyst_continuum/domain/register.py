"""One round of CASPaxos as a pure machine: what is heard goes in, what is to be sent comes out. No clock, no network.

Each cell is an acceptor whose step is one compare-and-swap on (promised, accepted, value). "Write to all, count the yes" is
no lease: two writers can each get a part, and a torn write blocks readers for ever.

Invariants
  I7 LinearizableRegister  what a round commits, or refuses upon, every later round builds on;
  I8 MinorityInert         nothing is decided, and nothing refused, on fewer than `majority` cells;
  one value a ballot       a round writes one value, and whoever goes on without asking anew has a ballot of its own;
  unknown is not no        a round that ends TORN may be committed later, by anybody's write-back;
  no forgetting            a cell that shows less than it once showed is as good as silent, until it is admitted: a majority of
                           all cells, found among the others, has what is copied to it;
  no second beginning      where a value was once accepted, a register that shows none is not begun anew.

Seats go their way alone: none waits for a slow one. Once a majority has accepted, the round is over; what is still under
way may arrive and repairs a cell that fell behind.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from catalyst_sdk.witness import Swap

from . import ballot, record
from .ballot import UNWRITTEN, Acceptor, Ballot
from .lease import Refusal
from .record import Corrupt, Lease

TRIES = 3
"""How often a cell is read again, within one round, after a lost race for its promise."""

Operation = Callable[[Lease | None], Lease | Refusal]
Floor = Mapping[str, Acceptor]
"""By cell, the highest promise and the highest accepted ballot that it ever showed to us, over restarts."""


@dataclass(frozen=True, slots=True)
class Read:
    """Ask a cell for its value."""

    cell: str


@dataclass(frozen=True, slots=True)
class Write:
    """Ask a cell to replace `old` by `new`."""

    cell: str
    old: bytes | None
    new: bytes


@dataclass(frozen=True, slots=True)
class Shown:
    """A cell's value."""

    cell: str
    raw: bytes | None


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a write; UNKNOWN too where no answer came."""

    cell: str
    swap: Swap


@dataclass(frozen=True, slots=True)
class Silent:
    """A cell could not be read."""

    cell: str


Send = Read | Write
Heard = Shown | Told | Silent


class Stage(Enum):
    """How far the round is with one cell."""

    READING = "reading"
    PROMISING = "promising"
    PROMISED = "promised"
    ACCEPTING = "accepting"
    CHECKING = "checking"
    """Whether an accept without answer was applied."""
    ACCEPTED = "accepted"
    LOST = "lost"
    """Surely not accepted: the cell had moved on."""
    UNSURE = "unsure"
    """An accept without answer that is not seen; it may still arrive."""
    OUT = "out"
    """Silent, corrupt, ahead of us, or without memory, before anything was to be accepted."""


_WAITING = (Stage.READING, Stage.PROMISING, Stage.ACCEPTING, Stage.CHECKING)


@dataclass(frozen=True, slots=True)
class Seat:
    """One cell in a round: its stage, what is known to stand there, what was last sent."""

    stage: Stage = Stage.READING
    raw: bytes | None = None
    state: Acceptor = UNWRITTEN
    sent: bytes = b""
    tries: int = 0


class Verdict(Enum):
    """How a round ended."""

    COMMITTED = "committed"
    REFUSED = "refused"
    AGAIN = "again"
    """Nothing was done: a higher ballot is needed, or fresh promises, or more cells."""
    TORN = "torn"
    """It may have been done, or be done later."""
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Round:
    """One try to turn the record into what an operation makes of it.

    number     the ballot; `following` is promised with what is accepted, so that the next round needs no asking
    fresh      whether promises were asked for, or kept from the round before
    highest    largest counter met
    lease      what was committed, or was refused upon
    why        of a refusal
    """

    me: str
    number: Ballot
    quorum: int
    seats: Mapping[str, Seat]
    fresh: bool
    floor: Floor
    highest: int
    value: str | None = None
    lease: Lease | None = None
    why: str = ""
    verdict: Verdict | None = None

    @property
    def following(self) -> Ballot:
        return self.number.next_of(self.me)

    @property
    def waits(self) -> bool:
        """Whether an answer is still to come."""
        return any(seat.stage in _WAITING for seat in self.seats.values())

    @property
    def kept(self) -> Mapping[str, Seat]:
        """Cells that have promised `following` with what they accepted: a next round may go on from there."""
        return {
            name: Seat(Stage.PROMISED, seat.raw, seat.state)
            for name, seat in self.seats.items()
            if seat.stage is Stage.ACCEPTED
        }


def majority(cells: int) -> int:
    """Q: any two majorities have a cell in common."""
    return cells // 2 + 1


def ask(me: str, cells: Sequence[str], highest: int, floor: Floor, without: str = "") -> tuple[Round, Sequence[Send]]:
    """Begin with nothing known: a ballot above all that were met, to be promised by the cells.

    without   a cell that is not asked, while a majority is still one of all
    """
    met = max((state.promised.counter for state in floor.values()), default=0)
    number = Ballot(max(highest, met) + 1, me)
    seats = {cell: Seat(Stage.OUT) if cell == without else Seat() for cell in cells}
    begun = Round(me, number, majority(len(cells)), seats, True, floor, number.counter)
    return begun, [Read(cell) for cell in cells if cell != without]


def go_on(before: Round, floor: Floor, operation: Operation) -> tuple[Round, Sequence[Send]]:
    """Begin from the promises that the last round's accepts carried: one round trip. Cells that fell behind are asked."""
    kept = before.kept
    seats = {cell: kept.get(cell, Seat()) for cell in before.seats}
    number = before.following
    begun = Round(before.me, number, before.quorum, seats, False, floor, max(before.highest, number.counter))
    after, sends = _decide(begun, operation)
    return after, [*sends, *(Read(cell) for cell in seats if cell not in kept)]


def hear(round_: Round, heard: Heard, operation: Operation) -> tuple[Round, Sequence[Send]]:
    """Take one answer in. After the verdict only stragglers move."""
    seat = round_.seats[heard.cell]
    if isinstance(heard, Silent):
        moved, sends = _at(round_, heard.cell, replace(seat, stage=_without(seat))), list[Send]()
    elif isinstance(heard, Shown):
        moved, sends = _shown(round_, seat, heard)
    else:
        moved, sends = _told(round_, seat, heard)
    decided, more = _decide(moved, operation)
    return decided, [*sends, *more]


def admission(round_: Round, cell: str, raw: bytes | None) -> Write:
    """What a cell that forgot is given once a majority of all, among the others, has the same: a late accept of that round.

    round_   asked without the cell, and ended COMMITTED, or REFUSED because nothing was ever written
    raw      what the cell shows now
    """
    assert round_.verdict in (Verdict.COMMITTED, Verdict.REFUSED), "nothing is copied that a majority does not have"
    value = round_.value
    given = Acceptor(round_.number) if value is None else Acceptor(round_.following, round_.number, value)
    return Write(cell, raw, ballot.write(given))


def agreed(shown: Mapping[str, bytes | None], cells: int, floor: Floor) -> Acceptor | None:
    """What a majority accepted under one ballot, if it did: a committed record that needs no write-back."""
    by_ballot: dict[Ballot, list[Acceptor]] = {}
    for cell, raw in shown.items():
        try:
            state = ballot.read(raw)
        except Corrupt:
            continue
        if not forgot(state, floor.get(cell, UNWRITTEN)):
            by_ballot.setdefault(state.accepted, []).append(state)
    return next((same[0] for same in by_ballot.values() if len(same) >= majority(cells)), None)


def forgot(state: Acceptor, remembered: Acceptor) -> bool:
    """Whether a cell shows less than it once showed: it was wiped, or set back, and must not count."""
    return state.promised < remembered.promised or state.accepted < remembered.accepted


def more(one: Acceptor, other: Acceptor) -> Acceptor:
    """What was shown at the most, without the value."""
    return Acceptor(max(one.promised, other.promised), max(one.accepted, other.accepted))


def _shown(round_: Round, seat: Seat, heard: Shown) -> tuple[Round, list[Send]]:
    cell, raw = heard.cell, heard.raw
    if seat.stage is Stage.CHECKING:
        if raw == seat.sent:
            return _accepted(round_, cell, seat), []
        return _at(round_, cell, replace(seat, stage=Stage.UNSURE)), []
    try:
        state = ballot.read(raw)
    except Corrupt:
        return _at(round_, cell, replace(seat, stage=Stage.OUT)), []
    met = replace(round_, highest=max(round_.highest, state.promised.counter))
    if state.promised > round_.number or forgot(state, round_.floor.get(cell, UNWRITTEN)):
        return _at(met, cell, replace(seat, stage=Stage.OUT)), []
    if state.promised == round_.number and raw is not None:
        return _at(met, cell, replace(seat, stage=Stage.PROMISED, raw=raw, state=state)), []
    promised = Acceptor(round_.number, state.accepted, state.value)
    sent = ballot.write(promised)
    return _at(met, cell, replace(seat, stage=Stage.PROMISING, state=promised, sent=sent)), [Write(cell, raw, sent)]


def _told(round_: Round, seat: Seat, heard: Told) -> tuple[Round, list[Send]]:
    cell = heard.cell
    if seat.stage is Stage.PROMISING:
        if heard.swap is Swap.APPLIED:
            return _at(round_, cell, replace(seat, stage=Stage.PROMISED, raw=seat.sent)), []
        if seat.tries + 1 >= TRIES:
            return _at(round_, cell, replace(seat, stage=Stage.OUT)), []
        return _at(round_, cell, replace(seat, stage=Stage.READING, tries=seat.tries + 1)), [Read(cell)]
    if heard.swap is Swap.APPLIED:
        return _accepted(round_, cell, seat), []
    if heard.swap is Swap.MISMATCH:
        return _at(round_, cell, replace(seat, stage=Stage.LOST)), []
    return _at(round_, cell, replace(seat, stage=Stage.CHECKING)), [Read(cell)]


def _without(seat: Seat) -> Stage:
    return Stage.UNSURE if seat.stage is Stage.CHECKING else Stage.OUT


def _accepted(round_: Round, cell: str, seat: Seat) -> Round:
    return _at(round_, cell, replace(seat, stage=Stage.ACCEPTED, raw=seat.sent, state=ballot.read(seat.sent)))


def _decide(round_: Round, operation: Operation) -> tuple[Round, list[Send]]:
    if round_.value is None and round_.verdict is None:
        round_ = _choose(round_, operation)
    value = round_.value
    if value is None:
        return round_, []
    if round_.verdict is None and _can_win(round_):
        round_, sends = _offer(round_, value)
        return _count(round_), sends
    # After the verdict, whoever promises late is brought up to date; a round that is lost is not spread any further.
    if round_.verdict in (Verdict.COMMITTED, Verdict.REFUSED):
        return _offer(round_, value)
    return (round_ if round_.verdict else _count(round_)), []


def _can_win(round_: Round) -> bool:
    seats = [seat.stage for seat in round_.seats.values()]
    return sum(stage in (*_WAITING, Stage.PROMISED, Stage.ACCEPTED) for stage in seats) >= round_.quorum


def _choose(round_: Round, operation: Operation) -> Round:
    """Fix the value once a majority has promised: what the operation makes of the newest accepted record."""
    promised = [seat.state for seat in round_.seats.values() if seat.stage is Stage.PROMISED]
    if len(promised) < round_.quorum:
        still = sum(seat.stage in _WAITING for seat in round_.seats.values())
        return round_ if len(promised) + still >= round_.quorum else replace(round_, verdict=Verdict.AGAIN)
    newest = max(promised, key=lambda state: state.accepted)
    try:
        before = record.read(newest.value) if newest.has_value else None
    except Corrupt as error:
        return replace(round_, verdict=Verdict.UNREADABLE, why=f"the record cannot be read: {error}")
    if before is None and any(state.has_value for state in round_.floor.values()):
        if round_.waits:
            return round_  # the one that has it may be slow
        why = "the cells show no record where one was written: they lost their memory (AmnesiacCell)"
        return replace(round_, verdict=Verdict.UNREADABLE, why=why)
    after = operation(before)
    if not isinstance(after, Refusal):
        return replace(round_, value=record.write(after), lease=after)
    if not round_.fresh:
        return replace(round_, verdict=Verdict.AGAIN)  # what was kept may be old: ask the cells before refusing
    if sum(state.accepted == newest.accepted for state in promised) >= round_.quorum:
        return replace(round_, verdict=Verdict.REFUSED, lease=before, why=after.why)
    # Accepted by some only: it must be committed before anybody may be refused because of it.
    return replace(round_, value=newest.value, lease=before, why=after.why)


def _offer(round_: Round, value: str) -> tuple[Round, list[Send]]:
    """Send the value to whoever has promised and was not asked yet."""
    raw = ballot.write(Acceptor(round_.following, round_.number, value))
    seats, sends = dict(round_.seats), list[Send]()
    for cell, seat in round_.seats.items():
        if seat.stage is Stage.PROMISED:
            seats[cell] = replace(seat, stage=Stage.ACCEPTING, sent=raw)
            sends.append(Write(cell, seat.raw, raw))
    return (replace(round_, seats=seats) if sends else round_), sends


def _count(round_: Round) -> Round:
    stages = [seat.stage for seat in round_.seats.values()]
    highest = max(round_.highest, round_.following.counter)
    if stages.count(Stage.ACCEPTED) >= round_.quorum:
        return replace(round_, verdict=Verdict.REFUSED if round_.why else Verdict.COMMITTED, highest=highest)
    if _can_win(round_):
        return round_
    # To commit again what stood there already does no harm: such a round may be begun anew.
    if (Stage.ACCEPTED in stages or Stage.UNSURE in stages) and not round_.why:
        return replace(round_, verdict=Verdict.TORN, highest=highest)
    if Stage.ACCEPTING in stages or Stage.CHECKING in stages:
        return round_  # whether it is nowhere is still to be heard
    return replace(round_, verdict=Verdict.AGAIN, highest=highest)


def _at(round_: Round, cell: str, seat: Seat) -> Round:
    return replace(round_, seats={**round_.seats, cell: seat})
