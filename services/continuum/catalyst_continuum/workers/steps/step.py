"""What a step is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf

from .scene import Scene


@dataclass(frozen=True, slots=True)
class Step:
    """One phase of a run. Whoever goes on with a run asks `done` first, so that no step needs a memory of its own.

    act         idempotent, tagged with run and epoch
    compensate  takes the effect back while the epoch has not moved
    budget      seconds of one attempt
    attempts    after so many the step fails; for ever where there is no way back
    gives_up    a step that fails is noted and left behind; what it was to do is done again by whoever reconciles
    names       whether the register is to name it; an offer names itself, and waits for no other change
    in_haste    nobody writes meanwhile: its effect does not wait until the register names it
    """

    name: str
    done: Callable[[Scene], Awaitable[bool]]
    act: Callable[[Scene], Awaitable[None]]
    budget: Callable[[Scene], float]
    compensate: Callable[[Scene], Awaitable[None]] | None = None
    attempts: float = inf
    gives_up: bool = False
    names: bool = True
    in_haste: bool = False


async def nothing(scene: Scene) -> None:
    """What a step does that only waits."""
