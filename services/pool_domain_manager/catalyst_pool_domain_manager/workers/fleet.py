"""The zones that a sweep looks at: page by page, each with all that is wished of it and where it is served.

Only what is settled is among them: a zone whose wish is on its way is left alone, what is not there yet is no drift.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from catalyst_mesh import PluginUnavailable, Work
from catalyst_sdk import PluginFailure
from catalyst_sdk.dns import ListsZones, RecordSet, ZoneState
from catalyst_sdk.dns_rules import Key

from catalyst_pool_domain_manager.domain import allocations, drifts, hosting, zones
from catalyst_pool_domain_manager.domain.allocations import Allocation
from catalyst_pool_domain_manager.domain.delegations import Delegation
from catalyst_pool_domain_manager.domain.drifts import Drift, Kind, Sight
from catalyst_pool_domain_manager.domain.hosting import State, Zone
from catalyst_pool_domain_manager.domain.pools import Pool
from catalyst_pool_domain_manager.domain.record_sets import Challenge, Wish
from catalyst_pool_domain_manager.store import Store

from . import wished
from .backends import Backends
from .polled import Poll, Polled
from .serving import asked, named

PAGE = 500


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
class _Parent:
    """A pool's own zone, read once in a pass: its name servers, and its sets by name and type."""

    state: ZoneState
    ns: tuple[str, ...]
    sets: Mapping[Key, RecordSet]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Why the names of a pool are not looked at, and how many those are."""

    why: str
    names: int = 0


@dataclass
class Fleet:
    """Reads the zones, and what their backends say of all of them at once."""

    work: Work[Store]
    backends: Backends
    poll: Poll
    listed: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Versions of zones by backend, from before any of them was looked at in this pass."""
    left_out: dict[str, LeftOut] = field(default_factory=dict)
    """Pools whose own zone could not be had when their names were last to be looked at."""

    async def kept(self) -> AsyncIterator[Sequence[Subject]]:
        """Zones whose wish stands here."""
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
            yield [replace(s, cut=cuts.get(s.domain)) for s in subjects]
            if len(page) < PAGE:
                return
            after = page[-1].domain

    async def children(self, only: Collection[str] | None = None) -> AsyncIterator[Sequence[Subject]]:
        """Zones of names; in some pools, where these are said. Afterwards `left_out` has those of which none came."""
        after: str | None = ""
        parents: dict[str, _Parent | LeftOut] = {}
        self.listed = {}
        while after is not None:
            async with self.work.reading() as tx:
                page = await tx.zoned(after, PAGE, None, only)
                pools = {pool.domain: pool for pool in await tx.all_pools()}
                settled = [a for a in page if a.state in (allocations.State.ACTIVE, allocations.State.DEGRADED)]
                names = [a.fqdn for a in settled]
                known, challenges = await tx.open_drifts(names), await tx.challenges_of_all(names)
            for domain in {a.pool for a in settled} - set(parents):
                parents[domain] = await self._parent(pools[domain])
            subjects = []
            for a in settled:
                match parents[a.pool]:
                    case LeftOut() as left:
                        parents[a.pool] = replace(left, names=left.names + 1)
                    case parent if all(one.carried for one in challenges[a.fqdn]):
                        subjects.append(await self._child(a, pools[a.pool], parent, known[a.fqdn], challenges[a.fqdn]))
            yield subjects
            after = page[-1].fqdn if len(page) == PAGE else None
        self.left_out = {domain: parent for domain, parent in parents.items() if isinstance(parent, LeftOut)}

    async def _parent(self, pool: Pool) -> "_Parent | LeftOut":
        """The pool's own zone, or why it cannot be had, which keeps no other pool from being looked at."""
        try:
            await self._list(pool.backend)
            state = await self.state(pool.backend, pool.zone)
        except PluginFailure as failure:
            return LeftOut(failure.message)
        except PluginUnavailable as unavailable:
            return LeftOut(unavailable.sentence)
        if state is None:
            return LeftOut(f"the backend has no zone {pool.zone}")
        ns = named(pool, state)
        if not ns:
            return LeftOut(f"{pool.zone} names no servers")
        return _Parent(state, ns, {(r.name, r.type): r for r in state.record_sets})

    async def _child(
        self, a: Allocation, pool: Pool, parent: "_Parent", known: Sequence[Drift], challenges: Sequence[Challenge]
    ) -> Subject:
        polled = await asked(pool, parent.state, self.poll)
        return Subject(
            a.fqdn, a.owner, pool.backend, a.mark, True, wished.of_child(a, pool, parent.ns, challenges),
            polled, known, allocation=a, pool=pool, above=parent.sets,
        )  # fmt: skip

    async def _list(self, backend: str) -> None:
        """What a backend says of all its zones at once, if it does."""
        target: Any = await self.backends.kept_as(backend)
        if backend not in self.listed and hasattr(target, "versions"):
            lists: ListsZones = target
            self.listed[backend] = await lists.versions()

    async def state(self, backend: str, origin: str) -> ZoneState | None:
        """A zone as its backend has it."""
        return await (await self.backends.kept_as(backend)).get_zone(zone=origin)


def at_parent(s: Subject, state: ZoneState) -> tuple[Sight, ...]:
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


def _kept_subject(
    zone: Zone, wishes: Sequence[Wish], challenges: Sequence[Challenge], polled: Polled, known: Sequence[Drift],
    held: Mapping[str, frozenset[str]],
) -> Subject:  # fmt: skip
    return Subject(
        zone.domain, zone.owner, zone.backend, zone.mark, zone.signed, wished.of_kept(wishes, challenges), polled, known,
        zone=zone, held=held.get(zone.domain, frozenset()),
    )  # fmt: skip
