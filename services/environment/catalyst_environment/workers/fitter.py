"""Installs the apps that paid orders name, each once.

What passes by itself, such as a catalog that is away or an Organization that is being made, is waited for. What does not is
said at the Organization and tried again less often, since somebody may see to it.
"""

import asyncio
from functools import partial

from catalyst_mesh import Lease, Leases, Work, get_logger
from catalyst_mesh.waits import rung
from catalyst_sdk import Code, Refused

from ..catalog import Catalog
from ..domain import ordered, organizations, trees
from ..domain.applications import Application, Wanted
from ..domain.applications import State as Stands
from ..domain.environments import Environment
from ..domain.environments import State as EnvironmentState
from ..domain.ordered import OrderedApp, State
from ..domain.organizations import Organization
from ..domain.organizations import State as OrgState
from ..installing import Installing
from ..store import Store
from ..store import tables as t

LEASE = "fit"
PAUSE = 2.0
"""Seconds between two rounds while something waits."""
LATER = 60.0
"""Seconds between two rounds otherwise; a ring ends them."""
PASSING = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED)


class Fitter:
    """One replica at a time."""

    def __init__(
        self, work: Work[Store], leases: Leases, catalog: Catalog, installing: Installing, *, pause: float = PAUSE
    ) -> None:
        self._work = work
        self._leases = leases
        self._catalog = catalog
        self._installing = installing
        self._pause = pause
        self._log = get_logger("fitter")

    async def run(self, stop: asyncio.Event) -> None:
        """Go round until `stop`, whenever this replica holds the lease."""
        await self._leases.keep(LEASE, stop, partial(self._rounds, stop))

    async def _rounds(self, stop: asyncio.Event, lease: Lease) -> None:
        with self._work.bell.listening(t.ordered_apps.name) as changed:
            while not stop.is_set():
                changed.clear()
                lease.check()
                waits = await self.round(lease)
                await rung(stop, changed, self._pause if waits else LATER)

    async def round(self, lease: Lease) -> bool:
        """Look at everything that is open; whether any of it waits for what passes."""
        async with self._work.reading() as tx:
            open_ones = await tx.open_ordered()
        waits = False
        for one in open_ones:
            waits |= not await self._fit(lease, one)
        return waits

    async def _fit(self, lease: Lease, one: OrderedApp) -> bool:
        """Begin it, or say why not; whether that is settled for now."""
        async with self._work.reading() as tx:
            owner = await tx.find(Organization, one.org)
            if owner is None or owner.state is not OrgState.ACTIVE:
                return owner is not None and owner.state in (OrgState.DELETING, OrgState.DELETED)
            id = one.environment or f"{one.org}-{owner.environment_type}"
            place, standing = await tx.find(Environment, id), await tx.applications(id)
        if place is None or place.state is EnvironmentState.DELETED:
            await self._refuse(lease, one, f"there is no Environment environments/{id}")
            return True
        try:
            blueprint, version = await self._catalog.app(one.app)
            there = next((a for a in standing if a.blueprint == blueprint and not one.adds), None)
            parts = [] if there else await self._plan(owner, place, one, blueprint, version, standing)
        except Refused as refusal:
            if refusal.code in PASSING:
                return False
            await self._refuse(lease, one, refusal.sentence)
            return True
        settled = await self._work.again(partial(self._begin, lease, one, place, standing, parts, there))
        self._installing.wake()
        return settled

    async def _plan(
        self, owner: Organization, place: Environment, one: OrderedApp, blueprint: str, version: str,
        standing: list[Application],
    ) -> list[Wanted]:  # fmt: skip
        taken = {a.id for a in standing}
        id = next(name for n in range(1, 100) if (name := one.app if n == 1 else f"{one.app}-{n}") not in taken)
        parts = await self._catalog.plan(place.name, id, blueprint, version, {}, {}, standing, limits=owner.plan)
        for part in parts:
            trees.demand_no_secret(part.pin.config)
        return parts

    async def _begin(
        self, lease: Lease, one: OrderedApp, place: Environment, standing: list[Application], parts: list[Wanted],
        there: Application | None, tx: Store,
    ) -> bool:  # fmt: skip
        await lease.guard(tx.sql)
        owner = await tx.find(Organization, one.org, lock=True)
        held = await tx.find(OrderedApp, one.order, one.app, lock=True)
        fresh = await tx.find(Environment, place.id, lock=True)
        now_standing = await tx.applications(place.id)
        if owner is None or owner.state is not OrgState.ACTIVE or held is None or held.state is State.BEGUN:
            return True
        if fresh is None or fresh.version != place.version or _stands(standing) != _stands(now_standing):
            return False  # it has changed since it was planned for
        application = there
        if application is None:
            made, facts = await self._installing.begin(tx, fresh, parts, {}, by=f"order:{one.order}", order=one.order)
            tx.emit(*facts)
            application = made[-1]
        await tx.save(ordered.begun(held, application.name, tx.now))
        await _note(tx, owner)
        return True

    async def _refuse(self, lease: Lease, one: OrderedApp, why: str) -> None:
        async def step(tx: Store) -> None:
            await lease.guard(tx.sql)
            owner = await tx.find(Organization, one.org, lock=True)
            held = await tx.find(OrderedApp, one.order, one.app, lock=True)
            if held is None or owner is None or held.state is State.BEGUN:
                return
            after = ordered.refused(held, why, tx.now)
            if after is not held:
                await tx.save(after)
            await _note(tx, owner)

        await self._work.again(step)
        self._log.info("an ordered app cannot be installed", order=one.order, app=one.app, why=why)


async def _note(tx: Store, owner: Organization) -> None:
    told = ordered.told(await tx.ordered_of(owner.slug), tx.now)
    if told is not None:
        decided = organizations.note(owner, told, tx.now)
        if decided.state is not owner:
            await tx.save(decided.state)
            tx.emit(*decided.events)


def _stands(all: list[Application]) -> dict[str, tuple[str, str, bool]]:
    return {one.id: (one.blueprint, one.pin.release, one.state is Stands.UNINSTALLING) for one in all}
