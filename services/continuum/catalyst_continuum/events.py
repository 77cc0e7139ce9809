"""What continuum tells, and what it does when others tell."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from catalyst.continuum.v1 import events_pb2, resources_pb2
from catalyst.provisioner.v1 import events_pb2 as provisioner
from catalyst.provisioner.v1 import resources_pb2 as resources
from catalyst_mesh import Emitted, Handled, Told, stamp
from catalyst_sdk import Decision

from .domain import slots
from .domain.slots import (
    NAMESPACE,
    Acquired,
    Created,
    EpochMoved,
    Lost,
    Recovered,
    Slot,
    Updated,
    WitnessDegraded,
)
from .sovereigns import Sovereigns
from .store import Store

_ROOT = "catalyst.v1.continuum"


def _record(kind: str, slot: Slot, *, seq: int = 0, reason: str = "") -> resources_pb2.AuditRecord:
    return resources_pb2.AuditRecord(
        type=kind, application_name=slot.name, to_primary=slot.holder, epoch=slot.epoch, seq=seq, region=slot.region,
        reason=reason, initiated_by="continuum", event_time=stamp(slot.since),
    )  # fmt: skip


def created(fact: Created) -> events_pb2.ContinuumCreated:
    s = fact.slot
    return events_pb2.ContinuumCreated(continuum=s.resource, version=s.version, record=_record("continuum.created", s))


def updated(fact: Updated) -> events_pb2.ContinuumUpdated:
    s = fact.slot
    return events_pb2.ContinuumUpdated(continuum=s.resource, version=s.version, record=_record("continuum.updated", s))


def recovered(fact: Recovered) -> events_pb2.ContinuumReconciled:
    s = fact.slot
    record = _record("continuum.reconciled", s)
    return events_pb2.ContinuumReconciled(continuum=s.resource, version=s.version, record=record)


def acquired(fact: Acquired) -> events_pb2.LeaseAcquired:
    s = fact.slot
    record = _record("lease.acquired", s, seq=fact.seq)
    return events_pb2.LeaseAcquired(continuum=s.resource, version=s.version, record=record, holder=s.holder)


def epoch_moved(fact: EpochMoved) -> events_pb2.EpochAdvanced:
    s = fact.slot
    return events_pb2.EpochAdvanced(
        continuum=s.resource, version=s.version, record=_record("epoch.advanced", s, seq=fact.seq)
    )


def lost(fact: Lost) -> events_pb2.LeaseLost:
    s = fact.slot
    record = _record("lease.lost", s, reason=fact.why)
    return events_pb2.LeaseLost(continuum=s.resource, version=s.version, record=record, holder=fact.before)


def degraded(fact: WitnessDegraded) -> events_pb2.WitnessDegraded:
    s = fact.slot
    record = _record("witness.degraded", s, reason=fact.why)
    return events_pb2.WitnessDegraded(continuum=s.resource, version=s.version, record=record)


EMITTED = (
    Emitted(f"{_ROOT}.continuum.created", Created, created),
    Emitted(f"{_ROOT}.continuum.updated", Updated, updated),
    Emitted(f"{_ROOT}.continuum.reconciled", Recovered, recovered),
    Emitted(f"{_ROOT}.lease.acquired", Acquired, acquired),
    Emitted(f"{_ROOT}.epoch.advanced", EpochMoved, epoch_moved),
    Emitted(f"{_ROOT}.lease.lost", Lost, lost),
    Emitted(f"{_ROOT}.witness.degraded", WitnessDegraded, degraded),
)


def handled(sovereigns: Sovereigns) -> tuple[Handled, ...]:
    """The handlers; `sovereigns` is asked where events are missing."""
    root, refresh = "catalyst.v1.provisioner.sovereign", partial(as_it_is, sovereigns)
    return (
        Handled(f"{root}.activated", provisioner.SovereignActivated, on_activated, refresh),
        Handled(f"{root}.destroyed", provisioner.SovereignDestroyed, on_destroyed, refresh),
    )


async def on_activated(tx: Store, message: Any, told: Told) -> Sequence[object]:
    return await _wanted(tx, message.sovereign, [cluster.name for cluster in message.clusters])


async def on_destroyed(tx: Store, message: Any, told: Told) -> Sequence[object]:
    return await _left(tx, message.sovereign)


async def as_it_is(sovereigns: Sovereigns, tx: Store, name: str) -> Sequence[object]:
    """What the missing events would have come to. While a run makes or removes a Sovereign, its end is still to be told."""
    found = await sovereigns.current(name)
    if found is None or found.state == resources.Sovereign.STATE_DESTROYED:
        return await _left(tx, name)
    if found.state in (resources.Sovereign.STATE_ACTIVE, resources.Sovereign.STATE_UPDATING):
        return await _wanted(tx, name, [cluster.name for cluster in found.clusters])
    return ()


async def _wanted(tx: Store, sovereign: str, clusters: Sequence[str]) -> Sequence[object]:
    """An active Sovereign has a slot, held by its first cluster of the block `mgt`, or else by its first cluster."""
    names = [cluster.rsplit("/", 1)[-1] for cluster in clusters]
    region = next((name for name in names if "-mgt-" in name), names[0] if names else "")
    return await _saved(tx, slots.want(await tx.lock(NAMESPACE, _short(sovereign)), _short(sovereign), region, tx.now))


async def _left(tx: Store, sovereign: str) -> Sequence[object]:
    """A destroyed Sovereign needs no slot."""
    return await _saved(tx, slots.leave(await tx.lock(NAMESPACE, _short(sovereign)), tx.now))


async def _saved(tx: Store, decision: Decision[Slot | None]) -> Sequence[object]:
    if decision.state is not None:
        await tx.save(decision.state)
    return decision.events


def _short(sovereign: str) -> str:
    return sovereign.removeprefix("sovereigns/")
