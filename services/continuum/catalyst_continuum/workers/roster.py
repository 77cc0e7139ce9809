"""The agents of a region: one for each slot with standbys that it takes part in, as long as that is wished.

No safety rests on the store: while it cannot be read, agents go on with what they were asked last. A wish that is gone stops the
agent, and the slot keeps its holder until its time is over.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from catalyst_mesh import Work, get_logger
from catalyst_mesh.waits import ended, rest
from catalyst_sdk import Refused

from catalyst_continuum.domain import cells, duties, slots
from catalyst_continuum.domain.parsing import kept
from catalyst_continuum.domain.record import Lease
from catalyst_continuum.domain.slots import Slot
from catalyst_continuum.domain.spec import Spec
from catalyst_continuum.domain.spec_rules import House
from catalyst_continuum.store import Store

from .agent import Agent
from .pauses import Pauses
from .reporting import AtWork

LOOK = 1.0
"""Seconds from one look at the wishes to the next."""
MOST = 30.0
"""Seconds, at most, before an agent that could not be made is tried again."""
Hire = Callable[[str, Spec], Agent]
Within = Callable[[str, Spec], float]


class Slots(Protocol):
    """Where wishes come from, and where it is noted what became of them."""

    async def wishes(self) -> Mapping[str, Spec]:
        """What is wished for each slot, `<namespace>/<name>`."""
        ...

    async def note(self, slot: str, lease: Lease) -> None:
        """Keep what the register says of a slot."""
        ...


class StoredSlots:
    """Those of the daemon's own store."""

    def __init__(self, work: Work[Store], house: House) -> None:
        self._work = work
        self._house = house

    async def wishes(self) -> Mapping[str, Spec]:
        """Every live slot with standbys."""
        async with self._work.reading() as tx:
            found = await tx.led()
        return {one.key: self._understood(one) for one in found}

    def _understood(self, one: Slot) -> Spec:
        """What is wished, from the cells that have the record now."""
        wish = kept(json.loads(one.document), replace(self._house, namespace=one.namespace))
        return replace(wish, lease=slots.lease_of(one))

    async def note(self, slot: str, lease: Lease) -> None:
        """Tell what is new in the record, keep the rest."""
        namespace, _, name = slot.partition("/")

        async def step(tx: Store) -> None:
            held = await tx.lock(namespace, name)
            if held is None or held.gone:
                return
            decision = slots.noticed(held, lease, tx.now)
            if decision.events:
                await tx.save(decision.state)
                tx.emit(*decision.events)
            await tx.noted(decision.state)

        await self._work.again(step)


class Roster:
    """Starts, updates and stops agents as wishes come, change and go.

    hire     makes the agent of a slot. Raises Refused where it cannot act, as its promoter is not there
    promote  seconds that the promoter of a slot takes at worst
    """

    def __init__(self, region: str, slots: Slots, *, hire: Hire, promote: Within) -> None:
        self._region = region
        self._slots = slots
        self._hire = hire
        self._promote = promote
        self._log = get_logger("roster")
        self._at_work: dict[str, _Place] = {}
        self._noted: dict[str, Lease] = {}
        self._pauses = Pauses(first=LOOK, most=MOST)

    def of(self, slot: str) -> Agent | None:
        """The agent of a slot; None: there is none here."""
        found = self._at_work.get(slot)
        return found.agent if found else None

    def wish_of(self, slot: str) -> Spec | None:
        """What is wished for a slot that has an agent here."""
        found = self._at_work.get(slot)
        return found.spec if found else None

    def at_work(self) -> list[AtWork]:
        """Every agent, and what is wished for its slot."""
        return [AtWork(place.agent, place.spec) for place in self._at_work.values()]

    def all(self) -> Iterator[tuple[str, Agent]]:
        """Every agent that is at work, with its slot."""
        yield from [(slot, place.agent) for slot, place in self._at_work.items()]

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the wishes until `stop`; the slots are kept then."""
        try:
            while not stop.is_set():
                try:
                    await self._follow(await self._slots.wishes())
                    await self._note()
                except Exception as error:  # the store is away: agents need it for nothing
                    self._log.error("wishes not read", exc_info=error)
                await rest(stop, LOOK)
        finally:
            await asyncio.gather(*(self._dismiss(slot) for slot in list(self._at_work)))

    async def _follow(self, wishes: Mapping[str, Spec]) -> None:
        wished = {slot: spec for slot, spec in wishes.items() if self._region in spec.members}
        self._pauses.only(wished)
        for slot in [slot for slot in self._at_work if slot not in wished]:
            await self._dismiss(slot)
        for slot, spec in wished.items():
            place = self._at_work.get(slot)
            if place is not None and cells.key(place.spec.lease) != cells.key(spec.lease):
                # Another agent, over the register that has the record now: what this one may do, the disk knows.
                await self._dismiss(slot)
                place = None
            if place is None or place.task.done():
                if self._pauses.is_due(slot):
                    self._start(slot, spec)
            elif place.spec != spec:
                self._update(slot, place, spec)

    async def _note(self) -> None:
        for slot, place in self._at_work.items():
            lease = place.agent.sight.lease
            if lease is not None and lease != self._noted.get(slot):
                await self._slots.note(slot, lease)
                self._noted[slot] = lease

    def _start(self, slot: str, spec: Spec) -> None:
        try:
            agent = self._hire(slot, spec)
        except Refused as refused:
            self._log.error("no agent", slot=slot, error=str(refused))
            self._pauses.failed(slot)
            return
        self._pauses.succeeded(slot)
        self._at_work[slot] = _Place(agent, spec, self._log)

    def _update(self, slot: str, place: "_Place", spec: Spec) -> None:
        try:
            promote = self._promote(slot, spec)
        except Refused as refused:  # the agent goes on with what it acts with
            self._log.error("wish not taken over", slot=slot, error=str(refused))
            return
        place.agent.update(duties.duty(slot, self._region, spec, promote=promote))
        place.spec = spec

    async def _dismiss(self, slot: str) -> None:
        self._noted.pop(slot, None)
        await self._at_work.pop(slot).leave()


class _Place:
    """An agent at work."""

    def __init__(self, agent: Agent, spec: Spec, log: Any) -> None:
        self.agent = agent
        self.spec = spec
        self._log = log
        self._stop = asyncio.Event()
        self.task = asyncio.create_task(self._work(), name=agent.duty.slot)

    async def leave(self) -> None:
        self._stop.set()
        try:
            await asyncio.wait({self.task})
        finally:
            await ended(self.task)  # where nobody has the time to wait for it

    async def _work(self) -> None:
        try:
            await self.agent.run(self._stop)
        except Exception as error:  # another one is hired, which knows nothing yet and waits
            self._log.error("agent broke", slot=self.agent.duty.slot, exc_info=error)
