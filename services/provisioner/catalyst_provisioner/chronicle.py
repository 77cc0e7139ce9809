"""What a run's transitions mean for its Sovereign: state, facts and events, in the transaction of the transition."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from catalyst_mesh import Database, Work
from catalyst_mesh.journal import CancelMode, EventView, RunView
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from . import granting, reopening, wishing
from .domain import applied, costs, facts, gates, graphs, plans, sovereigns, wishes
from .domain.applied import Applied, Wished
from .domain.locks import Lock
from .domain.patience import Failed
from .domain.sovereign import Sovereign, State
from .domain.wishes import Document
from .store import ClusterRow, Entry, Store, metadata
from .store.ledger import GONE

FAILED_RUN = "failed_run"
"""Fact of a Sovereign whose last run failed and may go on."""
DRIFT = "drift"
"""Fact of a Sovereign: the newest report of how the world differs from what was applied."""
SUPERSEDED = "superseded."
"""With the id of a run: fact of a Sovereign, the id of the run that goes on from it."""
STEPS = metadata.tables["journal_step"]
Size = Callable[[Document], Mapping[str, Any]]


class Chronicle:
    """Writes what runs tell."""

    def __init__(self, db: Database, work: Work[Store], size: Size) -> None:
        self._db = db
        self._work = work
        self._size = size

    async def transition(self, sql: AsyncConnection, run: RunView, event: EventView) -> None:
        """Follow one event of a run."""
        follow = _FOLLOWED.get(event.code)
        if follow is None:
            return
        tx = Store(sql, event.at, has_row_locks=self._db.has_row_locks)
        held = await tx.lock(run.input["sovereign"])
        if held is None or held.uid != run.input["uid"]:
            return
        await follow(self, tx, held, run, event)
        await self._work.write_outbox(sql, event.at, tx.told)

    async def step_waiting(self, tx: Store, held: Sovereign, run: RunView, event: EventView) -> None:
        """A step that waits at a gate opens it; other waits are the run's own business."""
        gate = _gate(run, event.step)
        if gate is not None and event.data.get("signal") == event.step:
            after = held.told(event.at)
            fact = facts.GateOpened(after, name_of(run), event.step, {**gate, "state": "STATE_OPEN"}, run.started_by)
            await _keep(tx, after, fact)

    async def step_succeeded(self, tx: Store, held: Sovereign, run: RunView, event: EventView) -> None:
        step = await _step(tx, run, event)
        after = held.told(event.at)
        seconds = (event.at - step["started_at"]).total_seconds() if step["started_at"] else 0.0
        await _keep(tx, after, facts.StepSucceeded(after, *_step_facts(run, event, step), seconds))
        if _gate(run, event.step):
            await _answered(tx, after.told(event.at), facts.GateApproved, run, event.step, step["output"])

    async def step_failed(self, tx: Store, held: Sovereign, run: RunView, event: EventView) -> None:
        step = await _step(tx, run, event)
        after = held.told(event.at)
        fact = facts.StepFailed(after, *_step_facts(run, event, step), dict(event.data), step["optional"])
        await _keep(tx, after, fact)
        if _gate(run, event.step) and event.data.get("reason") == gates.REJECTED:
            await _answered(tx, after.told(event.at), facts.GateRejected, run, event.step, event.data["metadata"])

    async def step_skipped(self, tx: Store, held: Sovereign, run: RunView, event: EventView) -> None:
        """By a person, or because of another step; what a cancel leaves out is told by the end of the run."""
        if run.state == "cancelling":
            return
        step = await _step(tx, run, event)
        after = held.told(event.at)
        by = str(event.data.get("by", ""))
        await _keep(tx, after, facts.StepSkipped(after, *_step_facts(run, event, step), event.message, by))

    async def run_stuck(self, tx: Store, held: Sovereign, run: RunView, event: EventView) -> None:
        after = held.told(event.at)
        busy = await tx.sql.execute(
            select(STEPS.c.name)
            .where((STEPS.c.run_id == run.id) & (STEPS.c.state == "in_doubt"))
            .order_by(STEPS.c.name)
        )
        names = tuple(f"{name_of(run)}/steps/{name}" for name in busy.scalars())
        await _keep(tx, after, facts.RunStuck(after, name_of(run), names, int(event.data["takeovers"])))

    async def leftover_found(self, tx: Store, held: Sovereign, run: RunView, event: EventView) -> None:
        after = held.told(event.at)
        await _keep(tx, after, facts.LeftoverFound(after, name_of(run), dict(event.data)))

    async def run_paused(self, tx: Store, held: Sovereign, run: RunView, event: EventView) -> None:
        after = held.told(event.at)
        await _keep(tx, after, facts.RunPaused(after, *_about(run), run.paused_because or event.message))

    async def run_resumed(self, tx: Store, held: Sovereign, run: RunView, event: EventView) -> None:
        await tx.unobserve(held.id, FAILED_RUN)
        state = sovereigns.running_state(held, run.input["intent"])
        after = held.told(event.at, state=state, last_run=name_of(run))
        await _keep(tx, after, facts.RunResumed(after, *_about(run), str(event.data.get("by", ""))))

    async def run_succeeded(self, tx: Store, held: Sovereign, run: RunView, event: EventView) -> None:
        first = held.told(event.at)
        seconds = _elapsed(run, event.at)
        await _keep(tx, first, facts.RunSucceeded(first, *_about(run), run.degraded, seconds))
        await tx.unobserve(held.id, FAILED_RUN, "retries")
        rows = await tx.clusters(held.id)
        listed = tuple(cluster_fact(row) for row in rows)
        if run.kind == graphs.DESTROY:
            report = destroy_report(await tx.entries(held.id, gone=True), await tx.facts(held.id), run, seconds)
            decided = sovereigns.finish_destroy(first, name_of(run), listed, report, event.at)
        else:
            generation = int(run.input["generation"])
            size = self._size(first.spec)
            decided = sovereigns.activate(first, name_of(run), generation, listed, size, event.at)
            if run.kind == graphs.PROVISION:
                await tx.keep_applied(held.id, await _true_now(tx, held, run, rows))
        await _keep(tx, decided.state, *decided.events)
        if run.input["intent"] == plans.REPAIR:
            after = decided.state.told(event.at)
            await _keep(tx, after, facts.DriftRepaired(after, name_of(run)))
        await tx.unobserve(held.id, DRIFT)  # what was seen before this run says nothing of what is there now

    async def run_failed(self, tx: Store, held: Sovereign, run: RunView, event: EventView) -> None:
        after = held.told(event.at, state=State.FAILED)
        left = _leftovers(left_by(run, await tx.entries(held.id)))
        failed = await _failed_step(tx, run)
        fact = facts.RunFailed(after, *_about(run), _order(held, run), False, failed, dict(event.data), left)
        await _keep(tx, after, fact)
        if run.kind == graphs.PROVISION and failed:
            await _remember(tx, held, run, failed.rpartition("/")[2], event.at, paid=bool(left))

    async def run_cancelled(self, tx: Store, held: Sovereign, run: RunView, event: EventView) -> None:
        await tx.unobserve(held.id, FAILED_RUN, "retries")
        left = _leftovers(left_by(run, await tx.entries(held.id)))
        after = await _back(tx, held, run, event.at) or held.told(event.at, state=_cancelled_state(held, run, left))
        heir = superseding(await tx.facts(held.id), run.id)
        fact = facts.RunCancelled(
            after, *_about(run), _order(held, run), not heir, not run.leftovers, "", left,
            superseded_by=f"{run.subject}/runs/{heir}" if heir else "",
        )  # fmt: skip
        await _keep(tx, after, fact)
        await reopening.after(tx, held.id, run.id, run.created_at)


_FOLLOWED = {
    "step.waiting": Chronicle.step_waiting,
    "step.skipped": Chronicle.step_skipped,
    "step.succeeded": Chronicle.step_succeeded,
    "step.failed": Chronicle.step_failed,
    "run.paused": Chronicle.run_paused,
    "run.resumed": Chronicle.run_resumed,
    "run.succeeded": Chronicle.run_succeeded,
    "run.failed": Chronicle.run_failed,
    "run.stuck": Chronicle.run_stuck,
    "leftover.found": Chronicle.leftover_found,
    "run.cancelled": Chronicle.run_cancelled,
}


def superseding(seen: Mapping[str, tuple[Any, datetime]], run: str) -> str:
    """Id of the run that goes on from `run`; empty for none."""
    fact = f"{SUPERSEDED}{run}"
    return str(seen[fact][0]) if fact in seen else ""


def left_by(run: RunView, entries: Sequence[Entry]) -> list[Entry]:
    """What a run that did not end well has left: of a creation all that is there, of a change what it has made itself."""
    if not run.input.get("settled"):
        return list(entries)
    return [] if run.state == "cancelled_clean" else [entry for entry in entries if entry.run == run.id]


def name_of(run: RunView) -> str:
    """Resource name of a run; its subject is the Sovereign's."""
    return f"{run.subject}/runs/{run.id}"


def cluster_fact(row: ClusterRow) -> Mapping[str, Any]:
    """A cluster as other daemons are told of it."""
    spec = row.spec
    return {
        "name": row.resource,
        "provider": row.provider,
        "region": row.region,
        "building_block": spec["building_block"],
        "hosts": list(spec["hosts"]),
        "env_type": spec["env_type"],
        "location_code": spec["location_code"],
        "addresses": list(row.addresses),
    }


def destroy_report(
    entries: list[Entry], seen: Mapping[str, tuple[Any, datetime]], run: RunView, seconds: float
) -> Mapping[str, Any]:
    """What the destroy did, in the contract's form."""
    moments = [seen[f"sweep.{look}"][1] for look in ("first", "second") if f"sweep.{look}" in seen]
    kept = [entry for entry in entries if entry.state != GONE]
    started = run.started_at or run.created_at
    return {
        "destroyed": sum(1 for e in entries if e.state == GONE and e.updated_at >= started),
        "kept": [entry.name for entry in kept if entry.name in run.input["keep"]],
        "leftovers": [dict(row) for row in _leftovers([e for e in kept if e.name not in run.input["keep"]])],
        "elapsed": f"{seconds:.3f}s",
        "sweep_times": [f"{moment:%FT%T.%fZ}" for moment in moments],
    }


def _cancelled_state(held: Sovereign, run: RunView, left: Sequence[Mapping[str, Any]]) -> State:
    nothing = not left and held.activated_at is None
    return State.DRAFT if nothing and run.kind == graphs.PROVISION else State.FAILED


async def _true_now(tx: Store, held: Sovereign, run: RunView, rows: Sequence[ClusterRow]) -> Applied:
    """What a run that ended well has made so."""
    plan = await tx.plan(held.id, run.input["plan"])
    assert plan is not None, "a run has its plan as long as its Sovereign has a record"
    by_name = {row.name: row for row in rows}
    clusters = (by_name[cluster["name"]] for cluster in run.input["clusters"])
    wished = tuple(Wished(r.name, r.provider, r.region, r.credential, r.spec) for r in clusters)
    components = await tx.components(held.id, wished[0].name)
    lock = Lock(held.lock_digest, tuple(c.wished for c in components))
    return Applied(plan.id, plan.hash, plan.body["spec"], wished, lock)


async def _back(tx: Store, held: Sovereign, run: RunView, now: datetime) -> Sovereign | None:
    """The Sovereign as it was before a change that was cancelled and taken back whole; None where it was not.

    What was between two states before this run is so still, and so is what lacks a cluster that could not be made again.
    """
    before, rows = await tx.applied_state(held.id), {row.name: row for row in await tx.clusters(held.id)}
    taken_back = run.kind == graphs.PROVISION and run.cancel_mode == CancelMode.COMPENSATE and not run.leftovers
    if before is None or not taken_back or not run.input.get("settled"):
        return None
    if not set(before.names) <= rows.keys():
        return None
    if await _was_begun(tx, run, "git.render"):
        before = applied.risen(before, run.input["clusters"])
    for name in rows.keys() - set(before.names):
        if not await tx.entries(held.id, name):
            held = await granting.end_all(tx, held, name)
            await tx.drop_cluster(held.id, name)
    for one in before.clusters:
        now_held = rows[one.name]
        # What a cluster was given stays its own: a wish without it would delete what somebody else had made.
        given = {"adopted": now_held.spec["adopted"]} if now_held.spec.get("adopted") else {}
        await tx.wish_cluster(
            held.id, one.name, number=now_held.number, provider=one.provider, region=one.region,
            credential=one.credential, spec={**one.spec, **given},
        )  # fmt: skip
        await wishing.components(tx, held.id, one.name, before.lock)
    return sovereigns.went_back(held, name_of(run), before.spec, before.lock.digest, now)


async def _was_begun(tx: Store, run: RunView, step: str) -> bool:
    query = select(STEPS.c.attempt).where((STEPS.c.run_id == run.id) & (STEPS.c.name == step))
    return bool((await tx.sql.execute(query)).scalar_one_or_none())


async def _remember(tx: Store, held: Sovereign, run: RunView, step: str, now: datetime, *, paid: bool) -> None:
    """Keep what the failure policy needs; see `domain/patience.py`."""
    query = select(STEPS.c.phase).where((STEPS.c.run_id == run.id) & (STEPS.c.name == step))
    phase = str((await tx.sql.execute(query)).scalar_one())
    seen = await tx.facts(held.id)
    counted: Mapping[str, Any] = seen["retries"][0] if "retries" in seen else {}
    retries = int(counted["count"]) if counted.get("run") == run.id else 0
    until = now + wishes.paid_ttl(held.spec) if paid else None
    failed = Failed(run.id, step, wishes.reaction(held.spec, phase), now, until, retries=retries)
    await tx.observe(held.id, FAILED_RUN, failed.plain())


def _gate(run: RunView, step: str) -> Mapping[str, Any] | None:
    """The gate at which a step waits."""
    return next((gate for gate in run.input.get("gates", ()) if gate["step"] == step), None)


async def _answered(
    tx: Store, after: Sovereign, fact: type[facts.GateAnswered], run: RunView, step: str, said: Mapping[str, Any]
) -> None:
    kind = step.removeprefix(gates.PREFIX)
    await _keep(tx, after, fact(after, name_of(run), step, kind, said["by"], said["comment"]))


async def _keep(tx: Store, after: Sovereign, *told: object) -> None:
    await tx.save(after)
    tx.emit(*told)


async def _step(tx: Store, run: RunView, event: EventView) -> Mapping[str, Any]:
    query = select(STEPS).where((STEPS.c.run_id == run.id) & (STEPS.c.name == event.step))
    return dict((await tx.sql.execute(query)).mappings().one())


async def _failed_step(tx: Store, run: RunView) -> str:
    query = select(STEPS.c.name).where(
        (STEPS.c.run_id == run.id) & (STEPS.c.state == "failed") & STEPS.c.optional.is_(False)
    )
    found = (await tx.sql.execute(query.order_by(STEPS.c.finished_at, STEPS.c.position))).scalars().first()
    return f"{name_of(run)}/steps/{found}" if found else ""


def _step_facts(run: RunView, event: EventView, step: Mapping[str, Any]) -> tuple[str, str, int, str, str, str]:
    name = name_of(run)
    return (name, f"{name}/steps/{event.step}", event.attempt, step["phase"], step["cluster"], step["component"])


def _about(run: RunView) -> tuple[str, str, str]:
    return (name_of(run), f"{run.subject}/plans/{run.input['plan']}", run.input["intent"])


def _order(held: Sovereign, run: RunView) -> str:
    """Told until the Sovereign was active once."""
    return held.order if held.activated_at is None and run.kind == graphs.PROVISION else ""


def _elapsed(run: RunView, now: datetime) -> float:
    return (now - (run.started_at or run.created_at)).total_seconds()


def _leftovers(entries: list[Entry]) -> tuple[Mapping[str, Any], ...]:
    return tuple(
        {"provider": e.provider, "region": e.region, "kind": e.kind, "id": e.resource_id, "resource_name": e.name}
        | ({"price": costs.price(e.row.price)} if e.row.price else {})
        for e in entries
    )
