"""What became of a slot: its last runs, its last drill."""

from collections.abc import Sequence

from catalyst.continuum.v1 import resources_pb2
from catalyst_mesh import span, stamp

from ..domain import drills
from ..domain.runs import Kind, Run, RunState
from ..domain.slots import Slot
from .run_views import move, progress

HISTORY = 20
"""Moves that are shown."""


def fill(status: resources_pb2.ContinuumStatus, slot: Slot, recent: Sequence[Run]) -> None:
    """Say in `status` what the last runs, the newest first, and the last drill came to."""
    under_way = next((run for run in recent if not run.state.is_over), None)
    if under_way is not None:
        status.run.CopyFrom(progress(under_way))
    moved = [run for run in recent if run.state.is_over and run.kind is not Kind.DRILL]
    status.history.extend(move(run) for run in moved[:HISTORY])
    # What was taken back before the epoch moved was no move.
    last = next((run for run in moved if run.state is not RunState.ABORTED), None)
    if last is not None:
        status.last_switchover.CopyFrom(move(last))
    drill = drills.last(slot)
    if drill is not None:
        status.last_drill.CopyFrom(
            resources_pb2.DrillRecord(
                kind=resources_pb2.DrillSpec.Kind.Value(f"KIND_{drill.kind.name}"), end_time=stamp(drill.ended_at),
                passed=drill.passed, rto=span(drill.seconds), message=drill.why,
            )
        )  # fmt: skip
