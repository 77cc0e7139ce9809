"""Carries the phases of a run that are this region's, from wherever whoever was before came to.

Invariants
  I10 CrashEquivalence  a run whose agent dies at any point goes on to an end that it could have had without the death;
  I11 NoRollbackPastEpoch  what is taken back is taken back while the epoch stands, and never after.

The register names the phase in hand before its effect begins, or beside it where nobody writes meanwhile. The record of the run
in the store is for people: nothing waits for it, and nothing is decided by it.
"""

import asyncio
from collections.abc import Callable, Sequence
from math import isinf

from catalyst_sdk import PluginFailure

from catalyst_continuum.domain import runs
from catalyst_continuum.domain.runs import Mark, Run, RunState
from catalyst_continuum.workers.standing import AuthorityOver

from .marks import Marks
from .scene import Scene
from .source import Blocked
from .step import Step

Book = Callable[[Run], None]
"""Keeps the record of a run; never waits, never fails."""


class Failed(Exception):
    """A step has spent its attempts."""


class Carrier:
    """One run, in one region."""

    def __init__(self, scene: Scene, book: Book) -> None:
        self._scene = scene
        self._book = book
        self._marks = Marks(scene)

    async def gain(self, steps: Sequence[Step], first: int) -> None:
        """Carry the phases after the claim to the end. Raises AuthorityOver where the right to it has ended."""
        scene = self._scene
        self._note(runs.moved(scene.run, scene.epoch, self._now()))
        try:
            for number, step in enumerate(steps, 1):
                if number >= first:
                    await self._carry(number, step)
            await self._unmark()
        finally:
            await self._end()
        self._note(runs.over(scene.run, RunState.SUCCEEDED, self._now(), "; ".join(scene.flaws)))
        scene.tell("run.completed")

    async def give(self, steps: Sequence[Step], first: int) -> bool:
        """Carry the phases up to the offer; whether it stands. What cannot go on is taken back."""
        number = 0
        try:
            for number, step in enumerate(steps, 1):
                if number >= first:
                    await self._carry(number, step)
        except (Blocked, Failed) as why:
            if await self._stands():
                return True
            await self._take_back(steps, number, str(why))
            return False
        finally:
            await self._end()
        return True

    async def _stands(self) -> bool:
        """Whether an offer that was begun stands in the record. One of unknown outcome is dead once a renewal is committed."""
        scene = self._scene
        while scene.standing.offering:
            if await scene.rights.renew():
                return False
            if scene.sight.readable:
                return True
            await asyncio.sleep(scene.duty.profile.look)
        return False

    async def _carry(self, number: int, step: Step) -> None:
        scene, attempt = self._scene, 0
        self._note(runs.began(scene.run, number, self._now()))
        if step.names:
            await self._marks.name(Mark(scene.run.kind, number), waits=not step.in_haste)
        while not await step.done(scene):
            self._must_not_be_aborted(number, step)
            if attempt >= step.attempts:
                if step.gives_up:
                    scene.tell("run.progressed", why=f"{step.name} is left behind")
                    break
                raise Failed(f"{step.name} has spent its {attempt} attempts")
            attempt += 1
            self._at(step, "before-effect")
            await self._try(step)
            self._at(step, "after-effect")
            if not await step.done(scene):
                await asyncio.sleep(scene.duty.profile.look / 4)
        self._at(step, "before-record")
        self._note(runs.reached(scene.run, number, self._now(), "; ".join(scene.flaws)))
        self._at(step, "after-record")

    async def _try(self, step: Step) -> None:
        try:
            async with asyncio.timeout(step.budget(self._scene)):
                await step.act(self._scene)
        except (PluginFailure, TimeoutError) as failure:
            # Whether it took effect is not known; `done` says.
            self._scene.standing.why = f"{step.name}: {failure or 'out of time'}"

    def _must_not_be_aborted(self, number: int, step: Step) -> None:
        if self._scene.run.state is RunState.ABORTING and not isinf(step.attempts):
            raise Failed(f"aborted: {self._scene.run.message}")

    async def _take_back(self, steps: Sequence[Step], number: int, why: str) -> None:
        """Compensate what was done, the last first. A fence is not lifted here: only a renewal, then a promotion, may."""
        scene = self._scene
        if not scene.run.state.is_over and scene.run.state is not RunState.ABORTING:
            self._note(runs.aborting(scene.run, self._now(), why))
        for at in range(number, 0, -1):
            compensate = steps[at - 1].compensate
            if compensate is None or not scene.standing.may(scene.clock()):
                continue
            try:
                async with asyncio.timeout(steps[at - 1].budget(scene)):
                    await compensate(scene)
            except (PluginFailure, TimeoutError, AuthorityOver):
                continue  # whoever reconciles does it again
            self._note(runs.compensated(scene.run, at, self._now()))
        await self._unmark()
        self._note(runs.over(scene.run, RunState.ABORTED, self._now(), why))
        scene.tell("run.aborted", why=why)

    async def _unmark(self) -> None:
        await self._marks.end()
        if self._scene.standing.unconfirmed is not None:
            return
        for _ in range(3):
            if await self._scene.rights.mark("", ""):
                return

    async def _end(self) -> None:
        await self._marks.end()
        await self._scene.end()

    def _note(self, run: Run) -> None:
        self._scene.run = run
        self._book(run)

    def _at(self, step: Step, point: str) -> None:
        self._scene.trace("step", epoch=self._scene.epoch, effect=f"{step.name} {point}")

    def _now(self) -> float:
        return self._scene.clock().wall
