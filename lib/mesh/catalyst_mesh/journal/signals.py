"""What a step takes of what was told to its run. Pure: `(flow, …, now) -> Decided`."""

from datetime import datetime

from .draft import Decided, Draft
from .states import Flow, Signal


def take(flow: Flow, now: datetime, *, step: str, name: str) -> Decided:
    """Give the oldest free signal called `name` to `step`, unless it has one; see `taken_by`."""
    draft = Draft(flow, now)
    free = next((s for s in flow.signals if s.name == name and not s.taken_by), None)
    if taken_by(flow, step=step, name=name) is None and free is not None:
        taken = Signal(free.seq, free.name, free.payload, free.sent_by, free.sent_at, taken_by=step)
        draft.signals = tuple(taken if s is free else s for s in flow.signals)
    return draft.decision()


def taken_by(flow: Flow, *, step: str, name: str) -> Signal | None:
    """The signal called `name` that `step` has taken."""
    return next((s for s in flow.signals if s.name == name and s.taken_by == step), None)
