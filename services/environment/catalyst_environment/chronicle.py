"""What a run's transitions mean for what it works on, and what is told of them, in the transaction of the transition."""

from typing import Any

from catalyst_mesh import Database, Work
from catalyst_mesh.journal import EventView, RunView
from catalyst_sdk import Decision
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from .domain import applications, organizations, promotions
from .domain.applications import Application
from .domain.organizations import Organization
from .events import Completed, Failed, Progressed, Started
from .operations import name_of
from .steps import CREATE, DELETE
from .store import Store, metadata

STEPS = metadata.tables["journal_step"]
_OVER = {"step.succeeded", "step.failed", "step.skipped"}
_ENDED = {"run.failed", "run.cancelled"}


class Chronicle:
    """Writes what runs tell."""

    def __init__(self, db: Database, work: Work[Store]) -> None:
        self._db = db
        self._work = work

    async def transition(self, sql: AsyncConnection, run: RunView, event: EventView) -> None:
        """Follow one event of a run."""
        tx = Store(sql, event.at, has_row_locks=self._db.has_row_locks)
        about: dict[str, Any] = {
            "operation": name_of(run.id),
            "seq": event.seq,
            "subject": run.subject,
            "org": f"organizations/{run.input['organization']}",
        }
        if event.code == "run.created":
            tx.emit(Started(**about, kind=run.kind))
        elif event.code in _OVER and run.state != "cancelling":
            tx.emit(Progressed(**about, step=event.step, done=run.progress.finished, total=run.progress.total))
        elif event.code == "run.succeeded":
            tx.emit(Completed(**about))
        elif event.code in _ENDED:
            step = await _failed_step(tx, run)
            tx.emit(Failed(**about, step=step, error=str((run.failure or {}).get("message", ""))))
            if event.code == "run.failed":
                await _failed(tx, run, step)
            elif run.kind not in (CREATE, DELETE):
                await _taken_back(tx, run)
        await self._work.write_outbox(sql, event.at, tx.told)


async def _failed(tx: Store, run: RunView, step: str) -> None:
    """What a run that failed leaves says so, with the name of the step."""
    if run.kind in (CREATE, DELETE):
        held = await tx.find(Organization, run.input["organization"], lock=True)
        if held is not None and held.run == run.id:
            await _keep(tx, organizations.fail(held, step, tx.now))
        return
    for one in await _busy(tx, run):
        await _keep(tx, applications.fail(one, step, tx.now))
    promotion = await tx.promotion(run.input["environment"], str(run.input.get("promotion", "")))
    if promotion is not None:
        await _keep(tx, promotions.end(promotion, promotions.State.FAILED, tx.now))


async def _taken_back(tx: Store, run: RunView) -> None:
    """Applications of which nothing had been written yet stand as before; the steps have seen to the others."""
    for one in await _busy(tx, run):
        await _keep(tx, applications.take_back(one, "", tx.now))


async def _busy(tx: Store, run: RunView) -> list[Application]:
    found = [await tx.find(Application, run.input["environment"], id, lock=True) for id in run.input["applications"]]
    return [one for one in found if one is not None and one.run == run.id and one.busy]


async def _keep(tx: Store, decided: Decision[Any]) -> None:
    await tx.save(decided.state)
    tx.emit(*decided.events)


async def _failed_step(tx: Store, run: RunView) -> str:
    query = select(STEPS.c.name).where((STEPS.c.run_id == run.id) & (STEPS.c.state == "failed"))
    found = (await tx.sql.execute(query.order_by(STEPS.c.finished_at, STEPS.c.position))).scalars().first()
    return str(found or "")
