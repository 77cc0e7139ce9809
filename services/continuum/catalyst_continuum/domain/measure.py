"""What a move cost its clients, from canaries that somebody outside wrote by the public name.

Invariants
  I18 UnknownIsNotZero  what was not seen is None: no estimate stands under a name that says it was observed;
  counted by one clock  all moments are the prober's own, in seconds since its machine started.

A canary is acknowledged in an epoch: those of an older epoch than the move's were taken by the old primary.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Canary:
    """One row, and what became of it.

    sent      when it went out
    acked     when its answer came; None: none came, or a no; the row may be there all the same
    epoch     in which it was taken
    region    that took it
    """

    n: int
    sent: float
    acked: float | None = None
    epoch: int = 0
    region: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was observed of one move; None: it was not.

    rto         from the last acknowledged write before to the first after
    disruption  the same for a planned move, from its fence, without the time that was given to drain
    rows        acknowledged canaries that the new primary does not have
    rpo         from the first of them to the last acknowledged one; 0 where none is missing
    """

    rto: float | None = None
    disruption: float | None = None
    rows: int | None = None
    rpo: float | None = None

    def figures(self) -> Mapping[str, float]:
        """Those that are known, by name."""
        known = {"rto": self.rto, "write_disruption": self.disruption, "rpo_rows": self.rows, "rpo": self.rpo}
        return {name: float(value) for name, value in known.items() if value is not None}


def measured(
    canaries: Iterable[Canary],
    epoch: int,
    *,
    present: Collection[int] | None = None,
    fenced_at: float | None = None,
    drain: tuple[float, float] | None = None,
) -> Measured:
    """What a move into `epoch` cost.

    present    numbers of the rows that the new primary has; None: it was not asked, or did not say
    fenced_at  when a planned move fenced its source; None: it was none
    drain      from when to when the source turned writes away on purpose
    """
    before, after = _apart(canaries, epoch)
    rows, rpo = _lost(before, present)
    return Measured(rto(before, after), _disruption(before, after, fenced_at, drain), rows, rpo)


def rto(before: Sequence[Canary], after: Sequence[Canary]) -> float | None:
    """Seconds from the last acknowledgement before to the first after; None where either is missing."""
    if not before or not after:
        return None
    return max(0.0, min(map(_acked, after)) - max(map(_acked, before)))


def _apart(canaries: Iterable[Canary], epoch: int) -> tuple[Sequence[Canary], Sequence[Canary]]:
    """Those acknowledged in the epoch before, and in this one; later ones are another move's."""
    known = [one for one in canaries if one.acked is not None]
    old = max((one.epoch for one in known if one.epoch < epoch), default=None)
    return [one for one in known if one.epoch == old], [one for one in known if one.epoch == epoch]


def _lost(before: Sequence[Canary], present: Collection[int] | None) -> tuple[int | None, float | None]:
    if present is None:
        return None, None
    missing = [one for one in before if one.n not in present]
    if not missing:
        return 0, 0.0
    return len(missing), max(map(_acked, before)) - min(map(_acked, missing))


def _disruption(
    before: Sequence[Canary],
    after: Sequence[Canary],
    fenced_at: float | None,
    drain: tuple[float, float] | None,
) -> float | None:
    taken = [one for one in before if fenced_at is None or _acked(one) <= fenced_at]
    if fenced_at is None or not taken or not after:
        return None
    begin, end = max(map(_acked, taken)), min(map(_acked, after))
    given = max(0.0, min(end, drain[1]) - max(begin, drain[0])) if drain else 0.0
    return max(0.0, end - begin - given)


def _acked(canary: Canary) -> float:
    assert canary.acked is not None
    return canary.acked
