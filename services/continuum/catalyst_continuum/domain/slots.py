"""Slots: what is leased. A Sovereign has one, from its activation until its end.

Invariants
  one slot    a Sovereign has at most one live slot, whatever is delivered twice or late;
  no gap      `version` grows by exactly one with each fact that is told, and with nothing else;
  last word   a slot that is asked to go is given back in the register before it is forgotten.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from catalyst_sdk import Decision

NAMESPACE = "catalyst-system"
"""Namespace of the Sovereigns' own slots."""


class Phase(StrEnum):
    """How far the slot is."""

    PENDING = "pending"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True)
class Slot:
    """One leased thing, and what this region last knew of its lease."""

    namespace: str
    name: str
    region: str
    """The region that is to hold it."""
    phase: Phase
    since: datetime
    created_at: datetime
    epoch: int = 0
    holder: str = ""
    message: str = ""
    version: int = 1
    gone: bool = False
    seq: int = 0
    """Number of the last renewal in the register."""
    held_until: datetime | None = None
    """Until when the last renewal gives authority."""

    @property
    def key(self) -> str:
        """Name in the register."""
        return f"{self.namespace}/{self.name}"

    @property
    def resource(self) -> str:
        """Resource name."""
        return f"namespaces/{self.namespace}/continuums/{self.name}"

    def remaining(self, now: datetime) -> float:
        """Seconds of authority left; 0 where there is none."""
        return max(0.0, (self.held_until - now).total_seconds()) if self.held_until and self.holder else 0.0


@dataclass(frozen=True, slots=True)
class Created:
    slot: Slot


@dataclass(frozen=True, slots=True)
class Updated:
    slot: Slot


@dataclass(frozen=True, slots=True)
class Recovered:
    slot: Slot


@dataclass(frozen=True, slots=True)
class Acquired:
    slot: Slot
    seq: int


@dataclass(frozen=True, slots=True)
class EpochMoved:
    slot: Slot
    seq: int
    before: int


@dataclass(frozen=True, slots=True)
class Lost:
    slot: Slot
    before: str
    why: str


@dataclass(frozen=True, slots=True)
class WitnessDegraded:
    slot: Slot
    why: str


def want(held: Slot | None, name: str, region: str, now: datetime) -> Decision[Slot | None]:
    """A Sovereign is active: it has a slot. A second telling changes nothing."""
    if held is not None and not held.gone and held.phase is not Phase.LEAVING:
        return Decision(None)
    version = held.version + 1 if held else 1
    # The epoch of a life before is remembered: cells that do not know it any more are no new ones.
    epoch = held.epoch if held else 0
    slot = Slot(NAMESPACE, name, region, Phase.PENDING, now, now, epoch=epoch, version=version)
    return Decision(slot, (Created(slot),))


def leave(held: Slot | None, now: datetime) -> Decision[Slot | None]:
    """The Sovereign is destroyed: give its slot back."""
    if held is None or held.gone or held.phase is Phase.LEAVING:
        return Decision(None)
    after = replace(held, phase=Phase.LEAVING, since=now, version=held.version + 1)
    return Decision(after, (Updated(after),))


def hold(slot: Slot, epoch: int, seq: int, now: datetime) -> Decision[Slot | None]:
    """The register says that our region holds the slot in `epoch`."""
    if slot.phase is Phase.HEALTHY and slot.epoch == epoch and slot.holder == slot.region:
        return Decision(None)
    after = replace(
        slot, phase=Phase.HEALTHY, since=now, epoch=epoch, holder=slot.region, message="", version=slot.version + 1
    )
    facts: list[object] = []
    if epoch != slot.epoch:
        facts.append(EpochMoved(after, seq, slot.epoch))
        # Two facts of one change: the second has a version of its own, so that no reader skips it.
        after = replace(after, version=after.version + 1)
    changed = epoch != slot.epoch or slot.holder != slot.region
    facts.append(Acquired(after, seq) if changed else Recovered(after))
    return Decision(after, tuple(facts))


def falter(slot: Slot, why: str, now: datetime) -> Decision[Slot | None]:
    """The register could not be asked, or refused: said once, until it changes."""
    if slot.phase is Phase.DEGRADED and slot.message == why:
        return Decision(None)
    after = replace(slot, phase=Phase.DEGRADED, since=now, message=why, version=slot.version + 1)
    return Decision(after, (WitnessDegraded(after, why),))


def forget(slot: Slot, now: datetime) -> Decision[Slot | None]:
    """The slot was given back in the register; its row stays as history."""
    after = replace(slot, gone=True, holder="", since=now, version=slot.version + 1)
    return Decision(after, (Lost(after, slot.region, "the Sovereign was destroyed"),))
