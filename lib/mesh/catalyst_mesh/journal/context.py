"""What a step is given, and all that it may ask of the journal."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from . import signals
from .draft import Decided
from .failures import StepFailed, Wait
from .states import Flow, Note, RunState, StepView, Waits

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from .hold import Hold

Effect = Callable[[], Awaitable[Any]]


class Context:
    """One entry into one step. Outputs, events and logs never hold secrets, and are JSON values."""

    def __init__(self, hold: "Hold", step: str) -> None:
        self._hold = hold
        self._name = step

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self._hold.run_id

    @property
    def subject(self) -> str:
        """What the run is about, as given to `start`."""
        return self._hold.flow.run.subject

    @property
    def started_by(self) -> str:
        """Who started the run."""
        return self._hold.flow.run.started_by

    @property
    def step(self) -> StepView:
        """This step as it is stored."""
        return self._hold.flow.steps[self._name]

    @property
    def input(self) -> Any:
        """The input of the run."""
        return self._hold.flow.run.input

    @property
    def attempt(self) -> int:
        """1 at the first try, one more at each repetition."""
        return self.step.attempt

    @property
    def deadline(self) -> datetime | None:
        """When the time of this step is over."""
        return self.step.deadline

    @property
    def fence(self) -> int:
        """Grows with each holder of the run; an outside system that can compare it refuses a holder that is not any more."""
        return self._hold.fence

    async def guard(self, sql: "AsyncConnection") -> None:
        """First in a transaction on the daemon's own database: it is committed only while this replica holds the run.

        Ends the step where it does not: what a holder that was frozen still wants to write is written by nobody.
        """
        await self._hold.guard(sql)

    @property
    def cancelled(self) -> bool:
        """Whether the run was cancelled; a long call may look at it and end early."""
        return self._hold.flow.run.state is RunState.CANCELLING

    @property
    def output(self) -> Any:
        """What this step has returned; for `undo`. None if it never did."""
        return self.step.output

    def now(self) -> datetime:
        """The moment by the injected clock."""
        return self._hold.clock.now()

    def output_of(self, step: str) -> Any:
        """What `step` has returned; None if it was skipped. It must be needed by this one, directly or not."""
        if step not in _ancestors(self._hold.flow, self._name):
            raise LookupError(f"{self._name} does not need {step}, so its output may not be there yet")
        return self._hold.flow.steps[step].output

    async def once(self, name: str, effect: Effect, *, check: Effect | None = None) -> Any:
        """Have an effect inside this step, and remember what it returned over crashes and tries.

        check   told apart by it: None, it has not happened; else what it returned. Asked when a crash came between the
                effect and the note of it. Without one the effect happens again then, so it must be idempotent
        """
        kept = await self._hold.once(self._name, name)
        if kept is not None and kept.done:
            return kept.result
        if check is not None:
            found = await check() if kept is not None else None
            if found is not None:
                return await self._hold.keep_once(self._name, name, found, known=True)
            if kept is None:
                await self._hold.intend_once(self._name, name)
        self._hold.hook(f"effect:{self._name}.{name}.before")
        result = as_json(await effect())
        self._hold.hook(f"effect:{self._name}.{name}.after")
        return await self._hold.keep_once(self._name, name, result, known=check is not None)

    async def emit(
        self, code: str, message: str = "", *, data: Mapping[str, Any] | None = None, level: str = "info"
    ) -> None:
        """Add an event of this step to the run: `code` is a stable slug, such as `resource.created`."""
        note = Note(code, self._name, self.attempt, level, message, as_json(data) if data else None, type="note")

        def tell(flow: Flow, _now: datetime) -> Decided:
            return Decided(flow, (note,))

        await self._hold.apply(tell)

    async def log(self, text: str, *, level: str = "INFO") -> None:
        """Write lines to the run's log. They are kept within a second, or with the step's next change."""
        await self._hold.logbook.write(self._name, self.attempt, text, level, self.now())

    async def until(self, moment: datetime) -> None:
        """Go on at `moment`. Until then nothing is held; the step is entered again from its beginning."""
        if self.now() < moment:
            raise Wait(Waits.MOMENT, until=moment)

    async def sleep(self, name: str, length: timedelta) -> None:
        """Go on `length` after the first time that this step has said so; `name` tells its sleeps apart."""

        async def end() -> str:
            return (self.now() + length).isoformat()

        await self.until(datetime.fromisoformat(await self.once(f"sleep:{name}", end)))

    async def signal(self, name: str) -> Any:
        """The payload of the signal called `name`; until it comes nothing is held."""
        flow = await self._hold.apply(partial(_take, step=self._name, name=name))
        taken = signals.taken_by(flow, step=self._name, name=name)
        if taken is None:
            raise Wait(Waits.SIGNAL, signal=name)
        return taken.payload

    async def again(self, after: timedelta) -> NoReturn:
        """Ask again later: the step is entered anew after `after`, as often as its timeout allows. Not a try."""
        # Let a loop that asks without a pause at least see the other tasks.
        await asyncio.sleep(0)
        raise Wait(Waits.POLL, until=self.now() + after)


def as_json(value: Any) -> Any:
    """`value` as it will be read back. Raises StepFailed for what JSON does not have, a Secret for one."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise StepFailed("OUTPUT_NOT_JSON", f"{type(value).__name__} is no JSON value") from error


def _take(flow: Flow, now: datetime, *, step: str, name: str) -> Decided:
    return signals.take(flow, now, step=step, name=name)


def _ancestors(flow: Flow, name: str) -> set[str]:
    found: set[str] = set()
    todo = list(flow.steps[name].needs)
    while todo:
        need = todo.pop()
        if need not in found:
            found.add(need)
            todo.extend(flow.steps[need].needs)
    return found
