"""The look at every zone, backend and servers, against the wish; at regular intervals, under a lease.

Cheap where nothing has changed: zones come from the database by pages with everything that is wished of them, each costs one
question to each of its servers and one read of its backend, or none where the backend lists what has changed, and nothing is
written for a zone that is as it was.

Invariants
  settled only   a zone whose wish is on its way is left alone: what is not there yet is no drift;
  once           a difference is told when it is first seen, by one replica;
  no silence     of a pool whose names could not be looked at its condition says so, and they are tried again soon;
  in one pass    every backend is read, or says itself what was not touched, and every server is asked in each pass; a zone
                 whose servers show nothing odd is looked at set by set, signatures too, when it is its turn: in each pass where
                 the fleet is small; and read at its backend in one of `READINGS` passes, whatever that lists.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from zlib import crc32

from catalyst_mesh import Lease, LeaseLost, Leases, LostRace, PluginUnavailable, Work, get_logger
from catalyst_mesh.telemetry import reconciling
from catalyst_mesh.waits import rest
from catalyst_sdk import Decision, PluginFailure
from catalyst_sdk.dns import ZoneState
from catalyst_sdk.registrar import Target

from catalyst_pool_domain_manager.domain import drifts, heights, hosting, ownership, pools
from catalyst_pool_domain_manager.domain.drifts import Kind, Sight
from catalyst_pool_domain_manager.domain.pools import Pool
from catalyst_pool_domain_manager.metrics import PdmMetrics
from catalyst_pool_domain_manager.store import Store

from . import wished
from .cuts import Cuts
from .fleet import Fleet, Subject, at_parent
from .mending import Mending
from .moving import own_ds
from .polled import Polled
from .serials import Serials
from .sights import seen_at
from .signals import Signals

LEASE = "drift"
AT_ONCE = 16
NEVER = datetime.fromtimestamp(0, UTC)
"""Stands for the moment where it is only asked whether anything is new."""
QUESTIONS = 600
"""Record sets that one pass asks servers for, each with its signature: each costs half as much as the reading of a zone. Of more,
zones take turns, over as many passes as that needs; the first sight of every zone at every server is in each pass, and the
watcher checks the signatures of keys and SOA of every visible name as often."""
READINGS = 12
"""Passes within which every zone is read at its backend, where a sweep is told no other number: not all that can be changed there
is told by its list."""
SOON = 0.1
"""Part of the time between two sweeps after which the names are looked at that the last one had to leave out."""
NOWHERE = ("127.0.0.1", 9)
"""Where a server is asked of which nobody knows where it listens: there is no answer."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A zone that was whole when it was looked at last: `version` by its backend's list from before, `serial` at its servers."""

    version: str
    wish: int
    serial: int
    signed: bool


@dataclass
class DriftSweep:
    """Looks at the zones of the fleet; what becomes of what it sees is the affair of `mending`."""

    work: Work[Store]
    leases: Leases
    fleet: Fleet
    mending: Mending
    cuts: Cuts
    interval: float
    metrics: PdmMetrics
    signals: Signals
    questions: int = QUESTIONS
    readings: int = READINGS
    passes: int = 0
    whole: dict[str, Whole] = field(default_factory=dict)
    """Names' zones in which the last pass found nothing."""

    def __post_init__(self) -> None:
        self._ends: list[int] = []
        self._log = get_logger("drift")
        self._questions = self._last_questions = 0
        self._stride = 1
        self._unseen: Counter[str] = Counter()

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop`, whenever this replica holds the lease."""
        await self.leases.keep(LEASE, stop, partial(self._work_on, stop))

    async def _work_on(self, stop: asyncio.Event, lease: Lease) -> None:
        clock, pause = asyncio.get_running_loop().time, self._pause()
        ends = clock() + pause
        while not stop.is_set():
            await rest(stop, min(pause, SOON * self.interval) if self.fleet.left_out else pause)
            if stop.is_set():
                return
            only = frozenset(self.fleet.left_out) if clock() < ends else frozenset()
            try:
                with reconciling("drift"):
                    await (self.sweep_again(lease, only) if only else self.sweep(lease))
            except LeaseLost:
                raise
            except Exception as error:
                self._log.error("sweep failed", exc_info=error)
            ends = ends if only else clock() + self._pause()
            pause = max(ends - clock(), 0.0)

    def _pause(self) -> float:
        return self.interval * random.uniform(0.9, 1.0)  # noqa: S311 - jitter, no secret

    async def sweep(self, lease: Lease) -> None:
        """One pass over everything."""
        self.passes += 1
        self._unseen.clear()
        self._last_questions, self._questions = self._questions, 0
        self._ends.clear()
        async for subjects in self.fleet.kept():
            await self._look_at(subjects, lease)
        await self.signals.settle(lease)
        seen: set[str] = set()
        async for subjects in self.fleet.children():
            await self._look_at(subjects, lease)
            seen.update(s.domain for s in subjects)
        self.whole = {domain: whole for domain, whole in self.whole.items() if domain in seen}
        for domain, left in self.fleet.left_out.items():
            self._log.warning("pool left out of a sweep", pool=domain, names=left.names, why=left.why)
        await self._note_unseen(lease)
        async with self.work.reading() as tx:
            self.metrics.drifts(await tx.drifts_by_kind())
            self.metrics.moves(await tx.delegations_by_state())
            if self._ends:
                self.metrics.rrsig_remaining.set(min(self._ends) - tx.now.timestamp())

    async def sweep_again(self, lease: Lease, left_out: Collection[str]) -> None:
        """One more try with the names of pools that were left out."""
        for domain in left_out:
            del self._unseen[domain]
        async for subjects in self.fleet.children(left_out):
            await self._look_at(subjects, lease)
        await self._note_unseen(lease)

    async def _note_unseen(self, lease: Lease) -> None:
        """Say of each pool whether its names were looked at."""
        left_out = self.fleet.left_out
        self.metrics.unswept({**self._unseen, **{domain: left.names for domain, left in left_out.items()}})
        async with self.work.reading() as tx:
            known = await tx.all_pools()
        for pool in known:
            why = left_out[pool.domain].why if pool.domain in left_out else ""
            if pool.unswept != why:
                await self.work.again(lambda tx, domain=pool.domain, why=why: _swept(tx, domain, why, lease))  # type: ignore[misc]

    async def _look_at(self, subjects: Sequence[Subject], lease: Lease) -> None:
        turns = asyncio.Semaphore(AT_ONCE)
        self._questions += sum(len(s.polled.names) * (len(s.desired) + 1) for s in subjects)
        self._stride = max(1, -(-max(self._questions, self._last_questions) // self.questions))

        async def one(subject: Subject, askers: Mapping[str, Serials]) -> None:
            async with turns:
                lease.check()
                try:
                    await self._one(subject, askers, lease)
                except LostRace:
                    pass  # it moved while it was looked at: the next pass sees it as it is then
                except (PluginFailure, PluginUnavailable):
                    self._unseen[subject.pool.domain if subject.pool else ""] += 1  # nothing is known of it
                except LeaseLost:
                    raise
                except Exception as error:
                    self._unseen[subject.pool.domain if subject.pool else ""] += 1
                    self._log.error("zone not looked at", zone=subject.domain, exc_info=error)

        async with AsyncExitStack() as stack:
            askers = {}
            for s in subjects:
                for name in s.polled.names:
                    if name not in askers:
                        askers[name] = await stack.enter_async_context(Serials(_place(s.polled, name)))
            await asyncio.gather(*(one(subject, askers) for subject in subjects))

    async def _one(self, s: Subject, askers: Mapping[str, Serials], lease: Lease) -> None:
        if await self._is_as_it_was(s, askers):
            return
        self.whole.pop(s.domain, None)
        state = await self.fleet.state(s.backend, f"{s.domain}.")
        if state is None:
            seen: tuple[Sight, ...] = (Sight(Kind.MISSING, cause="the backend has no such zone"),)
        elif state.owner != s.mark:
            seen = (Sight(Kind.FOREIGN, cause="the zone carries the mark of somebody else"),)
        else:
            at_servers = await self._at_servers(s, state, askers)
            if at_servers and await self.fleet.state(s.backend, f"{s.domain}.") != state:
                raise LostRace  # somebody wrote between our questions; servers were right to answer otherwise
            seen = (*self._at_backend(s, state), *at_parent(s, state), *at_servers)
            seen += await self._above(s, state)
        new, moved = drifts.settle(s.domain, s.owner, s.known, seen, NEVER)
        conditions = drifts.conditions(seen, signed=s.signed)
        same_state = s.zone is None or hosting.observed(s.zone, conditions, s.zone.updated_at) is s.zone
        if not new and not moved and same_state:
            if state is not None and not seen and s.allocation is not None:
                self.remember(s, state)
            await self.mending.put_right(s, s.known)  # what could not be begun when it was seen first
            return
        await self.mending.note(s, seen, lease)

    def remember(self, s: Subject, state: ZoneState) -> None:
        """Take the zone as whole as it is, until its backend lists another version of it."""
        if version := self.fleet.listed.get(s.backend, {}).get(state.name):
            self.whole[s.domain] = Whole(version, s.wish, state.serial, state.signed)

    async def _is_as_it_was(self, s: Subject, askers: Mapping[str, Serials]) -> bool:
        """Whether a name's zone that was whole was not touched since, by its backend's list and at first sight of each server."""
        before = self.whole.get(s.domain)
        is_told = before is not None and self.fleet.listed.get(s.backend, {}).get(f"{s.domain}.") == before.version
        if (
            before is None
            or not is_told
            or s.known
            or self._is_turn(s, self._stride)
            or self._is_turn(s, self.readings)
        ):
            return False
        if before.wish != s.wish:
            return False
        lights = await asyncio.gather(*(askers[name].ask(f"{s.domain}.") for name in s.polled.names))
        return all(one and one.serial == before.serial and one.is_signed >= before.signed for one in lights)

    def _is_turn(self, s: Subject, stride: int) -> bool:
        return (crc32(s.domain.encode()) + self.passes) % stride == 0

    def _at_backend(self, s: Subject, state: ZoneState) -> tuple[Sight, ...]:
        foreign = ownership.foreign_keys(state.record_sets, s.owner)
        found = wished.found_kept(state, s.zone, s.held) if s.zone else wished.found_child(state, s.allocation)
        return drifts.compare(s.desired, found, foreign=foreign)

    async def _above(self, s: Subject, state: ZoneState) -> tuple[Sight, ...]:
        """What the parent of a kept zone shows otherwise than its delegation came to, or than a zone of ours should be shown."""
        if s.zone is None:
            return ()
        published = s.desired[f"{s.domain}.", "NS"].records
        is_unmoved = heights.is_unmoved(s.cut)
        if s.cut is not None and heights.is_in_hand(s.cut):
            return heights.still(s.known)
        d = heights.unmoved(s.zone, published) if is_unmoved else s.cut
        if d is None or not heights.is_compared(d, s.zone.uid):
            return ()
        try:
            cut = await self.cuts.look(s.domain)
        except PluginFailure:
            return heights.still(s.known)
        shown: Sequence[tuple[str, Target | None]] = [(one.server, one.records) for one in cut.seen]
        if is_unmoved or (d.wished and d.wished.ds):  # else it was wished to have none
            self.signals.see(s.zone, state, published, [one for _, one in shown])
        shown = heights.ours(shown, published) if is_unmoved else shown
        signing = own_ds(replace(state, keys=tuple(key for key in state.keys if key.active)))
        return heights.differing(d, shown, s.known, signing=signing, present=own_ds(state))

    async def _at_servers(self, s: Subject, state: ZoneState, askers: Mapping[str, Serials]) -> tuple[Sight, ...]:
        """Each server at first sight; the whole zone where that is odd, or where it is the zone's turn."""
        is_turn = self._is_turn(s, self._stride)

        async def at(name: str) -> tuple[Sight, ...]:
            light = None if is_turn else await askers[name].ask(state.name)
            if light is not None and light.serial == state.serial and light.is_signed >= state.signed:
                return ()
            # What the backend has otherwise is told once, of the backend: servers are held to what it has.
            there = {(r.name, r.type): r for r in state.record_sets}
            wanted = {k: there[k] for k in s.desired if k in there}
            return await seen_at(s.polled.servers, name, state, wanted, self._ends.append)

        found = await asyncio.gather(*(at(name) for name in s.polled.names))
        return tuple(sight for sights in found for sight in sights)


async def _swept(tx: Store, domain: str, why: str, lease: Lease) -> None:
    await lease.guard(tx.sql)
    pool = await tx.pool(domain)
    decision: Decision[Pool | None] = pools.swept(pool, why, tx.now) if pool else Decision(None)
    if decision.state is not None:
        await tx.save(decision.state)
        tx.emit(*decision.events)


def _place(polled: Polled, name: str) -> tuple[str, int]:
    try:
        return polled.servers.address(name)
    except (LookupError, ValueError):
        return NOWHERE
