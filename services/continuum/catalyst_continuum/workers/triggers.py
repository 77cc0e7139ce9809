"""A planned move that a manifest asks for, as the earlier system had it: `switchover.requested` with a `requestId`.

Invariants
  once by id     the run's own id is made of the slot and the request: whoever reads the manifest again finds it there;
  one try        what cannot be begun is kept as a run that was aborted, and says why; the next try has a new `requestId`;
  by who holds   the region that gives begins it, and no other.
"""

import asyncio
import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from catalyst_mesh import Work, get_logger
from catalyst_mesh.waits import rest
from catalyst_sdk import Refused

from catalyst_continuum.domain import approvals, runs
from catalyst_continuum.domain.plan import Plan, Purpose
from catalyst_continuum.domain.runs import Kind, Run, RunState
from catalyst_continuum.domain.spec import Spec, Trigger
from catalyst_continuum.store import Store

from .game_days import Plans

LOOK = 2.0
"""Seconds from one look at the slots to the next."""
BY = "manifest"
"""Who asked, where the manifest does not say."""


class Triggers:
    """One loop over the slots that have an agent here.

    acted   slots that an agent acts for here, `<namespace>/<name>`, with what is wished for each; not while it starts
    """

    def __init__(
        self, region: str, work: Work[Store], plans: Plans, acted: Callable[[], Sequence[tuple[str, Spec]]], *,
        look: float = LOOK,
    ) -> None:  # fmt: skip
        self._region = region
        self._work = work
        self._plans = plans
        self._acted = acted
        self._look = look
        self._log = get_logger("triggers")

    async def run(self, stop: asyncio.Event) -> None:
        """Begin what is asked for until `stop`."""
        while not stop.is_set():
            await rest(stop, self._look)
            for slot, spec in self._acted() if not stop.is_set() else ():
                trigger = spec.switchover.trigger
                if trigger is None or not trigger.requested or not trigger.id:
                    continue
                try:
                    await self._begin(slot, spec, trigger)
                except Refused:  # it is where it is asked to be, or nowhere can be found
                    continue
                except Exception as error:
                    self._log.error("what a manifest asks for was not begun", slot=slot, exc_info=error)

    async def _begin(self, key: str, spec: Spec, trigger: Trigger) -> None:
        id = run_id(key, trigger.id)
        async with self._work.reading() as tx:
            slot, known = await tx.get(*key.split("/", 1)), await tx.run(key, id)
        if slot is None or slot.gone or known is not None:
            return
        plan = await self._plans.plan(slot, spec, Purpose.SWITCHOVER, to_region=trigger.target)
        if plan.source == self._region:
            await self._work.again(partial(self._open, key, spec, trigger, plan))

    async def _open(self, key: str, spec: Spec, trigger: Trigger, plan: Plan, tx: Store) -> None:
        slot, id = await tx.lock(*key.split("/", 1)), run_id(key, trigger.id)
        if slot is None or await tx.run(key, id) is not None:
            return
        need = approvals.need(spec.approval, Kind.SWITCHOVER.word, tx.now)
        run = Run(
            id, key, Kind.SWITCHOVER, plan.source, plan.target, plan.epoch, plan.epoch, reason=trigger.reason,
            initiated_by=trigger.by or BY, plan_fingerprint=plan.fingerprint, need=need if need.is_any else None,
            state=RunState.AWAITING_APPROVAL if need.is_any else RunState.PENDING,
        )  # fmt: skip
        run, open_ = runs.opened(run, tx.now.timestamp()), await tx.open_runs(key)
        why = [*plan.blockers, *(f"{one.name} is not over" for one in open_)]
        if why:
            run = replace(runs.over(run, RunState.ABORTED, tx.now.timestamp(), "; ".join(why)), version=1)
        await tx.put_run(run)


def run_id(slot: str, request: str) -> str:
    """Ten characters that a record keeps, the same for one request of one slot."""
    return base64.b32encode(hashlib.sha256(f"{slot} {request}".encode()).digest()).decode().lower()[:10]
