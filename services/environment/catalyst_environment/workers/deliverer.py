"""Finds clusters for Environments, tells them what is to run there, and writes down how it runs.

Invariants
  by level     each round says all that is wished and reads all that is seen; nothing depends on the round before;
  one at a time under a lease, whose fence the provisioner compares, so that whoever was frozen tells nobody anything;
  noted first  an Application has its clusters' names before they have its;
  no old word  what nobody could confirm for a while is unknown.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from catalyst_mesh import Lease, Leases, Work, get_logger
from catalyst_mesh.waits import rest, rung
from catalyst_sdk import Decision

from ..clusters import Answer, ClusterGone, Clusters, ProvisionerUnavailable, Wish
from ..domain import environments, organizations, running
from ..domain.applications import Application, State
from ..domain.environments import Environment, Host
from ..domain.organizations import Organization
from ..domain.placing import Candidate, choose
from ..logins import Logins
from ..metrics import EnvironmentMetrics
from ..steps.applications import branch_of
from ..store import Store
from ..store import tables as t

LEASE = "deliver"
CALM = 10
"""How much longer is the pause while nothing is on its way."""
SILENCE = 90.0
"""Seconds without an answer of the provisioner after which what it told is not believed any more."""
MOVING = (State.INSTALLING, State.UPDATING, State.UNINSTALLING)
Urls = Callable[[str], str]
Decide = Callable[[Application, Store], Decision[Application]]


@dataclass(frozen=True, slots=True)
class World:
    """What stands in the database."""

    environments: Sequence[Environment]
    applications: Sequence[Application]
    suspended: frozenset[str]
    """Organizations whose Applications run nowhere for now."""

    def on(self, host: Host) -> list[Application]:
        """Applications that stand on a cluster, or are to."""
        here = {one.id for one in self.environments if host in one.hosts}
        return [
            one
            for one in self.applications
            if one.environment in here or any(sight.cluster == host.cluster for sight in one.sights)
        ]

    def is_settled(self) -> bool:
        """Whether nothing is on its way, so that looking now and then is enough."""
        return all(one.hosts for one in self.environments) and not any(_moves(one) for one in self.applications)


class Deliverer:
    """One replica at a time."""

    def __init__(
        self, work: Work[Store], leases: Leases, clusters: Clusters, logins: Logins, url: Urls, *,
        metrics: EnvironmentMetrics, pause: float = 1.0, silence: float = SILENCE,
    ) -> None:  # fmt: skip
        """url   of the repositories of an Organization: `url("acme/blog.git")`"""
        self._work = work
        self._leases = leases
        self._clusters = clusters
        self._logins = logins
        self._url = url
        self._metrics = metrics
        self._pause = pause
        self._silence = silence
        self._heard: dict[Host, float] = {}
        self._log = get_logger("deliverer")

    async def run(self, stop: asyncio.Event) -> None:
        """Go round until `stop`, whenever this replica holds the lease."""
        await self._leases.keep(LEASE, stop, partial(self._rounds, stop))

    async def _rounds(self, stop: asyncio.Event, lease: Lease) -> None:
        self._heard.clear()
        tables = (t.organizations.name, t.environments.name, t.applications.name)
        try:
            with self._work.bell.listening(*tables) as changed:
                while not stop.is_set():
                    changed.clear()
                    settled = await self.round(lease)
                    await rest(stop, self._pause / 4)  # who writes often is answered together
                    await rung(stop, changed, self._pause * (CALM if settled else 1))
        finally:
            self._metrics.forget()

    async def round(self, lease: Lease) -> bool:
        """Look at everything once; whether nothing is on its way."""
        lease.check()
        world = await self._world()
        if not all(one.hosts for one in world.environments):
            await self._place(lease, world)
            world = await self._world()
        for host in sorted({host for one in world.environments for host in one.hosts}, key=lambda one: one.cluster):
            await self._deliver(lease, host, world)
        self._metrics.looked(one.state for one in world.applications)
        return world.is_settled()

    async def _world(self) -> World:
        async with self._work.reading() as tx:
            standing, applications = await tx.standing_environments(), await tx.standing_applications()
            asked = sorted({one.org for one in standing})
            owners = [await tx.find(Organization, org) for org in asked]
        return World(standing, applications, frozenset(o.slug for o in owners if o and organizations.is_stopped(o)))

    async def _place(self, lease: Lease, world: World) -> None:
        """Look for clusters for those that have none."""
        known: dict[str, list[Candidate]] = {}
        for one in world.environments:
            if one.hosts:
                continue
            try:
                candidates = known.get(one.org) or await self._clusters.of(one.org)
            except ProvisionerUnavailable as away:
                self._log.debug("no clusters told", why=str(away))
                return
            known[one.org] = candidates
            await self._work.again(partial(self._placed, lease, one, choose(one, candidates)))

    async def _placed(self, lease: Lease, one: Environment, found: tuple[Host, ...] | str, tx: Store) -> None:
        await lease.guard(tx.sql)
        held = await tx.find(Environment, one.id, lock=True)
        if held is None or held.version != one.version:
            return  # the next round looks again
        decided = (
            environments.unplaced(held, found, tx.now)
            if isinstance(found, str)
            else environments.place(held, found, tx.now)
        )
        if decided.state is not held:
            await tx.save(decided.state)
            tx.emit(*decided.events)

    async def _deliver(self, lease: Lease, host: Host, world: World) -> None:
        loop = asyncio.get_running_loop()
        here = world.on(host)
        wished = [one for one in here if running.is_wished(one, here)]
        for one in wished:
            if all(sight.cluster != host.cluster for sight in one.sights):
                await self._change(lease, one, lambda held, tx: running.expect(held, [host.cluster], tx.now))
        lease.check()
        wishes = [self._wish(one, world) for one in wished]
        try:
            async with self._work.reading() as tx:
                now = tx.now
            password = self._logins.password(host)
            answer = await self._clusters.sync(host, wishes, fence=lease.fence, password=password, now=now)
        except ClusterGone:
            await self._gone(lease, host, here, world)
            return
        except ProvisionerUnavailable as away:
            since = self._heard.setdefault(host, loop.time())
            if loop.time() - since > self._silence:
                for one in here:
                    why = str(away)
                    await self._change(lease, one, lambda h, tx: running.lost_sight(h, host.cluster, why, tx.now))  # noqa: B023 - called at once
            return
        self._heard[host] = loop.time()
        await self._told(lease, host, here, wished, answer)

    async def _told(
        self, lease: Lease, host: Host, here: Iterable[Application], wished: Sequence[Application], answer: Answer
    ) -> None:
        names = {one.name for one in wished}
        for one in here:
            uid, sight = answer.seen.get(one.name, ("", None))
            if sight is None and (one.name in names or not answer.is_current):
                continue  # nobody has looked yet
            if one.name in names and uid not in ("", one.uid):
                continue  # its former life is still going
            await self._change(lease, one, lambda held, tx: running.see(held, host.cluster, sight, tx.now))  # noqa: B023 - called at once

    async def _gone(self, lease: Lease, host: Host, here: Iterable[Application], world: World) -> None:
        """The cluster was taken away, and what ran there with it."""
        for one in here:
            await self._change(lease, one, lambda held, tx: running.see(held, host.cluster, None, tx.now))
        for place in world.environments:
            if host in place.hosts:
                why = f"{host.cluster} is no more"
                await self._work.again(partial(self._placed, lease, place, why))

    async def _change(self, lease: Lease, one: Application, decide: Decide) -> None:
        """Decide on what stands now: it may have changed since the round began."""

        async def step(tx: Store) -> None:
            await lease.guard(tx.sql)
            held = await tx.find(Application, one.environment, one.id, lock=True)
            if held is None or held.uid != one.uid:
                return
            decided = decide(held, tx)
            if decided.state is not held:
                await tx.save(decided.state)
                tx.emit(*decided.events)

        async with self._work.reading() as tx:
            if decide(one, tx).state is one:
                return  # nothing new, as nearly always: no transaction that writes
        await self._work.again(step)

    def _wish(self, one: Application, world: World) -> Wish:
        mode = running.mode(one, is_suspended=one.org in world.suspended)
        return Wish(one.name, one.uid, self._url(f"{one.org}/{one.id}.git"), branch_of(one), one.pin.commit, mode)


def _moves(one: Application) -> bool:
    return one.state in MOVING or any(sight.commit != one.pin.commit for sight in one.sights)
