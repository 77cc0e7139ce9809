"""What agents wrote down of their authority and their effects, merged and judged by the names of the invariants.

An agent appends one JSON line for each change of its authority, each claim, each effect and each refusal, to the file that
`CATALYST_CONTINUUM_TRACE` names. All times are those of the machine's own clock since its start (CLOCK_BOOTTIME), also
where a test lets an agent believe another one: the lines of several regions on one machine can be put in one order.

Judged here
  I1  OneAuthority        at no time two regions may act for one slot;
  I2  EpochUnique         an epoch has one region, and the epochs that give authority only grow;
  I3  EffectMonotone      after an effect of an epoch none of the same kind is carried out in a lower one;
  I4  GrantBeforePromote  a region promotes only in an epoch that the register has given to it;
  I5  FenceBeforeGive     a slot is offered to another region only after its writers were shown to be stopped;
  I17 DeadlineRespected   nothing that writers depend on is begun after the authority has ended.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import combinations
from typing import Self


class Event(StrEnum):
    """What a line tells, as far as it is judged; agents write more, for people."""

    CLAIM = "claim"
    """The region begins to ask the register for the slot; `effect` names the operation."""
    AUTHORITY = "authority"
    """A grant or a renewal was committed, or prolonged by all peers: the region may act in `epoch` until `deadline`."""
    ENDED = "ended"
    """The region gave its authority up before the deadline."""
    BEGUN = "begun"
    DONE = "done"
    REFUSED = "refused"
    """An effect was not begun, as the authority was over."""
    FENCED = "fenced"
    """The writers of `epoch` were shown to be stopped."""
    OFFERED = "offered"
    """The register is asked to give the slot away, or to free it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line; what it does not say is None or empty."""

    boottime: float
    region: str
    slot: str
    event: str
    epoch: int
    seq: int | None = None
    deadline: float | None = None
    effect: str = ""

    def to_json(self) -> str:
        """The line without its end."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a line. Raises ValueError."""
        try:
            return cls(**json.loads(text))
        except TypeError as error:
            raise ValueError(f"no line of a trace: {text[:80]!r}") from error


@dataclass(frozen=True, slots=True)
class Breach:
    """An invariant that does not hold, and where."""

    invariant: str
    slot: str
    boottime: float
    what: str


@dataclass(frozen=True, slots=True)
class Reign:
    """A time during which one region could act in one epoch."""

    region: str
    epoch: int
    since: float
    until: float


def merged(texts: Iterable[str]) -> list[Line]:
    """The lines of several files in the order in which they happened. A last line that was cut off by a death is left out."""
    lines: list[Line] = []
    for text in texts:
        *whole, last = text.split("\n")
        lines += [Line.from_json(one) for one in whole if one]
        if last:
            try:
                lines.append(Line.from_json(last))
            except ValueError:
                continue
    return sorted(lines, key=lambda line: line.boottime)


def reigns(lines: Sequence[Line]) -> list[Reign]:
    """All times of authority of one slot; those that a renewal prolonged are one."""
    found: list[Reign] = []
    open_: dict[str, Reign] = {}
    for line in lines:
        known = open_.get(line.region)
        if line.event == Event.AUTHORITY and line.deadline is not None:
            if known and known.epoch == line.epoch and line.boottime <= known.until:
                since = known.since
            else:
                found += [known] if known else []
                since = line.boottime
            open_[line.region] = Reign(line.region, line.epoch, since, line.deadline)
        elif line.event == Event.ENDED and known and known.epoch == line.epoch:
            del open_[line.region]
            found.append(Reign(known.region, known.epoch, known.since, min(known.until, line.boottime)))
    return sorted([*found, *open_.values()], key=lambda reign: reign.since)


def overlaps(lines: Sequence[Line]) -> list[tuple[Reign, Reign]]:
    """Pairs of regions that could both act for one slot at one time."""
    pairs = combinations(reigns(lines), 2)
    return [(a, b) for a, b in pairs if a.region != b.region and a.since < b.until and b.since < a.until]


def check(lines: Sequence[Line], names: Iterable[str] = ()) -> list[Breach]:
    """Judge merged lines by these invariants; by all where none is named. Raises ValueError for one that is not judged here."""
    wanted = list(names) or list(JUDGES)
    if unknown := [name for name in wanted if name not in JUDGES]:
        raise ValueError(f"not judged from traces: {', '.join(unknown)}; only {', '.join(JUDGES)}")
    slots = sorted({line.slot for line in lines})
    return [
        Breach(name, slot, at, what)
        for slot in slots
        for name in wanted
        for at, what in JUDGES[name]([line for line in lines if line.slot == slot])
    ]


Found = Iterator[tuple[float, str]]
_LEANED_ON = frozenset({"promote", "names", "sync", "ttl"})
"""Effects that writers or their clients depend on; with them goes the lifting of a fence, `unfence-<level>`."""


def _needs_authority(effect: str) -> bool:
    return effect in _LEANED_ON or effect.startswith("unfence")


def _one_authority(lines: Sequence[Line]) -> Found:
    for a, b in overlaps(lines):
        both = min(a.until, b.until) - max(a.since, b.since)
        yield (
            max(a.since, b.since),
            f"{a.region} in epoch {a.epoch} and {b.region} in epoch {b.epoch} could both act for {both:.3f} s",
        )


def _epoch_unique(lines: Sequence[Line]) -> Found:
    holders: dict[int, str] = {}
    highest = 0
    for line in lines:
        if line.event != Event.AUTHORITY:
            continue
        if line.epoch < highest:
            yield line.boottime, f"{line.region} was given epoch {line.epoch} after {highest}"
        highest = max(highest, line.epoch)
        if holders.setdefault(line.epoch, line.region) != line.region:
            yield line.boottime, f"epoch {line.epoch} belongs to {holders[line.epoch]} and to {line.region}"


def _effect_monotone(lines: Sequence[Line]) -> Found:
    highest: dict[str, int] = {}
    for line in lines:
        if line.event != Event.DONE or line.effect not in _LEANED_ON:
            continue
        if line.epoch < highest.get(line.effect, 0):
            yield line.boottime, f"{line.effect} in epoch {line.epoch} after epoch {highest[line.effect]}"
        highest[line.effect] = max(line.epoch, highest.get(line.effect, 0))


def _grant_before_promote(lines: Sequence[Line]) -> Found:
    granted: set[tuple[str, int]] = set()
    for line in lines:
        if line.event == Event.AUTHORITY:
            granted.add((line.region, line.epoch))
        if line.event == Event.BEGUN and line.effect == "promote" and (line.region, line.epoch) not in granted:
            yield line.boottime, f"{line.region} promoted in epoch {line.epoch}, which it was never given"


def _fence_before_give(lines: Sequence[Line]) -> Found:
    shown: set[tuple[str, int]] = set()
    for line in lines:
        if line.event == Event.FENCED:
            shown.add((line.region, line.epoch))
        elif line.event == Event.BEGUN and (line.effect.startswith("unfence") or line.effect == "promote"):
            shown.discard((line.region, line.epoch))
        elif line.event == Event.OFFERED and (line.region, line.epoch) not in shown:
            yield line.boottime, f"{line.region} offered epoch {line.epoch} without a fence"


def _deadline_respected(lines: Sequence[Line]) -> Found:
    until: dict[tuple[str, int], float] = {}
    for line in lines:
        if line.event == Event.AUTHORITY and line.deadline is not None:
            until[line.region, line.epoch] = line.deadline
        elif line.event == Event.ENDED:
            until.pop((line.region, line.epoch), None)
        elif line.event == Event.BEGUN and _needs_authority(line.effect):
            end = until.get((line.region, line.epoch))
            if end is None or line.boottime >= end:
                late = "without authority" if end is None else f"{line.boottime - end:.3f} s after its authority"
                yield line.boottime, f"{line.region} began {line.effect} in epoch {line.epoch} {late}"


JUDGES: Mapping[str, Callable[[Sequence[Line]], Found]] = {
    "I1": _one_authority,
    "I2": _epoch_unique,
    "I3": _effect_monotone,
    "I4": _grant_before_promote,
    "I5": _fence_before_give,
    "I17": _deadline_respected,
}
