"""The run that an agent has in hand: which it is, who begins it, how it goes on after a death."""

import base64
import secrets
from dataclasses import replace

from catalyst_sdk.continuum import Role

from catalyst_continuum.domain import gaps, runs
from catalyst_continuum.domain.record import Lease
from catalyst_continuum.domain.record import State as Record
from catalyst_continuum.domain.runs import Kind, Mark, Run, RunState, StepState, mark_of

from .act import Acts
from .chores import Chores
from .steps import failover, switchover
from .steps.carry import Book, Carrier
from .steps.scene import Scene

CLAIMED = Mark(Kind.FAILOVER, 4)
"""What a claim without a planned run goes on with."""


FENCED = Kind.SWITCHOVER.phases.index("FenceSource") + 1
"""From here on the region that gives does not write."""


class Moves:
    """Carries runs as a task of its own."""

    def __init__(self, acts: Acts, *, book: Book, chores: Chores) -> None:
        self._acts = acts
        self._book = book
        self._chores = chores
        self.ordered: Run | None = None
        """A planned run that this region is to begin."""
        self._taken = ""
        """The run that people have this region make without a majority of cells."""
        self.known: dict[str, Run] = {}
        """Runs that this agent has begun or met, by id."""
        self.missed: int | None = None
        """Bytes of log that the last holder had told of, and this region had not received when it claimed; None: not known."""
        self._scene: Scene | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a run is carried now."""
        return self._chores.is_under_way("run")

    @property
    def reprotects(self) -> bool:
        """Whether all that is left of the run in hand is to wait for a standby: nothing is broken off with it."""
        steps = self._scene.run.steps if self._scene is not None and self.is_busy else ()
        return any(step.phase == "Reprotect" and step.state is StepState.RUNNING for step in steps)

    @property
    def takes_unwitnessed(self) -> bool:
        """Whether people have this region take the slot without a majority of cells."""
        run = self.ordered
        return run is not None and run.unwitnessed and run.target == self._acts.duty.region

    def take_unwitnessed(self, lease: Lease) -> None:
        """The order is carried out from here on."""
        self._taken = self.fail_over(lease)

    def is_mine(self, lease: Lease | None) -> bool:
        """Whether the record names a run whose phase is this region's, and nobody carries it."""
        if lease is None or self.is_busy or lease.holder != self._acts.duty.region or not lease.run:
            return False
        return lease.state is Record.HELD and mark_of(lease.phase) is not None

    def meet(self, lease: Lease) -> str:
        """The offer of another region is taken: its run goes on here; the mark to go on with."""
        acts, mark = self._acts, mark_of(lease.phase)
        kind = mark.kind if mark is not None else Kind.FAILOVER
        self.known[lease.run] = Run(
            lease.run, acts.duty.slot, kind, lease.holder, acts.duty.region, lease.epoch, lease.epoch
        )
        return str(Mark(kind, runs.SOURCE_PHASES + 1) if kind.is_planned else CLAIMED)

    def fail_over(self, lease: Lease) -> str:
        """A silent holder's slot is claimed: the id of the approved run that waited for that, or a new one."""
        ordered, acts = self.ordered, self._acts
        self.missed = gaps.loss_bytes(lease, acts.sight.database())
        run = Run(
            new_id(), acts.duty.slot, Kind.FAILOVER, lease.holder, acts.duty.region, lease.epoch, lease.epoch,
            reason=f"{lease.holder} has been silent for {lease.ttl_ms / 1000:g} s",
        )  # fmt: skip
        if ordered is not None and not ordered.kind.is_planned:
            run, self.ordered = replace(ordered, source=lease.holder), None
        self.known[run.id] = run
        return run.id

    def look(self, lease: Lease | None) -> None:
        """A run that was given away ends elsewhere; the record says when, and how. So does one whose agent died at its end."""
        for run in [run for run in self.known.values() if not run.state.is_over] if lease is not None else []:
            assert lease is not None
            if self.is_busy or lease.run == run.id or run is self.ordered:
                continue
            if run.unwitnessed and run.state is RunState.RUNNING and self._acts.standing.proof is not None:
                why = "this region's writers were stopped before the cells confirmed what was taken without them"
                self._note(runs.over(run, RunState.FAILED, self._acts.clock().wall, why))
            if lease.epoch == run.start_epoch and run.source == run.target == self._acts.duty.region:
                why = "its agent died before its end, and has taken the slot up once more"
                self._note(runs.over(run, RunState.FAILED, self._acts.clock().wall, why))
            if lease.epoch <= run.start_epoch:
                continue
            moved = runs.moved(run, lease.epoch, self._acts.clock().wall)
            went_well = lease.holder == run.target
            state = RunState.SUCCEEDED if went_well else RunState.FAILED
            why = "" if went_well else f"the slot is {lease.holder or 'nobody'}'s"
            self._note(runs.over(moved, state, self._acts.clock().wall, why))

    def go_on(self) -> None:
        """Begin the ordered run, or go on with the one that the record names, or with what a claim without one needs."""
        if self.is_busy:
            return
        lease, acts = self._acts.sight.lease, self._acts
        mark = mark_of(lease.phase) if lease is not None else None
        ordered = self.ordered
        if acts.standing.unconfirmed is not None:
            # What the record says of a run is the old holder's.
            run = self.known.get(self._taken)
            self._gain(run if run is not None and not run.state.is_over else self._take_up(), CLAIMED.phase)
        elif ordered is not None and ordered.kind.is_planned and ordered.source == acts.duty.region:
            self.ordered = None
            self._give(ordered, 1)
        elif lease is not None and mark is not None and lease.run:
            self._go_on(lease, mark)
        else:
            self._gain(self._take_up(), CLAIMED.phase)

    def hand_over(self, to: str) -> None:
        """Yield to `to`: the database here fails, and nobody need wait for silence."""
        acts, epoch = self._acts, self._acts.standing.epoch
        if self._scene is not None and self.reprotects:
            self._chores.cancel("run")
            flaw = "the database here failed before a standby had every write"
            self._note(runs.over(self._scene.run, RunState.FAILED, acts.clock().wall, flaw))
        run = Run(new_id(), acts.duty.slot, Kind.FAILOVER, acts.duty.region, to, epoch, epoch,
                  reason="the database here fails")  # fmt: skip
        scene = self._begin(run)
        self._chores.start("run", lambda: Carrier(scene, self._note).give(failover.YIELDING, 1))

    def abort(self, run: Run) -> None:
        """Take this run back. Raises PastNoReturn, RunNotWaiting."""
        now, scene = self._acts.clock().wall, self._scene
        if scene is not None and self.is_busy and scene.run.id == run.id:
            if scene.run.state is not RunState.ABORTING:
                scene.run = runs.aborting(scene.run, now, run.message)
                self._note(scene.run)
        elif self.ordered is not None and self.ordered.id == run.id:
            ordered, self.ordered = self.ordered, None
            self._note(runs.over(ordered, RunState.ABORTED, now, run.message))
        elif not self.is_busy and not self.known.get(run.id, run).state.is_over:
            lease = self._acts.sight.lease
            if lease is not None and lease.run != run.id and lease.epoch == run.start_epoch:
                self._note(runs.over(run, RunState.ABORTED, now, run.message))
        else:
            raise runs.RunNotWaiting(run=run.name, state=self.known.get(run.id, run).state.value)

    def _go_on(self, lease: Lease, mark: Mark) -> None:
        run = self._run(lease, mark)
        if not mark.is_sources:
            # Whoever claimed anew, or was fenced meanwhile, has to promote anew, however far the run was before.
            promote = mark.kind.phases.index("Promote") + 1
            view = self._acts.sight.database()
            is_primary = view is not None and view.role is Role.PRIMARY and self._acts.standing.canary is True
            self._gain(run, mark.phase if is_primary else min(mark.phase, promote))
        elif self._acts.standing.promote_began is None:
            # The token is only known to whoever has demoted: it is asked for again, which changes nothing.
            self._give(run, min(mark.phase, FENCED))
        else:
            # Its agent was away for longer than the authority lasts, and has taken the slot up anew.
            self._note(runs.over(run, RunState.ABORTED, self._acts.clock().wall, "its agent was away for too long"))
            self._gain(self._take_up(), CLAIMED.phase)

    def _give(self, run: Run, first: int) -> None:
        scene = self._begin(run)
        self._chores.start(
            "run", lambda: Carrier(scene, self._note).give(switchover.STEPS[: runs.SOURCE_PHASES], first)
        )

    def _gain(self, run: Run, first: int) -> None:
        scene = self._begin(run)
        steps = switchover.STEPS if run.kind.is_planned else failover.STEPS
        self._chores.start("run", lambda: Carrier(scene, self._note).gain(steps, first))

    def _begin(self, run: Run) -> Scene:
        if not run.steps:
            run = runs.opened(run, self._acts.clock().wall)
        self._scene = self._acts.scene(run)
        return self._scene

    def _run(self, lease: Lease, mark: Mark) -> Run:
        """The run that the record names; one that was begun in another life, or elsewhere, is known by the record alone."""
        known = self.known.get(lease.run)
        if known is not None:
            return known
        here, other = self._acts.duty.region, next(iter(self._acts.duty.rivals), "")
        if mark.is_sources:
            return Run(lease.run, self._acts.duty.slot, mark.kind, here, other, lease.epoch, lease.epoch)
        # Who held the slot before is not known any more: nobody is fenced from here for a guess.
        return Run(lease.run, self._acts.duty.slot, mark.kind, "", here, max(1, lease.epoch - 1), lease.epoch)

    def _take_up(self) -> Run:
        here, epoch = self._acts.duty.region, self._acts.standing.epoch
        return Run(new_id(), self._acts.duty.slot, Kind.FAILOVER, here, here, epoch, epoch, reason="taken up again")

    def _note(self, run: Run) -> None:
        self.known[run.id] = run
        self._book(run)


def new_id() -> str:
    """Ten characters that a record keeps."""
    return base64.b32encode(secrets.token_bytes(7)).decode().lower()[:10]
