"""What agents know of their slots, told: to the store for whoever asks a replica, and to the metrics.

Nothing here is waited for by an agent, and nothing is decided by it. A fact that an agent has not is left out, never guessed.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from catalyst_mesh import Work, get_logger
from catalyst_mesh.waits import rest
from catalyst_sdk import PluginFailure
from catalyst_sdk.continuum import DatabaseView, Role

from catalyst_continuum.domain import runs, slots, status, telling
from catalyst_continuum.domain.authority import Moment
from catalyst_continuum.domain.facts import Fact
from catalyst_continuum.domain.lease import position
from catalyst_continuum.domain.runs import Run, RunState, StepState
from catalyst_continuum.domain.spec import Spec
from catalyst_continuum.domain.status import Condition, Facts
from catalyst_continuum.domain.view import State
from catalyst_continuum.metrics import ContinuumMetrics
from catalyst_continuum.store import Store

from .agent import Agent
from .clocks import Clocks
from .register import Register
from .standing import Clock

LOOK = 1.0
"""Seconds from one look to the next."""
PATIENCE = 2.0
"""Seconds for the authorities of names."""
STALE = 5.0
"""Seconds after which figures are written anew although nothing has changed but them."""


@dataclass(frozen=True, slots=True)
class AtWork:
    """One agent, and what is wished for its slot."""

    agent: Agent
    spec: Spec


@dataclass(frozen=True, slots=True)
class _Names:
    """What authorities answered last, -1 for one that did not, and when that was asked."""

    epochs: Mapping[str, int] | None
    at: float


@dataclass(frozen=True, slots=True)
class _Told:
    facts: Facts
    found: tuple[Condition, ...]
    at: float


class Reporter:
    """One loop over the agents of a region.

    at_work  the agents that there are now
    clocks   how this machine's stands against others
    """

    def __init__(
        self, *, work: Work[Store], metrics: ContinuumMetrics, at_work: Callable[[], Iterable[AtWork]],
        clock: Clock, clocks: Clocks,
    ) -> None:  # fmt: skip
        self._work = work
        self._metrics = metrics
        self._at_work = at_work
        self._clock = clock
        self._clocks = clocks
        self._told: dict[str, _Told] = {}
        self._names: dict[str, _Names] = {}
        self._drilled: dict[str, datetime | None] = {}
        """When a drill of a slot last passed, as the store had it when something was last written there."""
        self._offered: dict[str, int] = {}
        """Epoch in which the way back of a slot was told as awaited, in this life."""
        self._log = get_logger("reporter")

    async def run(self, stop: asyncio.Event) -> None:
        """Report until `stop`."""
        while not stop.is_set():
            for one in self._at_work():
                try:
                    await self.report(one)
                except Exception as error:  # the store is away: it is told later, and agents do not need it
                    self._log.error("not reported", slot=one.agent.duty.slot, exc_info=error)
            await rest(stop, LOOK)

    async def report(self, one: AtWork) -> None:
        """Tell what an agent knows now, where it is news."""
        now, slot = self._clock(), one.agent.duty.slot
        facts = replace(
            facts_of(one.agent, one.spec, one.agent.sight.register, now), traffic=await self._asked(one, now),
            clock_offset=self._clocks.offset, clock_drift=self._clocks.drift, drill_age=self._since_drill(slot, now),
        )  # fmt: skip
        fresh = status.conditions(facts, one.spec)
        self._metrics.slot(slot, facts, one.spec, fresh)
        told = self._told.get(slot)
        if told is not None and now.boot - told.at < STALE and _gist(facts, fresh) == _gist(told.facts, told.found):
            return
        namespace, _, name = slot.partition("/")

        async def step(tx: Store) -> tuple[Condition, ...] | None:
            held = await tx.lock(namespace, name)  # what is noted below must not be older than what others note
            if held is None or held.gone:
                return None
            self._drilled[slot] = held.drilled_at
            before = await tx.observed(namespace, name)
            kept = status.read(before[facts.region][0])[1] if facts.region in before else ()
            found = status.carried(kept, fresh, tx.now)
            back = self._way_back(one, facts, tx.now)
            said = slots.told(held, tx.now, *telling.of_conditions(kept, found, facts, one.spec.rpo), *back)
            if said.events:
                await tx.save(said.state)
                tx.emit(*said.events)
                held = said.state
            await tx.observe(held, facts.region, status.write(facts, found))
            if held.observed_generation < held.generation and held.document:
                # The agent has this wish: it is given to it at each look of the roster, before this.
                await tx.noted(replace(held, observed_generation=held.generation))
            return found

        found = await self._work.again(step)
        if found is not None:
            self._told[slot] = _Told(facts, found, now.boot)
            if self._way_back(one, facts, datetime.now(UTC)):
                self._offered[slot] = facts.epoch

    def _way_back(self, one: AtWork, facts: Facts, now: datetime) -> Sequence[Fact]:
        """That a way back is awaited, once in an epoch."""
        if self._offered.get(one.agent.duty.slot) == facts.epoch:
            return ()
        return tuple(telling.of_way_back(facts, one.spec, one.agent.sight.stable(one.spec.primary), now))

    def _since_drill(self, slot: str, now: Moment) -> float | None:
        passed_at = self._drilled.get(slot)
        return None if passed_at is None else max(0.0, now.wall - passed_at.timestamp())

    async def _asked(self, one: AtWork, now: Moment) -> Mapping[str, int] | None:
        """What the authorities of a slot's names answer, asked now and then; None: nobody was asked, or nobody could ask."""
        slot, known = one.agent.duty.slot, self._names.get(one.agent.duty.slot)
        if one.spec.names is None:
            return None
        if known is not None and now.boot - known.at < STALE:
            return known.epochs
        try:
            async with asyncio.timeout(PATIENCE):
                view = await one.agent.acts.hands.traffic.observe()
        except (PluginFailure, TimeoutError, OSError):
            self._names[slot] = _Names(None, now.boot)
            return None
        self._metrics.traffic(slot, view)
        found: dict[str, int] = {}
        for answer in view.authorities:
            epoch = (answer.epoch or 0) if answer.answers else -1
            found[answer.authority] = min(found.get(answer.authority, epoch), epoch)
        self._names[slot] = _Names(found, now.boot)
        return found


def facts_of(agent: Agent, spec: Spec, register: Register, now: Moment) -> Facts:
    """What an agent knows at this instant."""
    sight, standing, duty = agent.sight, agent.standing, agent.duty
    lease = sight.lease
    views = {duty.region: sight.database()} | {region: sight.report(region) for region in duty.others}
    primary = views.get(lease.holder) if lease is not None else None
    cells = register.cells_of(duty.slot)
    asked = [cell for cell in cells if cell.reachable or cell.message]
    runs = sorted(agent.moves.known.values(), key=lambda run: run.created_at)
    going = next((run for run in runs if not run.state.is_over), None)
    allowed = agent.view.failover_allowed if agent.view is not None else None
    return Facts(
        duty.region,
        record=lease.state.value if lease is not None and sight.readable else None,
        holder=lease.holder if lease is not None else "",
        epoch=lease.epoch if lease is not None else 0,
        seq=lease.seq if lease is not None else 0,
        silent=None if sight.watch is None else sight.holder != duty.region and sight.watch.is_over(now),
        cells=len(cells) if asked else None,
        cells_up=sum(cell.reachable and not cell.quarantined for cell in cells) if asked else None,
        cells_needed=register.quorum,
        witness_fault="AmnesiacCell" if sum(cell.quarantined for cell in cells) * 2 > len(cells) else "",
        authority=standing.authority.remaining(now) if standing.authority is not None else 0.0,
        span=duty.profile.authority,
        standbys={
            duty.region: views[duty.region] is not None or None,
            **{region: _is_there(agent, region) for region in duty.others},
        },
        absent_for={region: now.boot - seen.at for region, seen in sight.reports.items()},
        lags={region: _lag(primary, view) for region, view in views.items()},
        gaps={region: _gap(primary, view) for region, view in views.items()},
        sync=None if primary is None or primary.sync is None else sorted(primary.sync),
        writable={region: None if view is None else view.writable for region, view in views.items()},
        unconfirmed=standing.unconfirmed is not None,
        fenced=standing.proof is not None if standing.state is not State.BOOTING else None,
        barred=None if allowed is None else "" if allowed else "AntiFlap",
        run_kind="" if going is None else "planned" if going.kind.is_planned else "unplanned",
        run_waits=going is not None and going.state is RunState.AWAITING_APPROVAL,
        **_in_hand(going, spec, now),
        last_failed=_last_failed(runs),
        rejoin=agent.acts.repair.attempts or None,
        waiting=None if (own := views[duty.region]) is None else own.waiting,
        missed=agent.moves.missed,
    )  # fmt: skip - in the order of the fields


def _in_hand(run: Run | None, spec: Spec, now: Moment) -> dict[str, Any]:
    """The phase of a run that is under way, and how much of its budget is spent."""
    step = next((one for one in run.steps if one.state is StepState.RUNNING), None) if run is not None else None
    if step is None or step.began_at is None:
        return {}
    budget = spec.approval.timeout if step.phase == "Approve" else runs.BUDGETS.get(step.phase, runs.BUDGET)
    return {"run_phase": step.phase, "run_spent": (now.wall - step.began_at) / budget}


def _is_there(agent: Agent, region: str) -> bool | None:
    """Whether a peer was heard of lately; None: never yet, which says nothing."""
    if region not in agent.sight.reports:
        return None
    return agent.sight.report(region) is not None


def _lag(primary: DatabaseView | None, view: DatabaseView | None) -> float | None:
    """Seconds that a copy is behind, by the primary's own times of commits; 0 only where it has replayed all of it."""
    if primary is None or view is None or view.role is not Role.REPLICA:
        return None
    if primary.replayed is not None and view.replayed is not None and _gap(primary, view) == 0:
        return 0.0
    if primary.committed_ms is None or view.committed_ms is None:
        return None
    return max(0.0, (primary.committed_ms - view.committed_ms) / 1000)


def _gap(primary: DatabaseView | None, view: DatabaseView | None) -> int | None:
    if primary is None or view is None or primary.replayed is None or view.replayed is None:
        return None
    return max(0, position(primary.replayed) - position(view.replayed)) if view.role is Role.REPLICA else None


def _last_failed(runs: list[Run]) -> bool | None:
    ended = [run for run in runs if run.state in (RunState.SUCCEEDED, RunState.FAILED)]
    return ended[-1].state is RunState.FAILED if ended else None


def _gist(facts: Facts, found: Iterable[Condition]) -> tuple[object, ...]:
    """What is news at once; figures that move all the time are not."""
    said: Mapping[str, tuple[str, str]] = {one.type: (one.status, one.reason) for one in found}
    kept = (facts.record, facts.holder, facts.epoch, facts.fenced, facts.run_kind, facts.run_waits, facts.cells_up)
    return (*kept, tuple(sorted(said.items())))
