"""A register over the cells of a witness: CASPaxos, each acceptor's step being one compare-and-swap.

Invariants
  I7 LinearizableRegister  what `change` commits is seen by every later `change` and `read`;
  one at a time            one change in flight per slot and process;
  unknown is not no        a change whose outcome is unknown may be committed later, by anybody's write-back.

"Write to all, count the yes" is no lease: two writers can each get a part, and a torn write blocks readers for ever.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from catalyst_sdk import PluginFailure
from catalyst_sdk.witness import LeaseWitness, Swap

from catalyst_continuum.domain import ballot, record
from catalyst_continuum.domain.ballot import Acceptor, Ballot
from catalyst_continuum.domain.lease import Refusal
from catalyst_continuum.domain.record import Corrupt, Lease

TRIES = 3
"""How often one prepare reads again after it lost a race at a cell."""
ROUNDS = 6
"""How often a change starts over with a higher ballot before its outcome is called unknown."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The record as the register has it; `sent_at` on the monotonic clock, before the first message left."""

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
Operation = Callable[[Lease | None], Lease | Refusal]


@dataclass(frozen=True, slots=True)
class CellView:
    """What a cell showed at the last look."""

    name: str
    reachable: bool
    ballot: int = 0
    rtt: float = 0.0
    message: str = ""


class Taken(Enum):
    """How far one accept came."""

    MAJORITY = "majority"
    TORN = "torn"
    """At some cells, or at some that did not say."""
    NOWHERE = "nowhere"
    """Surely at none: each of them had moved on."""


@dataclass(frozen=True, slots=True)
class _Promise:
    cell: str
    raw: bytes
    state: Acceptor


class Register:
    """One register per slot, over all cells of the witness."""

    def __init__(self, witness: LeaseWitness, proposer: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._witness = witness
        self._me = proposer
        self._clock = clock
        self._cells = witness.cells()
        self._turns: dict[str, asyncio.Lock] = {}
        self._promises: dict[str, tuple[Ballot, dict[str, _Promise]]] = {}
        self._highest: dict[str, int] = {}
        self.views: dict[str, CellView] = {name: CellView(name, False) for name in self._cells}

    @property
    def quorum(self) -> int:
        """Q: a majority."""
        return len(self._cells) // 2 + 1

    async def change(self, slot: str, operation: Operation) -> Outcome:
        """Turn the record of `slot` into what `operation` makes of it, once."""
        async with self._turns.setdefault(slot, asyncio.Lock()):
            for attempt in range(ROUNDS):
                sent_at = self._clock()
                outcome = await self._round(slot, operation, sent_at)
                if outcome is not None:
                    return outcome
                self._promises.pop(slot, None)
                await asyncio.sleep(random.uniform(0.01, min(1.0, 0.02 * 2**attempt)))  # noqa: S311 - no secret
            return Unknown("no majority of cells took the change")

    async def read(self, slot: str) -> Outcome:
        """The committed record: seen at a majority under one ballot, or written back first."""
        sent_at = self._clock()
        seen = await self._seen_by_majority(slot)
        if seen is not None:
            return Committed(_lease(seen.value) if seen.has_value else None, sent_at)
        return await self.change(slot, _write_back)

    async def look(self, slot: str) -> None:
        """Ask every cell, so that `views` says how they are; nothing is written."""
        await self._seen_by_majority(slot)

    async def _seen_by_majority(self, slot: str) -> Acceptor | None:
        """What a majority of cells accepted under one ballot; None where they differ or too few answer."""
        states = [state for state in await asyncio.gather(*(self._look(cell, slot) for cell in self._cells)) if state]
        by_ballot: dict[Ballot, list[Acceptor]] = {}
        for state in states:
            by_ballot.setdefault(state.accepted, []).append(state)
        return next((same[0] for same in by_ballot.values() if len(same) >= self.quorum), None)

    async def _round(self, slot: str, operation: Operation, sent_at: float) -> Outcome | None:
        """One try; None: start over with a higher ballot."""
        cached = self._promises.get(slot)
        number, promises = cached or await self._prepare(slot)
        if len(promises) < self.quorum:
            return None
        newest = max((p.state for p in promises.values()), key=lambda state: state.accepted)
        try:
            before = _lease(newest.value) if newest.has_value else None
        except Corrupt as error:
            return Unknown(f"the record cannot be read: {error}")
        after = operation(before)
        if isinstance(after, Refusal):
            if cached:
                self._promises.pop(slot)  # what was cached may be old: ask the cells before refusing
                return await self._round(slot, operation, self._clock())
            return await self._refuse(slot, number, promises, newest, after)
        taken = await self._accept(slot, number, promises, record.write(after))
        if taken is Taken.MAJORITY:
            return Committed(after, sent_at)
        return None if taken is Taken.NOWHERE else await self._settle(slot, after, sent_at)

    async def _settle(self, slot: str, after: Lease, sent_at: float) -> Outcome:
        """What became of a record that too few cells took: only if it stands is it known; it must not be tried again."""
        self._promises.pop(slot, None)
        seen = await self._seen_by_majority(slot)
        # Its nonce makes the record nobody else's.
        if seen is not None and seen.has_value and seen.value == record.write(after):
            return Committed(after, sent_at)
        return Unknown("too few cells took the change; it may still be committed by another proposer")

    async def _refuse(
        self, slot: str, number: Ballot, promises: dict[str, _Promise], newest: Acceptor, why: Refusal
    ) -> Outcome | None:
        """Refuse on a record that is surely committed; where it is not yet, commit it first."""
        same = sum(p.state.accepted == newest.accepted for p in promises.values())
        if same < self.quorum and newest.has_value:
            taken = await self._accept(slot, number, promises, newest.value)
            if taken is not Taken.MAJORITY:
                return None
        return Refused(_lease(newest.value) if newest.has_value else None, why.why)

    async def _prepare(self, slot: str) -> tuple[Ballot, dict[str, _Promise]]:
        number = Ballot(self._highest.get(slot, 0) + 1, self._me)
        self._highest[slot] = number.counter
        answers = await asyncio.gather(*(self._promise(cell, slot, number) for cell in self._cells))
        return number, {promise.cell: promise for promise in answers if promise}

    async def _promise(self, cell: str, slot: str, number: Ballot) -> _Promise | None:
        for _ in range(TRIES):
            raw, state = await self._raw(cell, slot)
            if state is None:
                return None
            if state.promised > number:
                self._highest[slot] = max(self._highest.get(slot, 0), state.promised.counter)
                return None
            if state.promised == number and raw is not None:
                return _Promise(cell, raw, state)
            promised = Acceptor(number, state.accepted, state.value)
            written = ballot.write(promised)
            if await self._swap(cell, slot, raw, written) is Swap.APPLIED:
                return _Promise(cell, written, promised)
        return None

    async def _accept(self, slot: str, number: Ballot, promises: dict[str, _Promise], value: str) -> Taken:
        following = number.next_of(self._me)
        state = Acceptor(following, number, value)
        raw = ballot.write(state)
        answers = await asyncio.gather(*(self._swap(p.cell, slot, p.raw, raw) for p in promises.values()))
        taken = [cell for cell, answer in zip(promises, answers, strict=True) if answer is Swap.APPLIED]
        self._highest[slot] = max(self._highest.get(slot, 0), following.counter)
        if len(taken) >= self.quorum:
            self._promises[slot] = (following, {cell: _Promise(cell, raw, state) for cell in taken})
            return Taken.MAJORITY
        return Taken.NOWHERE if all(answer is Swap.MISMATCH for answer in answers) else Taken.TORN

    async def _swap(self, cell: str, slot: str, old: bytes | None, new: bytes) -> Swap:
        """Swap at one cell. What is unknown is read back once: a value that stands there is nobody else's."""
        try:
            outcome = await self._witness.swap(cell=cell, slot=slot, old=old, new=new)
            if outcome is Swap.UNKNOWN and await self._witness.read(cell=cell, slot=slot) == new:
                return Swap.APPLIED
        except PluginFailure as failure:
            self._seen(cell, failure)
            return Swap.UNKNOWN
        return outcome

    async def _look(self, cell: str, slot: str) -> Acceptor | None:
        return (await self._raw(cell, slot))[1]

    async def _raw(self, cell: str, slot: str) -> tuple[bytes | None, Acceptor | None]:
        began = self._clock()
        try:
            raw = await self._witness.read(cell=cell, slot=slot)
            state = ballot.read(raw)
        except (PluginFailure, Corrupt) as failure:
            self._seen(cell, failure)
            return None, None
        self.views[cell] = CellView(cell, True, state.promised.counter, self._clock() - began)
        return raw, state

    def _seen(self, cell: str, failure: Exception) -> None:
        self.views[cell] = CellView(cell, False, message=str(failure))


def _lease(value: str) -> Lease:
    return record.read(value)


def _write_back(lease: Lease | None) -> Lease | Refusal:
    return lease if lease is not None else Refusal("nothing was ever written")
