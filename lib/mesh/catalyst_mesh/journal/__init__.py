"""Durable runs: a stored graph of steps with run, check and undo, one fenced transaction per transition.

A kind's function makes steps from a run's input; the engine stores them, carries them, and survives the death of any
replica. How a run lives is told in `docs/explanation/journal.md`.
"""

from .context import Context
from .engine import Engine, new_id
from .failures import StepBlocked, StepFailed, Wait
from .graph import Backoff, GraphFault, Kind, Limits, Step
from .reading import RunPage
from .refusals import (
    BadPosition,
    KeyReused,
    KindUnknown,
    RunInProgress,
    RunNotFound,
    StepNotFound,
    StepNotSkippable,
    WrongRunState,
    WrongStepState,
)
from .states import CancelMode, RunState, StepState, StepView
from .tables import journal_tables
from .views import Difference, EventView, GraphView, LogLine, Progress, RunView

__all__ = [
    "Backoff",
    "BadPosition",
    "CancelMode",
    "Context",
    "Difference",
    "Engine",
    "EventView",
    "GraphFault",
    "GraphView",
    "KeyReused",
    "Kind",
    "KindUnknown",
    "Limits",
    "LogLine",
    "Progress",
    "RunInProgress",
    "RunNotFound",
    "RunPage",
    "RunState",
    "RunView",
    "Step",
    "StepBlocked",
    "StepFailed",
    "StepNotFound",
    "StepNotSkippable",
    "StepState",
    "StepView",
    "Wait",
    "WrongRunState",
    "WrongStepState",
    "journal_tables",
    "new_id",
]
