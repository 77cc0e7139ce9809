"""Slots: what is leased. A Sovereign has one, from its activation until its end; people make others, by a wish.

Invariants
  one slot    a name has at most one live slot, whatever is delivered twice or late;
  no gap      `version` grows by exactly one with each fact that is told, and with nothing else;
  last word   a Sovereign's slot that is asked to go is given back in the register before it is forgotten;
  held still  cells and regions of a wish change only while the register is frozen, and the holder's region stays.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from catalyst_sdk import Code, Decision, Refused, Violation

from . import audit, cells, facts
from .audit import Record
from .facts import Fact
from .parsing import lease_client
from .record import Lease
from .record import State as Written
from .spec import LeaseClient, Spec, SpecInvalid

NAMESPACE = "catalyst-system"
"""Namespace of the Sovereigns' own slots."""


class Phase(StrEnum):
    """How far the slot is."""

    PENDING = "pending"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    LEAVING = "leaving"


class Errand(StrEnum):
    """What is still to be done in the register."""

    NONE = ""
    FREEZE = "freeze"
    THAW = "thaw"


@dataclass(frozen=True, slots=True)
class Slot:
    """One leased thing, and what this region last knew of its lease."""

    namespace: str
    name: str
    region: str
    """The region that is to hold it; for a wish with standbys, the preferred one."""
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
    uid: str = ""
    document: str = ""
    """The wish, as JSON of a manifest's `spec`; empty for a Sovereign's own slot that nobody wished otherwise."""
    application: str = ""
    teller: str = ""
    """Region whose daemon tells of it; empty: the one that is to hold it."""
    has_standby: bool = False
    generation: int = 1
    observed_generation: int = 0
    suspended: bool = False
    """Whether the register is wished to be frozen."""
    frozen: bool = False
    """Whether it was when last seen."""
    errand: Errand = Errand.NONE
    acknowledged_at: datetime | None = None
    """When a person last said that the failovers were seen."""
    chain: str = ""
    """Hash of the last record that was told."""
    drill: str = ""
    """The last drill, as `drills` writes it."""
    drilled_at: datetime | None = None
    """When a drill last passed."""
    left_cells: str = ""
    """The `leaseClient` of the wish before, as JSON, while the record is still to move away from its cells."""

    @property
    def key(self) -> str:
        """Name in the register."""
        return f"{self.namespace}/{self.name}"

    @property
    def resource(self) -> str:
        """Resource name."""
        return f"namespaces/{self.namespace}/continuums/{self.name}"

    @property
    def etag(self) -> str:
        """Quoted tag of this state."""
        return f'"{self.version}"'

    @property
    def is_still(self) -> bool:
        """Whether nothing moves in the register: it is frozen and stays so, or was never written."""
        return self.suspended and ((self.frozen and self.errand is Errand.NONE) or self.epoch == 0)

    def remaining(self, now: datetime) -> float:
        """Seconds of authority left; 0 where there is none."""
        return max(0.0, (self.held_until - now).total_seconds()) if self.held_until and self.holder else 0.0


class ContinuumNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "CONTINUUM_NOT_FOUND", "there is no {name}"


class ContinuumExists(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "CONTINUUM_EXISTS", "{name} is there already"


class EtagMismatch(Refused):
    code, reason, message = Code.ABORTED, "ETAG_MISMATCH", "{name} has changed since it was read"


class NotSuspended(Refused):
    code, reason = Code.FAILED_PRECONDITION, "NOT_SUSPENDED"
    message = "{name} is not suspended, and {what} only while the register is frozen"


class HolderRemoved(Refused):
    code, reason = Code.FAILED_PRECONDITION, "HOLDER_REMOVED"
    message = "{region} holds {name}, and cannot go; move the primary away first"


class RunUnderWay(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "RUN_UNDER_WAY", "{name} is being moved, as {region} tells"


class EpochMoved(Refused):
    code, reason, message = Code.ABORTED, "EPOCH_MOVED", "{name} is in epoch {epoch}, and {seen} was seen"


def told(after: Slot, now: datetime, *what: Fact) -> Decision[Slot]:
    """Tell facts of a slot, in order: each has a version of its own, so that no reader skips one, and follows in the chain.

    `after` has everything but version and chain.
    """
    sealed: list[Fact] = []
    for fact in what:
        record = Record(
            continuum=after.resource,
            version=after.version + 1,
            type=fact.legacy,
            region=after.teller or after.region,
            epoch=after.epoch,
            seq=after.seq,
            at=now,
            application=after.application,
            from_primary=fact.from_primary,
            to_primary=fact.to_primary or after.holder,
            lag=fact.lag,
            step=fact.step,
            reason=fact.reason,
            message=fact.message,
            initiated_by=fact.by,
            run=fact.run,
            evidence=fact.evidence,
            prev_hash=after.chain,
        )  # fmt: skip - in the order of the record
        record = replace(record, hash=audit.digest(record))
        sealed.append(replace(fact, record=record))
        after = replace(after, version=record.version, chain=record.hash)
    return Decision(after, tuple(sealed))


def lease_wish(document: str) -> Mapping[str, Any]:
    """The `leaseClient` of a wish; without one a slot lies in the daemon's own cells."""
    wish: Mapping[str, Any] = json.loads(document or "{}")
    kept: Mapping[str, Any] = wish.get("leaseClient", {"kind": "dns-quorum"})
    return kept


def lease_of(slot: Slot) -> LeaseClient:
    """The cells that have the record of a slot now: while it moves, those that it is to leave."""
    return lease_client(json.loads(slot.left_cells) if slot.left_cells else lease_wish(slot.document))


def settled(slot: Slot, now: datetime) -> Decision[Slot]:
    """The record is in the cells of the wish."""
    if not slot.left_cells:
        return Decision(slot)
    after = replace(slot, left_cells="", message="", observed_generation=slot.generation, since=now)
    moved = facts.ContinuumReconciled(generation=slot.generation, reason="the record is in other cells", by="continuum")
    return told(after, now, moved)


def stuck(slot: Slot, why: str, now: datetime) -> Decision[Slot]:
    """A move to other cells cannot go on by itself: said once, until something else is."""
    if not slot.left_cells or slot.message == why:
        return Decision(slot)
    after = replace(slot, message=why, since=now)
    return told(after, now, facts.WitnessDegraded(reason=why, by="continuum"))


def want(held: Slot | None, name: str, region: str, now: datetime) -> Decision[Slot | None]:
    """A Sovereign is active: it has a slot. A second telling changes nothing."""
    if held is not None and not held.gone and held.phase is not Phase.LEAVING:
        return Decision(None)
    return _widened(
        told(_born(held, NAMESPACE, name, region, now), now, facts.ContinuumCreated(primary=region, by="continuum"))
    )


def leave(held: Slot | None, now: datetime) -> Decision[Slot | None]:
    """The Sovereign is destroyed: give its slot back."""
    if held is None or held.gone or held.phase is Phase.LEAVING:
        return Decision(None)
    # What is frozen cannot be given back.
    after = replace(held, phase=Phase.LEAVING, since=now, suspended=False, errand=_errand(held, wished=False))
    return _widened(
        told(after, now, facts.ContinuumUpdated(generation=held.generation, reason="Leaving", by="continuum"))
    )


def create(
    held: Slot | None,
    namespace: str,
    name: str,
    *,
    document: str,
    spec: Spec,
    uid: str,
    teller: str,
    by: str,
    now: datetime,
) -> Decision[Slot]:
    """A wish makes a slot. Raises ContinuumExists."""
    if held is not None and not held.gone:
        raise ContinuumExists(name=held.resource)
    born = _born(held, namespace, name, spec.primary, now)
    born = replace(
        born, uid=uid, document=document, application=spec.application, teller=teller, has_standby=spec.has_standby,
        suspended=spec.suspend, errand=_errand(born, wished=spec.suspend),
    )  # fmt: skip
    return told(born, now, facts.ContinuumCreated(primary=spec.primary, standbys=spec.standbys, by=by))


def update(
    slot: Slot, before: Spec, spec: Spec, *, document: str, changed: tuple[str, ...], by: str, now: datetime
) -> Decision[Slot]:
    """Another wish. Raises SpecInvalid, NotSuspended, HolderRemoved."""
    if not changed:
        return Decision(slot)
    if before.application and before.application != spec.application:
        raise SpecInvalid(
            [Violation("spec.applicationRef.name", f"cannot change from {before.application}", "immutable")]
        )
    is_moving = before.lease != spec.lease or before.regions != spec.regions or before.standbys != spec.standbys
    if is_moving and not slot.is_still:
        raise NotSuspended(name=slot.resource, what="cells and regions change")
    if slot.holder and slot.holder not in spec.members:
        raise HolderRemoved(name=slot.resource, region=slot.holder)
    is_relocated = cells.configuration(before.lease) != cells.configuration(spec.lease)
    if is_relocated and slot.left_cells:
        raise RunUnderWay(name=slot.resource, region="its last change of cells")
    after = replace(
        slot, region=spec.primary, document=document, application=spec.application, has_standby=spec.has_standby,
        generation=slot.generation + 1, since=now,
    )  # fmt: skip
    if is_relocated:
        after = replace(after, left_cells=json.dumps(lease_wish(slot.document), sort_keys=True), message="")
    if spec.suspend != slot.suspended:
        after = replace(after, suspended=spec.suspend, errand=_errand(slot, wished=spec.suspend))
    return told(after, now, facts.ContinuumUpdated(generation=after.generation, changed=changed, by=by))


def delete(slot: Slot, *, by: str, now: datetime) -> Decision[Slot]:
    """The slot is no more; databases and traffic stay as they are, and the register stays frozen. Raises NotSuspended."""
    if not slot.is_still:
        raise NotSuspended(name=slot.resource, what="it is deleted")
    after = replace(slot, gone=True, holder="", since=now, errand=Errand.NONE)
    return told(after, now, facts.ContinuumDeleted(by=by, from_primary=slot.holder))


def suspend(slot: Slot, *, wished: bool, document: str, by: str, reason: str, now: datetime) -> Decision[Slot]:
    """The register is to be frozen, or thawed; said in the wish, done by whoever looks after it. The same again is fine.

    document   the wish with that said in it
    """
    if slot.suspended == wished and (slot.frozen == wished or slot.errand is not Errand.NONE):
        return Decision(slot)
    after = replace(
        slot, document=document, generation=slot.generation + 1, since=now, suspended=wished,
        errand=_errand(slot, wished=wished),
    )  # fmt: skip
    changed = facts.ContinuumUpdated(generation=after.generation, changed=("suspend",), by=by, reason=reason)
    return told(after, now, changed)


def acknowledge(slot: Slot, *, expected: int, by: str, comment: str, now: datetime) -> Decision[Slot]:
    """A person has seen the last failovers. `expected` 0: in whatever epoch. Raises EpochMoved."""
    if expected and expected != slot.epoch:
        raise EpochMoved(name=slot.resource, epoch=slot.epoch, seen=expected)
    after = replace(slot, acknowledged_at=now, since=now)
    return told(after, now, facts.FailoverAcknowledged(by=by, message=comment, generation=slot.generation))


def noticed(
    slot: Slot, lease: Lease | None, now: datetime, *, by: str = "agent", errand_done: bool = False
) -> Decision[Slot]:
    """What a majority of cells says of the slot is taken over; what is new in it is told.

    errand_done   whether this is the outcome of the slot's errand
    """
    after = replace(slot, errand=Errand.NONE) if errand_done else slot
    if lease is None or (lease.epoch, lease.seq) < (slot.epoch, slot.seq):
        return Decision(after)  # an older reading is no news
    frozen = lease.state is Written.FROZEN
    after = replace(after, epoch=lease.epoch, seq=lease.seq, holder=lease.holder, frozen=frozen)
    what: list[Fact] = []
    if lease.epoch != slot.epoch:
        what.append(facts.EpochAdvanced(previous=slot.epoch, holder=lease.holder, from_primary=slot.holder, by=by))
    if lease.holder != slot.holder and lease.holder:
        what.append(facts.LeaseAcquired(holder=lease.holder, from_primary=slot.holder, by=by))
    elif lease.holder != slot.holder:
        what.append(facts.LeaseLost(holder=slot.holder, from_primary=slot.holder, by=by))
    if frozen != slot.frozen:
        what.append(facts.ContinuumSuspended(by=by) if frozen else facts.ContinuumResumed(by=by))
    return told(replace(after, since=now), now, *what) if what else Decision(after)


def hold(slot: Slot, epoch: int, seq: int, now: datetime) -> Decision[Slot | None]:
    """The register says that our region holds the slot in `epoch`."""
    if slot.phase is Phase.HEALTHY and slot.epoch == epoch and slot.holder == slot.region:
        return Decision(None)
    after = replace(
        slot, phase=Phase.HEALTHY, since=now, epoch=epoch, seq=seq, holder=slot.region, message="",
        observed_generation=slot.generation,
    )  # fmt: skip
    what: list[Fact] = []
    if epoch != slot.epoch:
        what.append(facts.EpochAdvanced(previous=slot.epoch, holder=slot.region, by="continuum"))
    if epoch != slot.epoch or slot.holder != slot.region:
        what.append(facts.LeaseAcquired(holder=slot.region, by="continuum"))
    else:
        what.append(facts.ContinuumReconciled(generation=slot.generation, by="continuum"))
    return _widened(told(after, now, *what))


def falter(slot: Slot, why: str, now: datetime) -> Decision[Slot | None]:
    """The register could not be asked, or refused: said once, until it changes."""
    if slot.phase is Phase.DEGRADED and slot.message == why:
        return Decision(None)
    after = replace(slot, phase=Phase.DEGRADED, since=now, message=why)
    return _widened(told(after, now, facts.WitnessDegraded(reason=why, by="continuum")))


def forget(slot: Slot, now: datetime) -> Decision[Slot | None]:
    """The slot was given back in the register; its row stays as history."""
    after = replace(slot, gone=True, holder="", since=now)
    lost = facts.LeaseLost(holder=slot.region, reason="the Sovereign was destroyed", by="continuum")
    return _widened(told(after, now, lost))


def _born(held: Slot | None, namespace: str, name: str, region: str, now: datetime) -> Slot:
    """A slot before its first word. Of a life before it has the epoch, so that cells that do not know it any more are seen
    to have lost their memory, the last version, and the end of the chain."""
    born = Slot(namespace, name, region, Phase.PENDING, now, now, version=0)
    if held is None:
        return born
    return replace(
        born, epoch=held.epoch, seq=held.seq, version=held.version, chain=held.chain, frozen=held.frozen,
        generation=held.generation + 1,
    )  # fmt: skip


def _errand(slot: Slot, *, wished: bool) -> Errand:
    """What is to be done so that the register is as wished. After an errand that may still be done by somebody the register
    is asked in any case: a change that was begun later stands."""
    if slot.frozen == wished and slot.errand is Errand.NONE:
        return Errand.NONE
    return Errand.FREEZE if wished else Errand.THAW


def _widened(decision: Decision[Slot]) -> Decision[Slot | None]:
    return Decision(decision.state, decision.events)
