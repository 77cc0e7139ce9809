"""One run as several regions tell it: who asked for it is known where it was begun, and each step by whoever executes it.

A planned move is given away half-way: the region that gave it knows no more than how it ended.
"""

from collections.abc import Iterable, Sequence

from catalyst.continuum.v1.resources_pb2 import Run, RunStep


def together(tellings: Iterable[Run]) -> list[Run]:
    """Runs of all regions, each once."""
    known: dict[str, list[Run]] = {}
    for run in tellings:
        known.setdefault(run.name, []).append(run)
    return [one(of_it) for of_it in known.values()]


def one(tellings: Sequence[Run]) -> Run:
    """One run, of one telling or several: its steps as whoever got furthest with them tells it, all else by who knows most."""
    told = Run()
    told.CopyFrom(max(tellings, key=_knowledge))
    if len(tellings) == 1:
        return told
    del told.steps[:]
    told.steps.extend(max(of_it, key=_reached) for of_it in zip(*(run.steps for run in tellings), strict=False))
    told.progress.CopyFrom(max(tellings, key=_front).progress)
    told.epoch = max(run.epoch for run in tellings)
    told.past_no_return = any(run.past_no_return for run in tellings)
    for run in tellings:
        if run.HasField("measured"):
            told.measured.MergeFrom(run.measured)
    return told


def is_half(run: Run) -> bool:
    """Whether another region was or is at work on it, and knows what this telling leaves open."""
    is_shared = len({step.executor for step in run.steps}) > 1
    return is_shared and (not _knows_who(run) or any(step.state == RunStep.STATE_PENDING for step in run.steps))


def _knows_who(run: Run) -> bool:
    # An agent that met a run in the record does not know who asked for it.
    return run.initiated_by != "agent"


def _knowledge(run: Run) -> tuple[bool, int]:
    return _knows_who(run), run.version


def _reached(step: RunStep) -> tuple[int, bool]:
    # Who takes a run over counts what came before as done, and does not know when it was.
    rank = {RunStep.STATE_PENDING: 0, RunStep.STATE_RUNNING: 1}.get(step.state, 2)
    return rank, step.HasField("start_time")


def _front(run: Run) -> int:
    return sum(step.state != RunStep.STATE_PENDING for step in run.steps)
