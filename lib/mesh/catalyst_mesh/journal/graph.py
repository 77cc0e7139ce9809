"""What an author writes: steps, and the kind of run that they belong to. Functions and policies come from here at each
start of a daemon; the shape of a run that has begun comes from the store."""

import heapq
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, TypeAlias

from .context import Context
from .observers import OnSettled, OnTransition
from .states import StepState, StepView
from .views import Difference

Action: TypeAlias = Callable[[Context], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a step rests between two tries: exponential with full jitter."""

    first: timedelta = timedelta(seconds=1)
    most: timedelta = timedelta(seconds=60)
    unknown_tries: int = 3
    """Tries, the first included, of a step that raises what is none of the four failures."""

    def delay(self, tries: int, rng: Random) -> timedelta:
        """The rest after `tries` failures, drawn from `rng`."""
        ceiling: timedelta = min(self.most, self.first * 2 ** min(tries - 1, 20))
        return ceiling * rng.random()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run; `name` is its identity over restarts and new versions of the code.

    run        does it; what it returns is the step's output, a JSON value
    check      tells by looking at the world whether it is done: evidence, which becomes the output, or None. It is asked
               before each repetition. A step without one is run again after a crash, so it must be idempotent
    undo       removes what `run` may have made, wholly or in part; must be idempotent
    timeout    from the first start to the end, tries and waiting included; None: no limit
    retries    how often it is tried again after a Temporary failure
    optional   its failure degrades the result and does not fail the run
    skippable  a person may skip it
    compensate_on_cancel  is undone even by a cancel that leaves the rest standing
    """

    name: str
    run: Action
    check: Action | None = None
    undo: Action | None = None
    needs: tuple[str, ...] = ()
    timeout: timedelta | None = None
    retries: int = 9
    backoff: Backoff = field(default_factory=Backoff)
    optional: bool = False
    skippable: bool = False
    phase: str = ""
    cluster: str = ""
    component: str = ""
    compensate_on_cancel: bool = False

    def stored(self, position: int) -> StepView:
        """How it stands in a run that has not begun."""
        return StepView(
            name=self.name,
            position=position,
            needs=tuple(self.needs),
            state=StepState.PENDING,
            optional=self.optional,
            skippable=self.skippable,
            checkable=self.check is not None,
            undoable=self.undo is not None,
            compensate_on_cancel=self.compensate_on_cancel,
            phase=self.phase,
            cluster=self.cluster,
            component=self.component,
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of one kind a replica does at a time."""

    runs: int = 128
    steps: int = 64
    steps_per_run: int = 16


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of run.

    graph       makes the steps from a run's input. It is called again whenever a replica takes the run up, so it depends
                on nothing but the input and on what the daemon bound to it
    transition  called for each event, inside the transaction that makes it true, with the run as it will be
    settled     called once when a run ends, inside the same transaction as its last event
    takeovers   how often dead replicas are forgiven without any progress before the run is `stuck`

    Both calls may only write through the connection that they are given, and may run again when the transaction does.
    """

    name: str
    graph: Callable[[Mapping[str, Any]], Iterable[Step]]
    transition: OnTransition | None = None
    settled: OnSettled | None = None
    limits: Limits = Limits()
    takeovers: int = 5


class GraphFault(ValueError):
    """A graph that cannot be: a bug of the function that made it."""


def ordered(steps: Iterable[Step]) -> dict[str, Step]:
    """The steps by name, each after what it needs, otherwise in the order given. Raises GraphFault."""
    given = list(steps)
    place = {step.name: i for i, step in enumerate(given)}
    if len(place) < len(given):
        raise GraphFault(f"two steps are called {_first_double(given)}")
    if unknown := {need for step in given for need in step.needs} - place.keys():
        raise GraphFault(f"needed but not there: {', '.join(sorted(unknown))}")
    wanting: list[int] = []  # how many of its needs are not found yet, by place
    needed_by: dict[str, list[int]] = {}
    for at, step in enumerate(given):
        needs = dict.fromkeys(step.needs)  # one that is named twice counts once
        wanting.append(len(needs))
        for need in needs:
            needed_by.setdefault(need, []).append(at)
    found: dict[str, Step] = {}
    free = [at for at, count in enumerate(wanting) if not count]  # in order, so a heap already
    while free:
        step = given[heapq.heappop(free)]
        found[step.name] = step
        for at in needed_by.get(step.name, ()):
            wanting[at] -= 1
            if not wanting[at]:
                heapq.heappush(free, at)
    if len(found) < len(given):
        raise GraphFault(f"in a circle of needs: {', '.join(sorted(place.keys() - found.keys()))}")
    return found


def difference(stored: Mapping[str, StepView], code: Mapping[str, Step]) -> Difference:
    """Compare a stored graph with today's code."""
    unfinished = {n for n, s in stored.items() if s.state in _UNFINISHED}
    return Difference(
        missing=tuple(n for n in stored if n in unfinished and n not in code),
        added=tuple(n for n in code if n not in stored),
        rewired=tuple(n for n in stored if n in code and set(stored[n].needs) != set(code[n].needs)),
    )


_UNFINISHED = {StepState.PENDING, StepState.READY, StepState.RUNNING, StepState.WAITING, StepState.IN_DOUBT}


def _first_double(steps: list[Step]) -> str:
    seen: set[str] = set()
    for step in steps:
        if step.name in seen:
            return step.name
        seen.add(step.name)
    return ""
