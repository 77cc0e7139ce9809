"""The register over the cells of a witness: carries what the rounds of `domain.register` send, and brings them what is heard.

One change is in flight per slot and process. A change returns once a majority of cells has it; what is still under way
goes on alone, until the next change of the slot.
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import replace

from catalyst_mesh.waits import ended
from catalyst_sdk import PluginFailure
from catalyst_sdk.witness import LeaseWitness, Swap

from catalyst_continuum.clock import boottime
from catalyst_continuum.domain import ballot, record
from catalyst_continuum.domain import register as rounds
from catalyst_continuum.domain.ballot import UNWRITTEN, Acceptor
from catalyst_continuum.domain.lease import Refusal
from catalyst_continuum.domain.reconfigure import key_of
from catalyst_continuum.domain.record import Corrupt, Lease
from catalyst_continuum.domain.register import Heard, Operation, Read, Round, Send, Shown, Silent, Told, Verdict

from .cell_memory import Memory
from .census import Census
from .outcomes import CellView, Committed, NotQuarantined, Outcome, Refused, Unknown
from .witness_metrics import QUARANTINED, SILENT, SOUND, WitnessMetrics

ROUNDS = 6
"""How often a change starts over with a higher ballot before its outcome is called unknown."""
GRACE = 0.05
"""Seconds that a change leaves to the stragglers of the one before, which spare it the asking."""


class Register:
    """One register per slot, over all cells of the witness.

    memory   what cells showed at the most; None: it lasts as long as this process
    census   who the cells are; None: each is taken for one of its own
    metrics  None: nothing is measured
    behind   seconds for which a cell may lack what a majority has, before a read brings it up to date
    configuration   under whose name the cells have the records; empty: under the slot's own, or as it is asked for
    """

    def __init__(
        self, witness: LeaseWitness, proposer: str, clock: Callable[[], float] = boottime, *,
        memory: Memory | None = None, census: Census | None = None, metrics: WitnessMetrics | None = None,
        behind: float = 15.0, configuration: str = "",
    ) -> None:  # fmt: skip
        self._configuration = configuration
        self._witness = witness
        self._me = proposer
        self._clock = clock
        self._memory = memory or Memory()
        self._census = census
        self._metrics = metrics
        self._behind = behind
        self._behind_since: dict[str, dict[str, float]] = {}
        self._cells = witness.cells()
        self._turns: dict[str, asyncio.Lock] = {}
        self._last: dict[str, Round] = {}
        self._stragglers: dict[str, asyncio.Task[None]] = {}
        self._late: set[asyncio.Task[Heard]] = set()
        """Reads that nobody waits for any more; what they show is noted all the same."""
        self._highest: dict[str, int] = {}
        self._of_slot: dict[str, dict[str, CellView]] = {}
        self.views: dict[str, CellView] = {name: CellView(name, False) for name in self._cells}
        """By cell, at the last look of whichever slot."""

    @property
    def quorum(self) -> int:
        """Q: a majority."""
        return rounds.majority(len(self._cells))

    def cells_of(self, slot: str) -> tuple[CellView, ...]:
        """How each cell was when it was last asked for `slot`; where it never was, when it was asked at all."""
        seen = {**self.views, **self._of_slot.get(self._key(slot), {})}
        ahead = max((view.ballot for view in seen.values()), default=0)
        return tuple(
            replace(view, lag=ahead - view.ballot, identity=self._identity(view.name)) for view in seen.values()
        )

    def _key(self, slot: str) -> str:
        return key_of(slot, self._configuration) if self._configuration else slot

    def _identity(self, cell: str) -> str:
        one = self._census.identities.get(cell) if self._census else None
        return f"{one.id} {one.incarnation}" if one else ""

    async def close(self) -> None:
        """End what is still under way; it counts as unknown."""
        for slot in list(self._stragglers):
            await self._settled(slot, within=0)
        await _ended(list(self._late))

    async def change(self, slot: str, operation: Operation) -> Outcome:
        """Turn the record of `slot` into what `operation` makes of it, once."""
        if not self._cells:
            return Unknown("the witness has no cells")
        slot = self._key(slot)
        async with self._turns.setdefault(slot, asyncio.Lock()):
            await self._settled(slot, within=GRACE)
            for attempt in range(ROUNDS):
                sent_at = self._clock()
                ended = await self._round(slot, operation)
                if ended.verdict is not Verdict.AGAIN:
                    return await self._outcome(slot, ended, sent_at)
                if ended.fresh:  # promises that were kept and are old need no rest, but a question
                    await asyncio.sleep(_pause(attempt))
            return Unknown("no majority of cells took the change")

    async def read(self, slot: str) -> Outcome:
        """The committed record: seen at a majority under one ballot, or written back first."""
        slot = self._key(slot)
        sent_at = self._clock()
        seen = await self._seen_by_majority(slot)
        if seen is None:
            # Mostly another's change that is under way: to write it back would only compete with whoever makes it.
            seen = await self._seen_by_majority(slot)
        if seen is None or self._is_behind(slot, seen):
            return await self.change(slot, _write_back)
        return Committed(record.read(seen.value) if seen.has_value else None, sent_at)

    async def glance(self, slot: str) -> Outcome:
        """The committed record, where a majority shows it under one ballot; nothing is written, so that else it is unknown."""
        slot = self._key(slot)
        sent_at = self._clock()
        seen = await self._seen_by_majority(slot)
        if seen is None:
            return Unknown("no majority of cells shows one record")
        return Committed(record.read(seen.value) if seen.has_value else None, sent_at)

    async def look(self, slot: str) -> None:
        """Ask every cell, so that `views` says how they are; nothing is written."""
        await self._seen_by_majority(self._key(slot), patience=None)

    async def admit(self, slot: str, cell: str) -> Outcome | NotQuarantined:
        """Let a cell that forgot count again for `slot`: once a majority of all cells among the others has the record, it
        is copied. Committed: the cell has it."""
        slot = self._key(slot)
        async with self._turns.setdefault(slot, asyncio.Lock()):
            await self._settled(slot, within=0)
            self._last.pop(slot, None)
            for attempt in range(ROUNDS):
                shown = await self._carry(slot, Read(cell))
                if not isinstance(shown, Shown):
                    return Unknown(f"{cell} does not answer")
                if not self._is_forgetful(slot, shown):
                    return NotQuarantined()
                admitted = await self._admitted(slot, cell, shown.raw)
                if admitted is not None:
                    return admitted
                await asyncio.sleep(_pause(attempt))
            return Unknown("no majority of cells among the others took the record")

    async def _admitted(self, slot: str, cell: str, raw: bytes | None) -> Outcome | None:
        """None: to be tried again."""
        sent_at = self._clock()
        ended = await self._round(slot, _write_back, without=cell)
        if ended.verdict is Verdict.AGAIN:
            return None
        if ended.verdict not in (Verdict.COMMITTED, Verdict.REFUSED):
            return await self._outcome(slot, ended, sent_at)
        await self._settled(slot, within=0)
        self._last.pop(slot, None)  # its promises know nothing of the cell
        send = rounds.admission(ended, cell, raw)
        told = await self._carry(slot, send)
        if told == Told(cell, Swap.UNKNOWN):
            told = await self._carry(slot, Read(cell))
        if told not in (Told(cell, Swap.APPLIED), Shown(cell, send.new)):
            return None if told == Told(cell, Swap.MISMATCH) else Unknown(f"whether {cell} has the record is not known")
        self._memory.put(slot, cell, ballot.read(send.new))
        self._noted(slot, cell, send.new, self._clock() - sent_at, UNWRITTEN)
        return Committed(ended.lease, sent_at)

    def _is_forgetful(self, slot: str, shown: Shown) -> bool:
        try:
            state = ballot.read(shown.raw)
        except Corrupt:
            return True  # what is no state of a cell is replaced too, but only by an admission
        return rounds.forgot(state, self._memory.floor(slot).get(shown.cell, UNWRITTEN))

    def _is_behind(self, slot: str, agreed: Acceptor) -> bool:
        """Whether a cell that answers has lacked for too long what a majority accepted."""
        floor, now = self._memory.floor(slot), self._clock()
        late = {
            view.name
            for view in self._of_slot.get(slot, {}).values()
            if view.reachable and floor.get(view.name, UNWRITTEN).accepted < agreed.accepted
        }
        before = self._behind_since.get(slot, {})
        since = self._behind_since[slot] = {cell: before.get(cell, now) for cell in late}
        return any(now - at > self._behind for at in since.values())

    async def _seen_by_majority(self, slot: str, *, patience: float | None = GRACE) -> Acceptor | None:
        """What a majority shows. Once that is known, the others have so long to show what they have; None: all of their time."""
        floor = self._memory.floor(slot)  # as it is before anybody is asked: an answer may be overtaken by a later one
        asked = self._sent(slot, (Read(cell) for cell in self._cells))
        under_way, shown, agreed = asked, dict[str, bytes | None](), None
        try:
            while under_way and agreed is None:
                done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                shown |= {one.cell: one.raw for one in (task.result() for task in done) if isinstance(one, Shown)}
                agreed = rounds.agreed(shown, len(self._cells), floor)
            if under_way:
                _, under_way = await asyncio.wait(under_way, timeout=patience)
        except BaseException:
            await _ended(asked)
            raise
        self._late |= under_way
        for task in under_way:
            task.add_done_callback(self._late.discard)
        return agreed

    async def _outcome(self, slot: str, ended: Round, sent_at: float) -> Outcome:
        if ended.verdict is Verdict.COMMITTED:
            return Committed(ended.lease, sent_at)
        if ended.verdict is Verdict.REFUSED:
            return Refused(ended.lease, ended.why)
        if ended.verdict is Verdict.UNREADABLE:
            return Unknown(ended.why)
        # It must not be tried again. Only if it stands is it known; its nonce makes it nobody else's.
        await self._settled(slot, within=0)
        seen = await self._seen_by_majority(slot)
        if seen is not None and seen.has_value and seen.value == ended.value:
            return Committed(ended.lease, sent_at)
        return Unknown("too few cells took the change; it may still be committed by another proposer")

    async def _round(self, slot: str, operation: Operation, without: str = "") -> Round:
        """Carry one round to its verdict, and leave the rest of it to a task."""
        before, floor = self._last.pop(slot, None), self._memory.floor(slot)
        if before is not None:
            begun, sends = rounds.go_on(before, floor, operation)
        else:
            begun, sends = rounds.ask(self._me, self._cells, self._highest.get(slot, 0), floor, without)
        self._highest[slot] = max(self._highest.get(slot, 0), begun.number.counter)
        under_way = self._sent(slot, sends)
        round_ = begun
        try:
            while round_.verdict is None:
                done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    round_, sends = rounds.hear(round_, task.result(), operation)
                    under_way |= self._sent(slot, sends)
        except BaseException:
            await _ended(under_way)
            raise
        self._highest[slot] = max(self._highest[slot], round_.highest)
        self._keep(slot, round_)
        if self._metrics:
            self._metrics.round(asks=round_.fresh, again=round_.verdict is Verdict.AGAIN)
        if under_way and round_.verdict in (Verdict.COMMITTED, Verdict.REFUSED):
            self._stragglers[slot] = asyncio.create_task(self._finish(slot, round_, under_way, operation))
        else:
            await _ended(under_way)
        return round_

    async def _finish(
        self, slot: str, round_: Round, under_way: set[asyncio.Task[Heard]], operation: Operation
    ) -> None:
        try:
            while under_way:
                done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    round_, sends = rounds.hear(round_, task.result(), operation)
                    under_way |= self._sent(slot, sends)
                self._keep(slot, round_)
        finally:
            await _ended(under_way)

    async def _settled(self, slot: str, within: float) -> None:
        """Leave the stragglers a moment, then end them."""
        task = self._stragglers.pop(slot, None)
        if task is None:
            return
        if within:
            await asyncio.wait({task}, timeout=within)
        await ended(task)

    def _keep(self, slot: str, round_: Round) -> None:
        """A round may be gone on from where a majority has promised the ballot after it."""
        if round_.verdict is Verdict.COMMITTED and len(round_.kept) >= round_.quorum:
            self._last[slot] = round_

    def _sent(self, slot: str, sends: Iterable[Send]) -> set[asyncio.Task[Heard]]:
        return {asyncio.create_task(self._carry(slot, send)) for send in sends}

    async def _carry(self, slot: str, send: Send) -> Heard:
        """One message to one cell, and its answer."""
        began, floor = self._clock(), self._memory.floor(slot).get(send.cell, UNWRITTEN)
        if why := self._census.fault(send.cell) if self._census else "":
            self._seen(slot, CellView(send.cell, False, message=why))
            return _unheard(send)
        try:
            if isinstance(send, Read):
                raw = await self._witness.read(cell=send.cell, slot=slot)
                self._noted(slot, send.cell, raw, self._clock() - began, floor)
                return Shown(send.cell, raw)
            swap = await self._witness.swap(cell=send.cell, slot=slot, old=send.old, new=send.new)
        except PluginFailure as failure:
            self._seen(slot, CellView(send.cell, False, message=str(failure)))
            self._measured(send, Swap.UNKNOWN, self._clock() - began)
            return _unheard(send)
        self._measured(send, swap, self._clock() - began)
        if swap is Swap.APPLIED:
            self._noted(slot, send.cell, send.new, self._clock() - began, floor)
        return Told(send.cell, swap)

    def _measured(self, send: Send, told: Swap, seconds: float) -> None:
        if self._metrics and not isinstance(send, Read):
            self._metrics.swapped(send.cell, told, seconds)

    def _noted(self, slot: str, cell: str, raw: bytes | None, rtt: float, floor: Acceptor) -> None:
        """floor: what the cell had shown when it was asked"""
        try:
            state = ballot.read(raw)
        except Corrupt as failure:
            self._seen(slot, CellView(cell, False, message=str(failure)))
            return
        if rounds.forgot(state, floor):
            message = "shows less than it once did: it lost its memory, and counts again once it is admitted"
            self._seen(slot, CellView(cell, False, state.promised.counter, message=message, quarantined=True))
            return
        self._memory.note(slot, cell, state)
        self._seen(slot, CellView(cell, True, state.promised.counter, rtt))

    def _seen(self, slot: str, view: CellView) -> None:
        self.views[view.name] = self._of_slot.setdefault(slot, {})[view.name] = view
        if self._metrics:
            self._metrics.seen(map(_state, self.views.values()), self.quorum)


async def _ended(tasks: Iterable[asyncio.Task[Heard]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _state(view: CellView) -> str:
    return QUARANTINED if view.quarantined else SOUND if view.reachable else SILENT


def _unheard(send: Send) -> Heard:
    return Silent(send.cell) if isinstance(send, Read) else Told(send.cell, Swap.UNKNOWN)


def _pause(attempt: int) -> float:
    """Drawn, so that two who compete do not meet again."""
    return random.uniform(0.01, min(1.0, 0.02 * 2**attempt))  # noqa: S311 - no secret


def _write_back(lease: Lease | None) -> Lease | Refusal:
    return replace(lease) if lease is not None else Refusal("nothing was ever written")
