"""Proposers who change one record over a few cells, by production's rounds, while messages and cells fail.

Invariants
  I7 LinearizableRegister  acknowledged records are one chain, and nobody who begins after an answer is told less than it;
  I8 MinorityInert         the same with a minority of cells lost: no record without a majority.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Any

from catalyst_sdk.witness import Swap

from .explorer import Move

REGION = "sb-east-mgt-prod"


@dataclass(frozen=True)
class Asker:
    """One proposer. `floor` is on its disk, all else in its memory."""

    name: str
    todo: tuple[str, ...]
    round: Any = None
    last: Any = None
    floor: tuple[Any, ...] = ()
    highest: int = 0
    least: int = 0
    """Highest acknowledged number when the change in hand began."""
    tries: int = 0
    life: int = 1
    stage: int = 0
    """Changes begun, for their names."""
    admits: tuple[str, bytes | None] = ("", None)
    """A cell that is to count again, and what it showed."""


@dataclass(frozen=True)
class Flying:
    """A message under way; `asker` -1: whoever sent it hears no more."""

    asker: int
    send: Any


@dataclass(frozen=True)
class State:
    cells: tuple[bytes | None, ...]
    askers: tuple[Asker, ...]
    flying: tuple[Flying, ...] = ()
    acked: tuple[tuple[int, str, str], ...] = ()
    """Number, nonce, nonce of the one before."""
    faults: int = 0
    crashes: int = 0
    wipes: int = 0
    backs: int = 0
    past: tuple[tuple[int, bytes | None], ...] = ()
    """What cells held once, where one may be set back to it."""
    broken: str = ""


class RegisterWorld:
    """domain: production's package, or a copy with a bug in it."""

    def __init__(
        self, domain: Mapping[str, ModuleType], *todo: tuple[str, ...], faults: int = 0, crashes: int = 0,
        wipes: int = 0, backs: int = 0, tries: int = 2, cells: int = 3,
    ) -> None:  # fmt: skip
        self._d = domain
        self._names = tuple("xyzuvwt"[:cells])
        self._tries = tries
        zero = tuple(domain["ballot"].UNWRITTEN for _ in self._names)
        askers = tuple(Asker("abc"[n], one, floor=zero) for n, one in enumerate(todo))
        self._first = State((None,) * cells, askers, faults=faults, crashes=crashes, wipes=wipes, backs=backs)

    def first(self) -> State:
        return self._first

    def broken(self, state: State) -> str:
        return state.broken

    def key(self, state: State) -> Hashable:
        askers = tuple(
            (
                a.name,
                a.todo,
                self._round_key(a.round),
                self._round_key(a.last),
                a.floor,
                a.highest,
                a.least,
                a.tries,
                a.stage,
                a.admits if a.round is not None else None,
            )
            for a in state.askers
        )
        left = state.faults, state.crashes, state.wipes, state.backs
        return state.cells, askers, state.flying, state.acked, left, state.past

    def moves(self, state: State) -> Iterator[Move[State]]:
        for n, asker in enumerate(state.askers):
            if asker.round is None and asker.todo:
                yield Move(f"{asker.name} begins", partial(self._begin, state, n))
            if state.crashes and (asker.round is not None or asker.last is not None):
                yield Move(f"{asker.name} crashes", partial(self._crash, state, n))
        for at, flying in enumerate(state.flying):
            if at and state.flying[at - 1] == flying:
                continue
            yield Move("arrives", partial(self._leaves, state, at, self._arrives, True), flying)
            if state.faults:
                yield Move("is lost", partial(self._leaves, state, at, self._unheard), flying)
                if flying.asker >= 0 and isinstance(flying.send, self._d["register"].Write):
                    yield Move(
                        "arrives, its answer is lost", partial(self._leaves, state, at, self._arrives, False), flying
                    )
                    yield Move("is late", partial(self._leaves, state, at, self._late), flying)
        if state.wipes:
            for at, raw in enumerate(state.cells):
                if raw is not None:
                    yield Move(f"{self._names[at]} forgets", partial(self._wipe, state, at))
        if state.backs:
            for at, raw in state.past:
                if raw != state.cells[at]:
                    yield Move(f"{self._names[at]} is set back", partial(self._set_back, state, at, raw))

    def _leaves(self, state: State, at: int, how: Any, *is_heard: bool) -> State:
        """A message's way ends; unless it ends well, that is one fault less to come."""
        faults = state.faults - (is_heard != (True,))
        rest = replace(state, flying=state.flying[:at] + state.flying[at + 1 :], faults=faults)
        after: State = how(rest, state.flying[at], *is_heard)
        return after

    def _late(self, state: State, flying: Flying) -> State:
        return self._unheard(replace(state, flying=_sorted([*state.flying, Flying(-1, flying.send)])), flying)

    def _wipe(self, state: State, at: int) -> State:
        return replace(state, cells=(*state.cells[:at], None, *state.cells[at + 1 :]), wipes=state.wipes - 1)

    def _set_back(self, state: State, at: int, raw: bytes | None) -> State:
        return replace(state, cells=(*state.cells[:at], raw, *state.cells[at + 1 :]), backs=state.backs - 1)

    def _begin(self, state: State, n: int) -> State:
        if state.askers[n].todo[0] == "admit":
            return self._admit(state, n)
        least = max((number for number, _, _ in state.acked), default=0)
        asker = replace(state.askers[n], least=least, tries=self._tries, stage=state.askers[n].stage + 1)
        return self._round(state, n, asker)

    def _round(self, state: State, n: int, asker: Asker) -> State:
        rounds, floor = self._d["register"], dict(zip(self._names, asker.floor, strict=True))
        if asker.last is not None:
            begun, sends = rounds.go_on(asker.last, floor, self._operation(asker))
        else:
            begun, sends = rounds.ask(asker.name + str(asker.life), self._names, asker.highest, floor)
        asker = replace(asker, round=begun, last=None, highest=max(asker.highest, begun.number.counter))
        return self._after(_with(state, n, asker, sends), n)

    def _admit(self, state: State, n: int) -> State:
        """A cell that forgot is to count again. What it shows is read at once: if it changes, the copy finds no match."""
        asker, rounds = state.askers[n], self._d["register"]
        floor = dict(zip(self._names, asker.floor, strict=True))
        shown = dict(zip(self._names, map(self._d["ballot"].read, state.cells), strict=True))
        lost = next((cell for cell in self._names if rounds.forgot(shown[cell], floor[cell])), None)
        if lost is None:
            return _with(state, n, replace(asker, todo=asker.todo[1:]), ())
        least = max((number for number, _, _ in state.acked), default=0)
        begun, sends = rounds.ask(asker.name + str(asker.life), self._names, asker.highest, floor, lost)
        asker = replace(
            asker, round=begun, last=None, highest=max(asker.highest, begun.number.counter), least=least, tries=0,
            stage=asker.stage + 1, admits=(lost, state.cells[self._names.index(lost)]),
        )  # fmt: skip
        return self._after(_with(state, n, asker, sends), n)

    def _operation(self, asker: Asker) -> Any:
        lease, record = self._d["lease"], self._d["record"]
        nonce = f"{asker.name}{asker.life}{asker.stage}"

        def operation(before: Any) -> Any:
            if asker.todo[0] == "look" or (asker.todo[0] == "admit" and before is None):
                return lease.Refusal("only looking")
            if asker.todo[0] == "admit":
                return before
            if before is None:
                return record.Lease(1, 1, record.State.HELD, REGION, nonce=nonce)
            return replace(before, seq=before.seq + 1, nonce=nonce, run=before.nonce)

        return operation

    def _arrives(self, state: State, flying: Flying, is_heard: bool) -> State:
        """The cell does what it is asked; its answer comes at once, or never."""
        rounds, at = self._d["register"], self._names.index(flying.send.cell)
        stands, send = state.cells[at], flying.send
        if isinstance(send, rounds.Read):
            heard, shown = rounds.Shown(send.cell, stands), stands
        else:
            is_same = stands == send.old
            heard, shown = rounds.Told(send.cell, Swap.APPLIED if is_same else Swap.MISMATCH), stands
            if is_same:
                shown = send.new
                past = (*state.past, (at, stands)) if state.backs and (at, stands) not in state.past else state.past
                state = replace(state, cells=(*state.cells[:at], send.new, *state.cells[at + 1 :]), past=past)
        if flying.asker < 0:
            return state
        if not is_heard:
            return self._unheard(state, flying)
        return self._hear(state, flying.asker, heard, shown if heard != rounds.Told(send.cell, Swap.MISMATCH) else b"")

    def _unheard(self, state: State, flying: Flying) -> State:
        if flying.asker < 0:
            return state
        rounds, send = self._d["register"], flying.send
        silent = rounds.Silent(send.cell) if isinstance(send, rounds.Read) else rounds.Told(send.cell, Swap.UNKNOWN)
        return self._hear(state, flying.asker, silent, b"")

    def _hear(self, state: State, n: int, heard: Any, shown: bytes | None) -> State:
        asker = state.askers[n]
        after, sends = self._d["register"].hear(asker.round, heard, self._operation(asker))
        asker = replace(asker, round=after, floor=self._noted(asker.floor, heard.cell, shown))
        return self._after(_with(state, n, asker, sends), n)

    def _noted(self, floor: tuple[Any, ...], cell: str, shown: bytes | None) -> tuple[Any, ...]:
        if not shown:
            return floor
        at, seen = self._names.index(cell), self._d["ballot"].read(shown)
        return (*floor[:at], self._d["register"].more(floor[at], seen), *floor[at + 1 :])

    def _after(self, state: State, n: int) -> State:
        """What the driver does once a round has its verdict."""
        asker = state.askers[n]
        round_, verdicts = asker.round, self._d["register"].Verdict
        if round_ is None or round_.verdict is None:
            return state
        asker = replace(asker, round=None, highest=max(asker.highest, round_.highest))
        writes = self._d["register"].Write
        flying = [
            Flying(-1, f.send) if f.asker == n else f
            for f in state.flying
            if f.asker != n or isinstance(f.send, writes)
        ]
        state = replace(state, flying=_sorted(flying))
        if round_.verdict is verdicts.AGAIN and asker.tries:
            return self._round(state, n, replace(asker, tries=asker.tries - 1))
        looked = asker.todo[0] in ("look", "admit")
        if asker.todo[0] == "admit" and round_.verdict in (verdicts.COMMITTED, verdicts.REFUSED):
            state = self._copied(state, asker, round_)
        asker = replace(state.askers[n], round=None, highest=asker.highest, todo=asker.todo[1:])
        if round_.verdict is verdicts.COMMITTED:
            kept = round_ if len(round_.kept) >= round_.quorum else None
            return self._ack(_with(state, n, replace(asker, last=kept), ()), asker, round_.lease, looked)
        if round_.verdict is verdicts.REFUSED:
            return self._ack(_with(state, n, asker, ()), asker, round_.lease, looked)
        return _with(state, n, asker, ())

    def _copied(self, state: State, asker: Asker, round_: Any) -> State:
        """The cell gets its copy at once, or finds that it is not what it was; the proposer remembers what it gave."""
        cell, raw = asker.admits
        at, send = self._names.index(cell), self._d["register"].admission(round_, cell, raw)
        if state.cells[at] != raw:
            return state
        given = self._d["ballot"].read(send.new)
        kept = self._d["ballot"].Acceptor(given.promised, given.accepted)
        n = state.askers.index(next(a for a in state.askers if a.name == asker.name))
        floor = (*asker.floor[:at], kept, *asker.floor[at + 1 :])
        state = replace(state, cells=(*state.cells[:at], send.new, *state.cells[at + 1 :]))
        return _with(state, n, replace(state.askers[n], floor=floor), ())

    def _ack(self, state: State, asker: Asker, lease: Any, looked: bool) -> State:
        number = lease.seq if lease else 0
        if number < asker.least + (0 if looked else 1):
            why = f"I7: {asker.name} is told of number {number} after {asker.least} was acknowledged"
            return replace(state, broken=why)
        if lease is None:
            return state
        acked = {n: (nonce, before) for n, nonce, before in state.acked}
        mine = (lease.nonce, lease.run)
        above, below = acked.get(number + 1), acked.get(number - 1)
        if acked.get(number, mine) != mine:
            return replace(state, broken=f"I7: number {number} is both {acked[number]} and {mine}")
        if (above and above[1] != lease.nonce) or (below and below[0] != lease.run):
            return replace(state, broken=f"I7: number {number} is no part of the chain")
        return replace(state, acked=tuple(sorted({*state.acked, (number, *mine)})))

    def _crash(self, state: State, n: int) -> State:
        """Memory is lost, and with it what was under way is nobody's; a new life has a new name."""
        asker = state.askers[n]
        todo = asker.todo[1:] if asker.round is not None else asker.todo
        again = replace(asker, round=None, last=None, todo=todo, highest=0, life=asker.life + 1)
        writes = self._d["register"].Write
        flying = [Flying(-1, f.send) if f.asker == n else f for f in state.flying]
        flying = [f for f in flying if f.asker >= 0 or isinstance(f.send, writes)]
        return replace(_with(state, n, again, ()), flying=_sorted(flying), crashes=state.crashes - 1)

    def _round_key(self, round_: Any) -> Hashable:
        if round_ is None:
            return None
        return round_.number, round_.fresh, round_.value, round_.highest, tuple(round_.seats.values())


def _with(state: State, n: int, asker: Asker, sends: Any) -> State:
    askers = (*state.askers[:n], asker, *state.askers[n + 1 :])
    return replace(state, askers=askers, flying=_sorted([*state.flying, *(Flying(n, send) for send in sends)]))


def _sorted(flying: Any) -> tuple[Flying, ...]:
    return tuple(sorted(flying, key=_place))


def _place(flying: Flying) -> tuple[int, str, bytes, bytes]:
    send = flying.send
    return flying.asker, send.cell, getattr(send, "new", b""), getattr(send, "old", b"") or b""
