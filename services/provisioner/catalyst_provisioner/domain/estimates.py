"""How long steps take, from what they took before; and when a run will have ended."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median


@dataclass(frozen=True, slots=True)
class Timed:
    """A step of a run that is under way, as far as time is concerned."""

    name: str
    key: str
    needs: tuple[str, ...]
    is_over: bool
    started_at: datetime | None
    waits_for_person: bool = False


def key_of(name: str, cluster: str) -> str:
    """Under which a step is remembered: what is done, not in which cluster."""
    return name.replace(f".{cluster}", "", 1) if cluster else name


def usual(rows: Iterable[tuple[str, timedelta]]) -> Mapping[str, timedelta]:
    """The median by key."""
    taken: dict[str, list[float]] = {}
    for key, length in rows:
        taken.setdefault(key, []).append(length.total_seconds())
    return {key: timedelta(seconds=median(found)) for key, found in taken.items()}


def end(steps: Sequence[Timed], lengths: Mapping[str, timedelta], now: datetime) -> datetime | None:
    """When the last step will be over, each after its needs; `steps` stand in an order of their needs.

    None where something is not known: a step that never ran before, or a person who has to speak.
    """
    over: dict[str, datetime] = {}
    for step in steps:
        if step.is_over:
            over[step.name] = now
            continue
        if step.waits_for_person or step.key not in lengths:
            return None
        begins = step.started_at or max((over[need] for need in step.needs), default=now)
        over[step.name] = max(now, begins + lengths[step.key])
    return max(over.values(), default=None)
