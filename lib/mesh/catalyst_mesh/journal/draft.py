"""A flow under change: the hand tool of all decisions. Pure: no clock, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from .refusals import StepNotFound
from .states import Flow, Note, Signal, StepView


@dataclass(frozen=True, slots=True)
class Decided:
    """The flow as it becomes, and what is told of it, in order."""

    flow: Flow
    notes: tuple[Note, ...] = ()
    is_stored: bool = True
    """False: whoever holds the run remembers it until the next write, and what the tables say meanwhile does no harm."""


class Draft:
    """Collects what becomes different, and what is told about it."""

    def __init__(self, flow: Flow, now: datetime) -> None:
        self.run = flow.run
        self.steps: dict[str, StepView] = dict(flow.steps)
        self.signals: tuple[Signal, ...] = flow.signals
        self.now = now
        self._notes: list[Note] = []

    def step(self, name: str) -> StepView:
        """The step called `name`. Raises StepNotFound."""
        if name not in self.steps:
            raise StepNotFound(run=self.run.id, step=name)
        return self.steps[name]

    def change(self, name: str, **values: Any) -> None:
        """Give columns of a step new values."""
        self.steps[name] = replace(self.steps[name], **values)

    def change_run(self, **values: Any) -> None:
        """Give columns of the run new values."""
        self.run = replace(self.run, **values)

    def tell(
        self,
        code: str,
        step: str = "",
        *,
        message: str = "",
        level: str = "info",
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an event."""
        attempt = self.steps[step].attempt if step else 0
        self._notes.append(Note(code, step, attempt, level, message, data))

    def progressed(self) -> None:
        """A step came to an end: whoever died before is forgiven."""
        if self.run.takeovers:
            self.change_run(takeovers=0)

    def wake(self) -> None:
        """Make a run that nobody holds due now; one that is held has its holder's attention."""
        if self.run.owner is None:
            self.change_run(wake_at=self.now)

    def decision(self, *, is_stored: bool = True) -> Decided:
        """What was drafted."""
        return Decided(Flow(self.run, self.steps, self.signals), tuple(self._notes), is_stored)
