"""Isolated drills: the region that would gain has its promoter try the promotion on a copy of its standby. The register, the
names, the standby and everybody's writes stay as they are.

A run of this kind is no move: no agent carries it, no record names it. Whoever finds it unfinished after a death begins it anew,
and the promoter gives up first what was left.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from catalyst_mesh import Work, get_logger
from catalyst_mesh.waits import rest
from catalyst_sdk import PluginFailure
from catalyst_sdk.continuum import Rehearsed

from catalyst_continuum.domain import drills, runs
from catalyst_continuum.domain.drills import Drill
from catalyst_continuum.domain.runs import Kind, Run, RunState
from catalyst_continuum.domain.spec import DrillKind, Spec
from catalyst_continuum.store import Store

from .steps.carry import Book

LOOK = 1.0
"""Seconds from one look at the slots to the next."""
PARTS = ("clone", "promote", "verify", "clean")
"""What a promoter measures, in the order of the phases after the first."""


class IsolatedDrills:
    """One loop over the slots that have an agent here.

    acted      slots that an agent acts for here, `<namespace>/<name>`, with what is wished for each; not while it starts
    promoters  the promoter of a slot; one with the capability `rehearse` where a drill is asked for
    """

    def __init__(
        self, region: str, work: Work[Store], acted: Callable[[], Sequence[tuple[str, Spec]]],
        promoters: Callable[[str, Spec], Any], book: Book, wall: Callable[[], float], *, look: float = LOOK,
    ) -> None:  # fmt: skip
        self._region = region
        self._work = work
        self._acted = acted
        self._promoters = promoters
        self._book = book
        self._wall = wall
        self._look = look
        self._log = get_logger("isolated-drills")
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Rehearse until `stop`; what is under way then is begun anew by the next life."""
        try:
            while not stop.is_set():
                await rest(stop, self._look)
                for slot, spec in self._acted() if not stop.is_set() else ():
                    try:
                        await self._look_at(slot, spec)
                    except Exception as error:
                        self._log.error("drill not begun", slot=slot, exc_info=error)
        finally:
            for task in self._under_way.values():
                task.cancel()
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _look_at(self, slot: str, spec: Spec) -> None:
        async with self._work.reading() as tx:
            waiting = [run for run in await tx.open_runs(slot) if run.kind is Kind.DRILL and run.target == self._region]
        for run in waiting:
            if run.state in (RunState.PENDING, RunState.RUNNING) and run.id not in self._under_way:
                task = asyncio.create_task(self._rehearse(run, self._promoters(slot, spec)), name=run.id)
                self._under_way[run.id] = task

    async def _rehearse(self, run: Run, promoter: Any) -> None:
        begun = runs.began(run, 2, self._wall())
        self._book(begun)
        try:
            told: Rehearsed = await promoter.rehearse(region=self._region, run=run.id)
        except PluginFailure as failure:
            told = Rehearsed(False, {}, str(failure))
        except Exception as error:  # a stranger's code
            self._log.error("a rehearsal broke", run=run.name, exc_info=error)
            told = Rehearsed(False, {}, "the promoter broke; its daemon's log says how")
        ended = over(begun, told, self._wall())
        self._book(ended)
        seconds = sum(told.took.get(part, 0.0) for part in ("promote", "verify")) or None
        drill = Drill(DrillKind.ISOLATED, runs.moment(ended.updated_at), told.passed, seconds, told.why)
        await self._work.again(partial(self._keep, run.slot, drill))

    async def _keep(self, key: str, drill: Drill, tx: Store) -> None:
        slot = await tx.lock(*key.split("/", 1))
        if slot is None or slot.gone:
            return
        decision = drills.drilled(slot, drill, tx.now)
        await tx.save(decision.state)
        tx.emit(*decision.events)


def over(run: Run, told: Rehearsed, now: float) -> Run:
    """The run at its end, with the phases at the times that the promoter measured."""
    at = now - sum(told.took.values())
    for number, part in enumerate(PARTS, 2):
        if part not in told.took:
            break
        run = runs.began(run, number, at)
        at += told.took[part]
        run = runs.reached(run, number, at)
    return runs.over(run, RunState.SUCCEEDED if told.passed else RunState.FAILED, now, told.why)
