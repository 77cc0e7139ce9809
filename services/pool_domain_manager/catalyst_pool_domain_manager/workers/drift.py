"""The look at every zone, backend and servers, against the wish; at regular intervals, under a lease.

Cheap where nothing has changed: zones come from the database by pages with everything that is wished of them, each costs one
question to each of its servers and one read of its backend, or none where the backend lists what has changed, and nothing is
written for a zone that is as it was.

Invariants
  settled only   a zone whose wish is on its way is left alone: what is not there yet is no drift;
  once           a difference is told when it is first seen, by one replica;
  in one pass    every backend is read, or says itself what was not touched, and every server is asked in each pass; a zone
                 whose servers show nothing odd is looked at set by set, signatures too, when it is its turn: in each pass where
                 the fleet is small; and read at its backend in one of `READINGS` passes, whatever that lists.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from zlib import crc32

from catalyst_mesh import Lease, LeaseLost, Leases, LostRace, PluginUnavailable, Work, get_logger
from catalyst_mesh.journal import Engine
from catalyst_mesh.telemetry import reconciling
from catalyst_mesh.waits import rest
from catalyst_sdk import PluginFailure, Refused
from catalyst_sdk.dns import Change, ListsZones, RecordSet, ZoneState
from catalyst_sdk.dns_rules import Key
from catalyst_sdk.registrar import Target

from catalyst_pool_domain_manager.domain import allocations, drifts, guards, heights, hosting, ownership, plans, zones
from catalyst_pool_domain_manager.domain.allocations import Allocation
from catalyst_pool_domain_manager.domain.conditions import Condition
from catalyst_pool_domain_manager.domain.delegations import Delegation
from catalyst_pool_domain_manager.domain.drifts import Drift, Kind, Sight
from catalyst_pool_domain_manager.domain.hosting import DriftPolicy, State, Zone
from catalyst_pool_domain_manager.domain.pools import Pool
from catalyst_pool_domain_manager.domain.record_sets import Challenge, Wish
from catalyst_pool_domain_manager.metrics import PdmMetrics
from catalyst_pool_domain_manager.store import Store

from . import wished
from .applying import APPLY, new_id
from .backends import Backends
from .cuts import Cuts
from .late import Late
from .moving import own_ds
from .polled import Poll, Polled
from .reconciler import ACTOR
from .serials import Serials
from .serving import asked, named
from .sights import seen_at
from .signals import Signals
from .worlds import thresholds_of, world_of

LEASE = "drift"
PAGE = 500
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
NOWHERE = ("127.0.0.1", 9)
"""Where a server is asked of which nobody knows where it listens: there is no answer."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A zone, with what it should hold."""

    domain: str
    owner: str
    backend: str
    mark: str
    signed: bool
    desired: Mapping[Key, RecordSet]
    polled: Polled
    known: Sequence[Drift]
    zone: Zone | None = None
    held: frozenset[str] = frozenset()
    allocation: Allocation | None = None
    pool: Pool | None = None
    above: Mapping[Key, RecordSet] | None = None
    """What the pool's zone holds."""
    cut: Delegation | None = None

    @property
    def wish(self) -> int:
        """Tells one wish from another."""
        return hash((self.mark, frozenset(self.desired.items()), self._pointed))

    @property
    def _pointed(self) -> tuple[RecordSet | None, ...]:
        """How the pool's zone points to the zone."""
        return tuple((self.above or {}).get((f"{self.domain}.", kind)) for kind in ("NS", "DS"))


@dataclass(frozen=True, slots=True)
class Whole:
    """A zone that was whole when it was looked at last: `version` by its backend's list from before, `serial` at its servers."""

    version: str
    wish: int
    serial: int
    signed: bool


@dataclass
class DriftSweep:
    """Looks at all zones."""

    work: Work[Store]
    leases: Leases
    backends: Backends
    poll: Poll
    cuts: Cuts
    engine: Engine
    interval: float
    metrics: PdmMetrics
    late: Late
    signals: Signals
    questions: int = QUESTIONS
    readings: int = READINGS
    passes: int = 0

    def __post_init__(self) -> None:
        self._ends: list[int] = []
        self._log = get_logger("drift")
        self._questions = self._last_questions = 0
        self._stride = 1
        self._listed: dict[str, Mapping[str, str]] = {}
        self._whole: dict[str, Whole] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop`, whenever this replica holds the lease."""
        await self.leases.keep(LEASE, stop, partial(self._work_on, stop))

    async def _work_on(self, stop: asyncio.Event, lease: Lease) -> None:
        while not stop.is_set():
            await rest(stop, self.interval * random.uniform(0.9, 1.0))  # noqa: S311 - jitter, no secret
            if stop.is_set():
                return
            try:
                with reconciling("drift"):
                    await self.sweep(lease)
            except LeaseLost:
                raise
            except Exception as error:
                self._log.error("sweep failed", exc_info=error)

    async def sweep(self, lease: Lease) -> None:
        """One pass over everything."""
        self.passes += 1
        self._last_questions, self._questions = self._questions, 0
        self._ends.clear()
        await self._kept(lease)
        await self.signals.settle(lease)
        await self._children(lease)
        async with self.work.reading() as tx:
            self.metrics.drifts(await tx.drifts_by_kind())
            self.metrics.moves(await tx.delegations_by_state())
            if self._ends:
                self.metrics.rrsig_remaining.set(min(self._ends) - tx.now.timestamp())

    async def _kept(self, lease: Lease) -> None:
        after = ""
        sets: dict[str, Polled] = {}
        while True:
            async with self.work.reading() as tx:
                page = await tx.zones_after(after, PAGE, None)
                settled = [z for z in page if z.state in (State.ACTIVE, State.DEGRADED) and z.written == z.revision]
                names = [z.domain for z in settled]
                wishes, known = await tx.wishes_of_all(names), await tx.open_drifts(names)
                challenges = await tx.challenges_of_all(names)
                held = {z.domain: await tx.labels_held(z.domain) for z in settled if z.kind is hosting.Kind.POOL}
                servers = {s.name: s for s in await tx.server_sets()}
                cuts = await tx.delegations_of_all(names)
            for name in {z.name_server_set for z in settled} - set(sets):
                sets[name] = await self.poll.of(servers[name])
            subjects = [
                _kept_subject(z, wishes[z.domain], challenges[z.domain], sets[z.name_server_set], known[z.domain], held)
                for z in settled
                if not any(not one.carried for one in challenges[z.domain])
            ]
            await self._look_at([replace(s, cut=cuts.get(s.domain)) for s in subjects], lease)
            if len(page) < PAGE:
                return
            after = page[-1].domain

    async def _children(self, lease: Lease) -> None:
        after = ""
        parents: dict[str, ZoneState | None] = {}
        above: dict[str, Mapping[Key, RecordSet]] = {}
        self._listed = {}
        seen: set[str] = set()
        while True:
            async with self.work.reading() as tx:
                page = await tx.zoned(after, PAGE, None)
                pools = {pool.domain: pool for pool in await tx.all_pools()}
                settled = [a for a in page if a.state in (allocations.State.ACTIVE, allocations.State.DEGRADED)]
                names = [a.fqdn for a in settled]
                known, challenges = await tx.open_drifts(names), await tx.challenges_of_all(names)
            for domain in {a.pool for a in settled} - set(parents):
                try:
                    await self._list(f"dns_backend:{pools[domain].backend}")
                    parents[domain] = state = await self._state(
                        f"dns_backend:{pools[domain].backend}", pools[domain].zone
                    )
                    above[domain] = {(r.name, r.type): r for r in state.record_sets} if state else {}
                except (PluginFailure, PluginUnavailable):
                    parents[domain] = None  # a backend that is away keeps no other pool from being looked at
            subjects = []
            for a in settled:
                parent, pool = parents[a.pool], pools[a.pool]
                ns = named(pool, parent) if parent else ()
                if parent is not None and ns and all(one.carried for one in challenges[a.fqdn]):
                    polled = await asked(pool, parent, self.poll)
                    desired = wished.of_child(a, pool, ns, challenges[a.fqdn])
                    subjects.append(
                        Subject(
                            a.fqdn, a.owner, f"dns_backend:{pool.backend}", a.mark, True, desired, polled,
                            known[a.fqdn], allocation=a, pool=pool, above=above[a.pool],
                        )
                    )  # fmt: skip
            await self._look_at(subjects, lease)
            seen.update(s.domain for s in subjects)
            if len(page) < PAGE:
                break
            after = page[-1].fqdn
        self._whole = {domain: whole for domain, whole in self._whole.items() if domain in seen}

    async def _list(self, backend: str) -> None:
        """What a backend says of all its zones at once, if it does."""
        target = self._target(backend)
        if backend not in self._listed and hasattr(target, "versions"):
            lists: ListsZones = target
            self._listed[backend] = await lists.versions()

    async def _look_at(self, subjects: Sequence[Subject], lease: Lease) -> None:
        turns = asyncio.Semaphore(AT_ONCE)
        self._questions += sum(len(s.polled.names) * (len(s.desired) + 1) for s in subjects)
        self._stride = max(1, -(-max(self._questions, self._last_questions) // self.questions))

        async def one(subject: Subject, askers: Mapping[str, Serials]) -> None:
            async with turns:
                lease.check()
                try:
                    await self._one(subject, askers, lease)
                except (LostRace, PluginFailure, PluginUnavailable):
                    pass  # it moved while it was looked at, or cannot be looked at: nothing is known, so nothing is told
                except LeaseLost:
                    raise
                except Exception as error:
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
        self._whole.pop(s.domain, None)
        state = await self._state(s.backend, f"{s.domain}.")
        if state is None:
            seen: tuple[Sight, ...] = (Sight(Kind.MISSING, cause="the backend has no such zone"),)
        elif state.owner != s.mark:
            seen = (Sight(Kind.FOREIGN, cause="the zone carries the mark of somebody else"),)
        else:
            at_servers = await self._at_servers(s, state, askers)
            if at_servers and await self._state(s.backend, f"{s.domain}.") != state:
                raise LostRace  # somebody wrote between our questions; servers were right to answer otherwise
            seen = (*self._at_backend(s, state), *_at_parent(s, state), *at_servers)
            seen += await self._above(s, state)
        new, moved = drifts.settle(s.domain, s.owner, s.known, seen, NEVER)
        conditions = drifts.conditions(seen, signed=s.signed)
        same_state = s.zone is None or hosting.observed(s.zone, conditions, s.zone.updated_at) is s.zone
        if not new and not moved and same_state:
            if state is not None and not seen and s.allocation is not None:
                self._remember(s, state)
            await self._put_right(s, s.known)  # what could not be begun when it was seen first
            return
        await self._note(s, seen, lease)

    def _remember(self, s: Subject, state: ZoneState) -> None:
        if version := self._listed.get(s.backend, {}).get(state.name):
            self._whole[s.domain] = Whole(version, s.wish, state.serial, state.signed)

    async def _is_as_it_was(self, s: Subject, askers: Mapping[str, Serials]) -> bool:
        """Whether a name's zone that was whole was not touched since, by its backend's list and at first sight of each server."""
        before = self._whole.get(s.domain)
        is_told = before is not None and self._listed.get(s.backend, {}).get(f"{s.domain}.") == before.version
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

    async def _state(self, backend: str, origin: str) -> ZoneState | None:
        target = self._target(backend) if backend.startswith("dns_backend:") else await self.backends.get(backend)
        state: ZoneState | None = await target.get_zone(zone=origin)
        return state

    def _target(self, backend: str) -> Any:
        return self.backends.host.get("dns_backend", backend.removeprefix("dns_backend:"))

    async def _note(self, s: Subject, seen: Sequence[Sight], lease: Lease) -> None:
        """Write what is new, told once; where the zone moved meanwhile, nothing."""
        async with self.work.transaction() as tx:
            await lease.guard(tx.sql)
            known = (await tx.open_drifts([s.domain]))[s.domain]
            new, moved = drifts.settle(s.domain, s.owner, known, seen, tx.now)
            await tx.save_drifts(moved)
            opened = [await tx.open_drift(d) for d in new]
            if s.zone is not None:
                await _note_kept(tx, s.zone, (*opened, *moved), drifts.conditions(seen, signed=s.signed))
            elif s.allocation is not None:
                await _note_child(tx, s.allocation, opened)
        await self._put_right(s, (*known, *opened))

    async def _put_right(self, s: Subject, known: Sequence[Drift]) -> None:
        """Where the zone's policy is to repair, have it done, by as much as can be."""
        left = [d for d in known if d.state is drifts.State.OPEN]
        if s.zone is not None and s.zone.drift_policy is DriftPolicy.REPAIR and left:
            await self._repair(s.zone, left)
            await self._take_back(s.zone, left)

    async def _take_back(self, zone: Zone, wanted: Sequence[Drift]) -> None:
        """A change of ours that has landed at the parent after all was back goes back again; of others' nothing does."""
        for d in wanted:
            if d.sight.kind not in heights.KINDS:
                continue
            try:
                if await self.late.take_back(zone.domain, d.number, automatic=True, by=ACTOR):
                    return
            except Refused as refused:
                self._log.warning("change not taken back", zone=zone.domain, reason=refused.reason)

    async def _repair(self, zone: Zone, wanted: Sequence[Drift]) -> None:
        """What is ours and can be written is put right by a plan; a guard that speaks leaves it to a person."""
        ours = [
            d for d in wanted if d.sight.kind in drifts.REPAIRABLE and d.sight.server == drifts.BACKEND and d.sight.name
        ]
        if not ours:
            return
        try:
            await begin_repair(self.work, self.backends, self.engine, zone.domain, [d.number for d in ours], ACTOR)
        except (Refused, PluginUnavailable) as refused:
            self._log.warning("drift not repaired", zone=zone.domain, reason=getattr(refused, "reason", ""))


async def begin_repair(
    work: Work[Store], backends: Backends, engine: Engine, domain: str, numbers: Sequence[int], actor: str
) -> None:
    """Plan the wish anew for what drifted, and apply the plan. Raises what a guard refuses, RunInProgress."""
    world = await world_of(work, backends, domain)
    async with work.reading() as tx:
        found = [d for n in numbers if (d := await tx.drift(domain, n)) is not None]
        limits = await thresholds_of(tx, world.zone)
    wishes = {w.key: w for w in world.wishes}
    wanted = [w.set for d in found if (w := wishes.get(d.key)) is not None and w.records]
    changes = [Change(r.name, r.type, r.ttl, r.records) for r in wanted]
    steps, safety = plans.compute(world, changes, thresholds=limits)
    if spoke := [one for one in safety if one.refused]:
        raise guards.GuardRefused(world.zone.name, spoke)
    async with work.transaction() as tx:
        made = plans.made(world, steps, safety, id=new_id(tx.now), actor=actor, now=tx.now)
        made = replace(made, extra={"drifts": list(numbers)})
        plan = replace(made, hash=plans.hashed(made, world.zone.uid))
        run = await engine.start_in(
            tx.sql, APPLY, subject=world.zone.name, key=f"{world.zone.uid}/{plan.id}",
            input={"zone": domain, "plan": plan.id}, by=actor,
        )  # fmt: skip
        await tx.save_plan(plans.begun(plan, run.id, tx.now))
        for n in numbers:
            if (d := await tx.drift(domain, n)) is not None and d.state is drifts.State.OPEN:
                await tx.save_drift(drifts.repairing(d, plan.name))
    engine.wake()


def _place(polled: Polled, name: str) -> tuple[str, int]:
    try:
        return polled.servers.address(name)
    except (LookupError, ValueError):
        return NOWHERE


def _at_parent(s: Subject, state: ZoneState) -> tuple[Sight, ...]:
    """Whether the pool's zone points to the child as it should."""
    if s.allocation is None or s.pool is None or s.above is None:
        return ()
    found = []
    ns = s.desired[s.allocation.zone, "NS"].records
    for change in zones.delegation(s.allocation, s.pool, state, ns, s.above.get((s.allocation.zone, "DS"))):
        wish = RecordSet(change.name, change.type, change.ttl, change.records)
        seen = s.above.get((change.name, change.type))
        if seen is None or set(seen.records) != set(wish.records):
            kind = Kind.DS_MISMATCH if change.type == "DS" else Kind.NS_MISMATCH
            found.append(Sight(kind, drifts.BACKEND, change.name, change.type, wish, seen, f"in {s.pool.zone}"))
    return tuple(found)


async def _note_kept(tx: Store, before: Zone, moved: Sequence[Drift], found: tuple[Condition, ...]) -> None:
    zone = await tx.zone(before.domain, lock=True)
    if zone is None or zone.version != before.version:
        raise LostRace
    for d in moved:
        is_new = d.version == 1
        if is_new or d.state is drifts.State.REPAIRED:
            zone = hosting.told(zone, tx.now)
            fact = (
                drifts.Drifted(d, zone.version)
                if is_new
                else drifts.Repaired(d, zone.version, zone.serial, zone.written)
            )
            tx.emit(fact)
    await tx.save_zone(hosting.observed(zone, found, tx.now))


async def _note_child(tx: Store, before: Allocation, opened: Sequence[Drift]) -> None:
    """Tell under the numbers of the allocation's zone; what becomes of it is its reconciler's affair."""
    if not opened:
        return
    after = before
    for d in opened:
        after = replace(after, zone_version=after.zone_version + 1)
        tx.emit(drifts.Drifted(d, after.zone_version))
    await tx.progress(before, after)


def _kept_subject(
    zone: Zone, wishes: Sequence[Wish], challenges: Sequence[Challenge], polled: Polled, known: Sequence[Drift],
    held: Mapping[str, frozenset[str]],
) -> Subject:  # fmt: skip
    return Subject(
        zone.domain, zone.owner, zone.backend, zone.mark, zone.signed, wished.of_kept(wishes, challenges), polled, known,
        zone=zone, held=held.get(zone.domain, frozenset()),
    )  # fmt: skip
