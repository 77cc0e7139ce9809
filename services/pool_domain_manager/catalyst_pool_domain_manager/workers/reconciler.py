"""Makes the world match the wish, one step at a time, under a lease.

Invariants
  progress is kept   after each step its name stands in the row, so that whoever goes on begins there; of one that costs
                     little to do again it stands there with the next;
  wishes win         progress is written only while the wish is the one that was worked on; else it begins anew;
  one bad name       never holds up others: it waits longer after each failure, alone;
  one worker         no step begins unless the lease outlives it; what a former holder of the lease still wants to write
                     is refused by its fence.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from catalyst_mesh import Lease, LeaseLost, Leases, LostRace, PluginUnavailable, Work, get_logger
from catalyst_mesh.journal.bells import Bells
from catalyst_mesh.telemetry import DONE, WAITING, Backlog, reconciling
from catalyst_mesh.waits import rest
from catalyst_sdk import Decision, NotSupported, Permanent, PluginFailure, RateLimited
from catalyst_sdk.dns import ZoneState

from catalyst_pool_domain_manager.domain import allocations, zones
from catalyst_pool_domain_manager.domain import conditions as c
from catalyst_pool_domain_manager.domain.allocations import Allocation, State
from catalyst_pool_domain_manager.domain.pools import Pool
from catalyst_pool_domain_manager.events import SUBJECTS
from catalyst_pool_domain_manager.store import WARM, Store
from catalyst_pool_domain_manager.store import allocations as allocation_table

from . import inside
from .abilities import Abilities
from .backends import Backends
from .lately import Lately
from .parents import Parents
from .points import Failpoint, no_failpoint
from .polled import Poll
from .servers import Servers
from .site import Outcome, Site, Step
from .steps import BEFORE_PARENT, FORGET, PREPARE, PROVISION, RELEASE

LEASE = "reconcile"
ACTOR = "service:pooldomain"
AT_ONCE = 64
"""Names that are worked on at the same time."""
BREATH = 0.05
"""Seconds between two looks, however often it rings."""
PUT_DOWN = 3.0
"""Seconds that steps in hand get when the daemon stops."""
BUDGET = 5.0
"""Seconds of the lease that must be left when a step begins."""
BUG_PAUSE = 5.0
LONGEST = 300.0
LONG_TRIED = 6
"""Tries in vain, some six seconds, after which a name that goes on tells that an outage is over."""


@dataclass
class Reconciler:
    """Works on names that are not as wished."""

    work: Work[Store]
    leases: Leases
    backends: Backends
    servers: Servers
    parents: Parents
    abilities: Abilities
    poll: Poll
    failpoint: Failpoint = no_failpoint
    look_every: float = 300.0
    """Seconds between two looks at a name that is visible."""
    took: Callable[[str, str, float], None] = lambda _flow, _step, _seconds: None
    """Told how long each step took."""

    def __post_init__(self) -> None:
        self._log = get_logger("reconciler")
        self._backlog = Backlog("allocation")
        self._busy: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._lately = Lately()
        self.bells = Bells()
        """Rung for a name when it is where it is to stay."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, whenever this replica holds the lease."""
        await self.leases.keep(LEASE, stop, partial(self._work_on, stop))

    async def _work_on(self, stop: asyncio.Event, lease: Lease) -> None:
        """Each name has a task of its own, so that a slow server delays its own names only."""
        patience = 0.0
        try:
            with self.work.bell.listening(allocation_table.name) as news:
                while not stop.is_set():
                    news.clear()
                    seconds = await self._look(news, lease)
                    await rest(stop, BREATH)
                    await self.work.bell.wait(stop, news, seconds)
            patience = PUT_DOWN
        finally:
            await self._put_down(patience)

    async def _look(self, news: asyncio.Event, lease: Lease) -> float | None:
        """Begin with what is due; seconds until something else will be."""
        for key, task in list(self._busy.items()):
            if task.done():
                del self._busy[key]
                task.result()
        async with self.work.reading() as tx:
            agenda = await tx.due(AT_ONCE + len(self._busy))
        self._backlog.see(agenda.due)
        due = [key for key in agenda.due if key not in self._busy]
        # Who only waits for the parent's next change is no load, and the more come the fewer changes there are.
        for key in due[: max(0, AT_ONCE + self.parents.gathered - len(self._busy))]:
            self._busy[key] = task = asyncio.create_task(self._guarded(key, lease))
            task.add_done_callback(lambda _: news.set())  # there is room for another, and it may be due again
        return agenda.seconds

    async def _put_down(self, patience: float) -> None:
        """Let steps in hand end; what does not end soon is broken off, and done again by whoever goes on."""
        tasks, self._busy = list(self._busy.values()), {}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _guarded(self, key: tuple[str, str], lease: Lease) -> None:
        try:
            with reconciling("allocation") as one:
                one.result = DONE if await self._advance(key, lease) else WAITING
        except LostRace:
            pass  # the wish changed meanwhile; the next turn begins with it
        except LeaseLost:
            pass  # another replica goes on with it
        except Exception as error:
            self._log.error("name not reconciled", name=f"{key[1]}.{key[0]}", exc_info=error)
            await asyncio.sleep(BUG_PAUSE)  # it is due at once again, and would be so forever
        finally:
            self.parents.excuse(f"{key[0]}.", f"{key[1]}.{key[0]}.")

    async def _advance(self, key: tuple[str, str], lease: Lease) -> bool:
        """Steps, until one has to wait; whether nothing is left to do.

        The name is read once: each step is written only while the wish is the one that was read, so that what comes after
        it in the same breath begins with what has just been written.
        """
        async with self.work.reading() as tx:
            a, pool, now = await tx.lock(*key), await tx.pool(key[0]), tx.now
        if a is None or pool is None or not is_work(a):
            return True
        if a.not_before and a.not_before > now:
            return False
        walk: _Walk | None = _Walk(a, a, pool, lease)
        while walk is not None and lease.left > BUDGET:
            a = walk.a
            if a.step in BEFORE_PARENT and a.state is not State.RESERVED:
                self.parents.expect(pool.zone, a.zone)
            walk = await self._one(walk)
        return walk is None and following(a)[1] is None

    async def _one(self, walk: "_Walk") -> "_Walk | None":
        """Do the next step; the name as it goes on at once, or None where it waits or is at its end."""
        a, pool = walk.a, walk.pool
        name, step = following(a)
        if step is None and a.state is State.RESERVED:
            return None
        if step is None:
            await self._end(walk)
            return None
        flow = "release" if a.state is State.RELEASING else "commit"
        await self.failpoint(f"pdm.{flow}.{name}.before")
        began = time.monotonic()
        try:
            backend = await self.backends.of_pool(pool)
            site = Site(
                a, pool, backend, self.servers, self.parents, self.abilities, self._lately, self.poll, walk.child
            )  # fmt: skip
            outcome = await step(site)
        except (Permanent, PluginUnavailable) as refused:
            await self._refused(walk, refused)
            return None
        except NotSupported as lacking:
            told = {"provider": lacking.provider, "user_action": lacking.user_action}
            await self._refused(walk, Permanent("BACKEND_CAPABILITY_MISSING", lacking.message, **told))
            return None
        except PluginFailure as failure:
            delay = failure.retry_after if isinstance(failure, RateLimited) else getattr(failure, "delay", None)
            found = (c.unknown(c.BACKEND_READY, type(failure).__name__, failure.message),)
            await self._wait(walk, found, delay)
            return None
        finally:
            self.took(flow, name, time.monotonic() - began)
        await self.failpoint(f"pdm.{flow}.{name}.after")
        if not outcome.finished:
            await self._wait(walk, outcome.conditions, None)
            return None
        if is_last(a, name, outcome):  # nothing to tell and nothing to wait for: it is written with the end
            await self._end(walk.went(name, outcome))
            return None
        if not outcome.lasts:
            return walk.went(name, outcome)
        after = await self._done(walk.went(name, outcome), outcome)
        return _Walk(after, after, pool, walk.lease, child=outcome.child) if outcome.rest == 0 else None

    async def _end(self, walk: "_Walk") -> None:
        """All steps are done; what was found and is not written yet is so with this."""
        a = walk.a
        point = "pdm.release.r5" if a.state is State.RELEASING else "pdm.commit.end"
        await self.failpoint(f"{point}.before")
        async with self._writing(walk.lease) as tx:
            await self._wake_others(tx, walk)
            last = allocations.done(a, a.step, walk.found, tx.now, timedelta()) if walk.found else a
            decision = self._ended(last, walk.pool, tx.now)
            tx.decided_on(walk.row)
            await tx.save(decision.state)
            await tell(tx, decision.events)
        self.bells.ring(a.name)
        await self.failpoint(f"{point}.after")

    def _ended(self, a: Allocation, pool: Pool, now: datetime) -> Decision[Allocation]:
        if a.state is not State.RELEASING:
            return allocations.activate(a, now, jitter(self.look_every))
        return allocations.quarantine(a, pool.quarantine, now) if a.may_be_visible else allocations.free(a, now)

    @asynccontextmanager
    async def _writing(self, lease: Lease) -> AsyncIterator[Store]:
        """A transaction that is committed only while nobody has taken the lease over."""
        async with self.work.transaction() as tx:
            await lease.guard(tx.sql)
            yield tx

    async def _done(self, walk: "_Walk", outcome: Outcome) -> Allocation:
        a = walk.a
        async with self._writing(walk.lease) as tx:
            await self._wake_others(tx, walk)
            after = allocations.done(a, a.step, walk.found, tx.now, timedelta(seconds=outcome.rest))
            for fact, serial, revision in outcome.facts:
                after = replace(after, zone_version=after.zone_version + 1, zone_told=zones.TOLD[fact])
                tx.emit(fact(a.fqdn, after.zone_version, a.owner, serial, revision))
            await tx.progress(walk.row, after)
        return after

    async def _wake_others(self, tx: Store, walk: "_Walk") -> None:
        """A name that waited long goes on: its servers answer again, and nobody else has to wait out a pause for them."""
        if walk.row.tries >= LONG_TRIED:
            await tx.wake(walk.row.pool, LONG_TRIED)

    async def _wait(self, walk: "_Walk", found: tuple[c.Condition, ...], delay: timedelta | None) -> None:
        a = walk.a
        longest = min(LONGEST, 0.1 * 2 ** min(a.tries, 12))
        pause = delay or timedelta(seconds=random.uniform(longest / 2, longest))  # noqa: S311 - jitter, no secret
        async with self._writing(walk.lease) as tx:
            await tx.progress(walk.row, allocations.waiting(a, (*walk.found, *found), tx.now, pause))

    async def _refused(self, walk: "_Walk", refused: Permanent | PluginUnavailable) -> None:
        a = walk.a
        # A release goes on by itself as soon as it can; and who was overtaken by another writer reads again.
        # What a warm reservation cannot have yet is told by the commit, if it comes.
        goes_on = a.state in (State.RELEASING, State.RESERVED)
        if isinstance(refused, PluginUnavailable) or goes_on or refused.reason == "CONFLICT":
            text = refused.sentence if isinstance(refused, PluginUnavailable) else refused.message
            await self._wait(walk, (c.false(c.BACKEND_READY, refused.reason, text),), None)
            return
        kind = c.PARENT_CLEAN if refused.reason == "PARENT_OCCLUDED" else c.BACKEND_READY
        async with self._writing(walk.lease) as tx:
            decision = allocations.fail(a, c.false(kind, refused.reason, next_step(refused)), tx.now)
            tx.decided_on(walk.row)
            await tx.save(decision.state)
            await tell(tx, decision.events)
        self.bells.ring(a.name)


@dataclass(frozen=True, slots=True)
class _Walk:
    """A name on its way through steps in one breath.

    row     as it stands in the database
    a       as it goes on: steps further where these do not have to be written
    found   what they have found
    child   its zone as the last step has left it
    """

    row: Allocation
    a: Allocation
    pool: Pool
    lease: Lease
    found: tuple[c.Condition, ...] = ()
    child: ZoneState | None = None

    def went(self, step: str, outcome: Outcome) -> "_Walk":
        """After one more step."""
        found = (*self.found, *outcome.conditions)
        return replace(self, a=replace(self.a, step=step), found=found, child=outcome.child or self.child)


def is_work(a: Allocation) -> bool:
    """Whether the reconciler has something to do for the name."""
    return a.state in allocations.WORKING or (a.state is State.RESERVED and a.warm and a.step != WARM)


def is_last(a: Allocation, step: str, outcome: Outcome) -> bool:
    """Whether nothing comes between this step of a name that is worked on and its end."""
    is_over = following(replace(a, step=step))[1] is None and a.state is not State.RESERVED
    return is_over and not outcome.facts and outcome.rest == 0


def jitter(seconds: float) -> timedelta:
    """About so long; not all at the same moment."""
    return timedelta(seconds=random.uniform(0.8 * seconds, 1.2 * seconds))  # noqa: S311 - jitter, no secret


def next_step(refused: Permanent) -> str:
    """What is wrong, and what a person is to do about it."""
    return f"{refused.message}; {refused.user_action or 'mend that, then ask for the name to be reconciled'}"


def following(a: Allocation) -> tuple[str, Step | None]:
    """The step after the last one that is done; none when all are."""
    plan = _plan_inside(a) if a.inside else _plan(a)
    names = [name for name, _ in plan]
    at = names.index(a.step) + 1 if a.step in names else 0
    return plan[at] if at < len(plan) else ("", None)


def _plan(a: Allocation) -> Sequence[tuple[str, Step]]:
    if a.state is State.RELEASING:
        return RELEASE if a.may_be_visible else FORGET
    return PREPARE if a.state is State.RESERVED else PROVISION


def _plan_inside(a: Allocation) -> Sequence[tuple[str, Step]]:
    if a.state is State.RELEASING:
        return inside.RELEASE if a.may_be_visible else ()
    return inside.PROVISION


async def tell(tx: Store, facts: tuple[object, ...]) -> None:
    """Tell facts with the commit, and keep what is of names in their history."""
    tx.emit(*facts)
    for fact in facts:
        if isinstance(fact, allocations.Fact):
            await tx.remember(fact.allocation, SUBJECTS[type(fact)], fact.actor or ACTOR)
