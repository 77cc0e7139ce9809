"""What a drill found: its phases, its figures, and whether they are as promised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catalyst_sdk.traces import Breach, Event, Line

from .figures import Gap, Kept

PHASES = ("detect", "claim", "fence", "promote", "verify", "dns", "converge")


@dataclass(frozen=True, slots=True)
class Report:
    """One drill.

    gap       None: no write was acknowledged after the fault
    kept      None: nobody could be asked what is there
    promised  the most seconds from the fault to the first write
    """

    kind: str
    slot: str
    promised: float
    gap: Gap | None
    kept: Kept | None
    phases: Mapping[str, float | None]
    overlaps: int
    breaches: Sequence[Breach] = ()
    moved: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Addresses by authority, after the move."""
    back_as_standby: float | None = None
    """Seconds from the return of the region that was killed until it followed."""

    def faults(self) -> list[str]:
        """What is not as promised; empty where all is."""
        found: list[str] = []
        if self.kept is not None and self.kept.lost:
            found.append(f"{len(self.kept.lost)} acknowledged writes are lost")
        if self.kept is not None and self.kept.unexpected:
            found.append(f"{len(self.kept.unexpected)} rows are there that nobody wrote")
        found += [f"two regions could write {self.overlaps} times"] if self.overlaps else []
        found += [f"{breach.invariant} at {breach.boottime:.3f}: {breach.what}" for breach in self.breaches]
        if self.gap is None:
            return [*found, "no write was acknowledged after the fault"]
        if self.gap.rto > self.promised:
            found.append(f"{self.gap.rto:.1f} s until the first write; {self.promised:.1f} s were promised")
        if len({tuple(addresses) for addresses in self.moved.values()}) > 1:
            found.append(f"the authorities do not agree: {dict(self.moved)}")
        return found

    def summary(self) -> dict[str, Any]:
        """The object that is printed."""
        gap = self.gap
        return {
            "kind": self.kind,
            "slot": self.slot,
            "rto_seconds": round(gap.rto, 2) if gap else None,
            "write_disruption_seconds": round(gap.disruption, 2) if gap else None,
            "acked": self.kept.acked if self.kept else None,
            "lost": len(self.kept.lost) if self.kept else None,
            "recovered": len(self.kept.recovered) if self.kept else None,
            "overlaps": self.overlaps,
            "epoch": gap.epoch if gap else None,
            "region": gap.region if gap else None,
            "rto_promised_seconds": round(self.promised, 1),
            "phases": {name: None if took is None else round(took, 2) for name, took in self.phases.items()},
            "authorities": {name: list(addresses) for name, addresses in self.moved.items()},
            "back_as_standby_seconds": None if self.back_as_standby is None else round(self.back_as_standby, 1),
            "faults": self.faults(),
        }


def is_protected(lines: Sequence[Line], epoch: int) -> bool:
    """Whether the holder of `epoch` has come as far as a standby that has every write, and is named in the register."""
    return any(line.event == "step" and line.epoch == epoch and line.effect.startswith("Complete") for line in lines)


def phases(lines: Sequence[Line], *, epoch: int, fault: float, gap: Gap | None) -> dict[str, float | None]:
    """How long each part of a move to `epoch` took, from the trace; None where no line tells.

    detect    from the fault until the claim was begun: the holder's silence, waited out
    claim     until the register had the new epoch
    fence     of the side before, while the promotion ran already
    promote, verify, dns   until each was done
    converge  from then until the client's first write
    """
    ours = [line for line in lines if line.epoch == epoch]
    begun = _first(lines, Event.CLAIM, since=fault)
    granted = _first(ours, Event.AUTHORITY)
    return {
        "detect": _less(begun, fault),
        "claim": _less(granted, begun),
        "fence": _less(_first(lines, "remote-fence", since=fault), granted),
        "promote": _span(ours, "promote"),
        "verify": _span(ours, "canary"),
        "dns": _span(ours, "names"),
        "converge": _less(gap.first_after if gap else None, _first(ours, Event.DONE, "names")),
    }


def _first(lines: Sequence[Line], event: str, effect: str = "", since: float = 0.0) -> float | None:
    times = (x.boottime for x in lines if x.event == event and effect in ("", x.effect) and x.boottime >= since)
    return next(times, None)


def _span(lines: Sequence[Line], effect: str) -> float | None:
    return _less(_first(lines, Event.DONE, effect), _first(lines, Event.BEGUN, effect))


def _less(end: float | None, begin: float | None) -> float | None:
    return None if end is None or begin is None else max(0.0, end - begin)
