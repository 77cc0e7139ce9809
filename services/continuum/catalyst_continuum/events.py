"""What continuum does when others tell; what it tells itself is made into messages in `messages`."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from catalyst.provisioner.v1 import events_pb2 as provisioner
from catalyst.provisioner.v1 import resources_pb2 as resources
from catalyst_mesh import Handled, Told
from catalyst_sdk import Decision

from .domain import slots
from .domain.slots import NAMESPACE, Slot
from .sovereigns import Sovereigns
from .store import Store


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
