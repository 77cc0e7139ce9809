"""Looks at what nobody reports: silence, lost health, plans and failures whose time is over.

One replica looks at a time. Each finding is decided anew in the transaction that tells it, so that two which overlap tell
it once. A Sovereign of which nothing changed is read and never written.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from catalyst_mesh import Lease, Leases, Work, get_logger
from catalyst_mesh.journal import (
    CancelMode,
    Engine,
    RunInProgress,
    RunView,
    StepState,
    StepView,
    WrongRunState,
    WrongStepState,
)
from catalyst_mesh.waits import rest

from .. import granting
from ..chronicle import DRIFT, FAILED_RUN
from ..domain import conditions, facts, grants, graphs, patience, wishes
from ..domain.conditions import is_silent
from ..domain.patience import Deed, Failed
from ..domain.sovereign import Sovereign, State
from ..metrics import ProvisionerMetrics
from ..rpc.plans import EXPIRED
from ..rpc.views import facts_of, observed
from ..store import ClusterRow, Store

LEASE = "watch"
RESTS = 4
"""Times as long as a look took that it rests at least, so that many Sovereigns never take more than a fifth of the loop."""
BY = "failure-policy"
UNHEALTHY = "unhealthy"
SILENT = "silent."
DAY = timedelta(days=1)
TOLD_KEPT = timedelta(days=90)
"""How long what was told of a Sovereign stays after its end."""
Answers = Callable[[str, int], Awaitable[bool]]
Seen = Mapping[str, tuple[Any, datetime]]
"""Facts of a Sovereign, with their moments."""


class Watchman:
    """Tells what is not told by anybody else, and does what a failure policy says."""

    def __init__(
        self, work: Work[Store], engine: Engine, leases: Leases, *, answers: Answers, pause: timedelta,
        retry_pause: timedelta, drift_interval: timedelta, grace: timedelta,
        end_life: Callable[[Sovereign], Awaitable[None]], metrics: ProvisionerMetrics,
    ) -> None:  # fmt: skip
        """`grace`: for so long after a start nobody is called silent, as agents of a replica that ended look for this one."""
        self._work = work
        self._engine = engine
        self._leases = leases
        self._answers = answers
        self._pause = pause
        self._retry_pause = retry_pause
        self._end_life = end_life
        self._metrics = metrics
        self._drift_interval = drift_interval
        self._grace = grace
        self._listens_since = time.monotonic()
        self._told_until: datetime | None = None
        self._log = get_logger("watchman")

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop`, whenever this replica holds the lease."""
        await self._leases.keep(LEASE, stop, partial(self._work_on, stop))

    async def _work_on(self, stop: asyncio.Event, lease: Lease) -> None:
        self._listens_since = time.monotonic()
        try:
            while not stop.is_set():
                lease.check()
                began = time.monotonic()
                await self.look()
                took = time.monotonic() - began
                await rest(stop, max(self._pause.total_seconds(), RESTS * took))
        finally:
            self._metrics.forget()

    async def look(self) -> None:
        """Look at everything once."""
        async with self._work.reading() as tx:
            held = await tx.living()
            stale, now = await tx.overdue_plans(), tx.now
            unfetched = await tx.grants_unfetched(tx.now - 2 * grants.HURRY)
        silent = 0
        for sovereign in held:
            try:
                silent += await self._look_at(sovereign)
            except (RunInProgress, WrongRunState, WrongStepState) as done:  # somebody was faster
                self._log.debug("left alone", sovereign=sovereign.name, why=done.reason)
        self._metrics.looked((each.state for each in held), silent=silent)
        for plan in stale:
            await self._work.again(partial(_expire, sovereign=plan.sovereign, id=plan.id))
        if self._told_until is None or now - self._told_until > DAY:
            await self._work.again(lambda tx: tx.forget_told(now - TOLD_KEPT))
            self._told_until = now
        for grant in unfetched:
            await self._work.again(partial(_ended, sovereign=grant.sovereign, id=grant.id))

    async def _look_at(self, sovereign: Sovereign) -> int:
        """How many of its clusters are silent."""
        async with self._work.reading() as tx:
            rows, seen, now = await tx.clusters(sovereign.id), await tx.facts(sovereign.id), tx.now
            health, wrong = await _health(tx, sovereign) if sovereign.state is State.ACTIVE else ("", ())
        silent = 0
        # What is being taken away falls silent because it should.
        for row in rows if sovereign.state is not State.DESTROYING else ():
            known = seen.get(f"{SILENT}{row.name}")
            if is_silent(row.heartbeat_at, now):
                silent += 1
                if time.monotonic() - self._listens_since > self._grace.total_seconds():
                    await self._silent(row, known[0] if known else None)
            elif known and row.heartbeat_at:
                await self._work.again(partial(_recovered, row=row))
        if health and (health == "HEALTH_HEALTHY") == (UNHEALTHY in seen):
            await self._work.again(partial(_health_told, id=sovereign.id, health=health, wrong=wrong))
        if sovereign.state is State.ACTIVE:
            await self._compared(sovereign, seen, now)
        ends = wishes.ends_at(sovereign.spec, sovereign.created_at)
        if ends and now >= ends and EXPIRED not in seen and not await self._is_busy(sovereign):
            await self._end_life(sovereign)
        if sovereign.state in (State.PROVISIONING, State.UPDATING):
            seen = await self._counted_down(sovereign, seen)
        if FAILED_RUN in seen:
            await self._waited(sovereign, patience.read(seen[FAILED_RUN][0]), now)
        return silent

    async def _silent(self, row: ClusterRow, known: Any) -> None:
        if known is None:
            await self._work.again(partial(_silenced, row=row))
        if known is None or not known["lost"]:
            ways = [
                (b["ipv4"], port) for b in (row.made or {}).get("load_balancers", ()) for port in b["ports"].values()
            ]
            if ways and not any([await self._answers(*way) for way in ways]):
                tried = ", ".join(f"{address}:{port}" for address, port in ways)
                await self._work.again(partial(_lost, row=row, reason=f"no connection to {tried}"))

    async def _compared(self, sovereign: Sovereign, seen: Mapping[str, tuple[Any, datetime]], now: datetime) -> None:
        """Start a look for drift when the last one, or the last change, is long enough ago."""
        last = max(seen[DRIFT][1] if DRIFT in seen else sovereign.updated_at, sovereign.activated_at or now)
        if (
            now - last < self._drift_interval
            or (await self._engine.list(subject=sovereign.name, live=True, size=1)).runs
        ):
            return
        body = {"sovereign": sovereign.id, "uid": sovereign.uid, "clusters": []}
        key = f"{sovereign.uid}/{last.isoformat()}"
        try:
            await self._engine.start(
                graphs.DRIFT, subject=f"{sovereign.name}/drift", key=key, input=body, by="watchman"
            )
        except RunInProgress:
            self._log.debug("somebody looks already", sovereign=sovereign.name)

    async def _is_busy(self, sovereign: Sovereign) -> bool:
        return bool((await self._engine.list(subject=sovereign.name, live=True, size=1)).runs)

    async def _counted_down(self, sovereign: Sovereign, seen: Seen) -> Seen:
        """Begin to count what a run costs that waits for somebody outside, and end it when it goes on."""
        runs = (await self._engine.list(subject=sovereign.name, live=True, size=1)).runs
        kept = patience.read(seen[FAILED_RUN][0]) if FAILED_RUN in seen else None
        step = _stuck(runs[0], await self._engine.steps(runs[0].id), kept) if runs else ""
        if bool(step) == (kept is not None and kept.waits):
            return seen
        run = runs[0].id if step else ""
        await self._work.again(partial(_waits, id=sovereign.id, run=run, step=step))
        async with self._work.reading() as tx:
            return await tx.facts(sovereign.id)

    async def _waited(self, sovereign: Sovereign, failed: Failed, now: datetime) -> None:
        match patience.due(failed, now, self._retry_pause):
            case Deed.COMPENSATE:
                await self._engine.cancel(failed.run, CancelMode.COMPENSATE, by=BY)
            case Deed.RETRY:
                await self._work.again(partial(_counted, id=sovereign.id, run=failed.run))
                await self._engine.retry(failed.run, failed.step, by=BY)
            case Deed.WARN:
                await self._work.again(partial(_warned, id=sovereign.id, run=failed.run))


async def _health(tx: Store, sovereign: Sovereign) -> tuple[str, tuple[conditions.Condition, ...]]:
    found = conditions.of_sovereign(facts_of(await observed(tx, sovereign, "")), tx.now)
    wrong = tuple(c for c in found if c.status != conditions.TRUE)
    return conditions.health(found, was_active=sovereign.activated_at is not None), wrong


async def _silenced(tx: Store, row: ClusterRow) -> None:
    held, fresh = await tx.lock(row.sovereign), await tx.cluster(row.sovereign, row.name)
    fact = f"{SILENT}{row.name}"
    if held is None or fresh is None or fresh.heartbeat_at is None or not is_silent(fresh.heartbeat_at, tx.now):
        return
    if fact in await tx.facts(held.id):
        return
    await tx.observe(held.id, fact, {"lost": False})
    after = held.told(tx.now)
    await tx.save(after)
    tx.emit(facts.ClusterSilenced(after, row.name, row.provider, row.region, fresh.heartbeat_at))


async def _lost(tx: Store, row: ClusterRow, reason: str) -> None:
    held, fresh = await tx.lock(row.sovereign), await tx.cluster(row.sovereign, row.name)
    fact = f"{SILENT}{row.name}"
    if held is None or fresh is None or fresh.heartbeat_at is None:
        return
    known = (await tx.facts(held.id)).get(fact)
    if known is None or known[0]["lost"]:
        return
    await tx.observe(held.id, fact, {"lost": True}, at=known[1])
    after = held.told(tx.now)
    await tx.save(after)
    block = str(fresh.spec["building_block"])
    tx.emit(facts.ClusterLost(after, row.name, row.provider, row.region, fresh.heartbeat_at, block, reason))


async def _recovered(tx: Store, row: ClusterRow) -> None:
    held = await tx.lock(row.sovereign)
    known = (await tx.facts(row.sovereign)).get(f"{SILENT}{row.name}")
    if held is None or known is None:
        return
    await tx.unobserve(held.id, f"{SILENT}{row.name}")
    after = held.told(tx.now)
    await tx.save(after)
    tx.emit(facts.ClusterRecovered(after, row.name, row.provider, row.region, known[1], bool(known[0]["lost"])))


async def _health_told(tx: Store, id: str, health: str, wrong: tuple[conditions.Condition, ...]) -> None:
    held = await tx.lock(id)
    known = (await tx.facts(id)).get(UNHEALTHY)
    if held is None or held.state is not State.ACTIVE or (health == "HEALTH_HEALTHY") != (known is not None):
        return
    after = held.told(tx.now)
    if known is None:
        await tx.observe(id, UNHEALTHY, health)
        tx.emit(facts.Degraded(after, health, wrong))
    else:
        await tx.unobserve(id, UNHEALTHY)
        tx.emit(facts.Recovered(after, known[1]))
    await tx.save(after)


async def _ended(tx: Store, sovereign: str, id: str) -> None:
    """Access that its caller did not stay for is nobody's."""
    held, grant = await tx.lock(sovereign), await tx.grant(sovereign, id)
    if held is None or grant is None or not grants.is_abandoned(grant, tx.now):
        return
    after = grants.revoke(grant, by="", why="nobody fetched it", now=tx.now)
    await tx.keep_grant(replace(after, command=await granting.ask(tx, after, revoke=True)))


async def _expire(tx: Store, sovereign: str, id: str) -> None:
    held, plan = await tx.lock(sovereign), await tx.plan(sovereign, id)
    if held is None or plan is None or plan.state != "active":
        return
    await tx.expired(sovereign, id)
    after = held.told(tx.now)
    await tx.save(after)
    tx.emit(facts.PlanExpired(after, plan.name))


async def _failure(tx: Store, id: str, run: str) -> tuple[Sovereign, Failed] | None:
    held, seen = await tx.lock(id), await tx.facts(id)
    kept = patience.read(seen[FAILED_RUN][0]) if FAILED_RUN in seen else None
    return (held, kept) if held and kept and kept.run == run else None


async def _counted(tx: Store, id: str, run: str) -> None:
    """One more retry, written down before it is made: one that is lost then costs a pause, never a loop."""
    if found := await _failure(tx, id, run):
        _, failed = found
        await tx.observe(id, "retries", {"run": run, "count": failed.retries + 1})


async def _waits(tx: Store, id: str, run: str, step: str) -> None:
    """Write down since when a run waits, or that none does."""
    held, seen = await tx.lock(id), await tx.facts(id)
    kept = patience.read(seen[FAILED_RUN][0]) if FAILED_RUN in seen else None
    if held is None or (kept is not None and not kept.waits):
        return
    if not run:
        await tx.unobserve(id, FAILED_RUN)
    elif kept is None:
        until = tx.now + wishes.paid_ttl(held.spec) if await tx.entries(id) else None
        failed = Failed(run, step, "pause", tx.now, until, waits=True)
        await tx.observe(id, FAILED_RUN, failed.plain())


def _stuck(run: RunView, steps: Sequence[StepView], kept: Failed | None) -> str:
    """The step that keeps a run from going on until somebody outside does something.

    One that waits is tried again and again; it is still the one until it has an end.
    """
    known = next((s for s in steps if kept and kept.run == run.id and s.name == kept.step), None)
    if known and not known.state.settled:
        return known.name
    if run.state == "paused":
        return next((s.name for s in steps if s.state is StepState.FAILED and not s.optional), "")
    waiting = (s for s in steps if s.state is StepState.WAITING and s.failure)
    return next((s.name for s in waiting if s.failure.get("reason") in patience.BLOCKING), "")


async def _warned(tx: Store, id: str, run: str) -> None:
    found = await _failure(tx, id, run)
    if found is None or patience.due(found[1], tx.now, timedelta.max) is not Deed.WARN:
        return
    held, failed = found
    kept = patience.warned(failed, tx.now)
    await tx.observe(id, FAILED_RUN, kept.plain())
    after = held.told(tx.now)
    await tx.save(after)
    text = f"what it made is taken away at {failed.paid_until:%FT%TZ} ({kept.warned:.0%} of the time is over)"
    name, plan = f"{held.name}/runs/{failed.run}", held.last_plan
    tx.emit(facts.RunPaused(after, name, plan, "INTENT_APPLY", text, None, failed.paid_until))
