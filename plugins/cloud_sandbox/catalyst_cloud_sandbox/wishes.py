"""From a request to resources, and from resources to a plan. Pure: reads nothing, knows no clock.

Order matters and is the same everywhere: what others stand on comes first, and goes last.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalyst_sdk.cloud import (
    Action,
    Change,
    ClusterRequest,
    CostLine,
    Finding,
    InfraPlan,
    LedgerRow,
    NodePool,
    Severity,
    owned,
)

from . import catalogue
from .store import Resource


@dataclass(frozen=True, slots=True)
class Wish:
    """One resource as it should be. `spec` holds what the plan shows; what the cloud adds is not in it."""

    kind: str
    name: str
    address: str
    region: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    adopted: str = ""
    """Id of the resource that was given to us; empty for one that we make."""
    ends: str = ""
    """Id of the server in whose place this one is made anew; empty: what is there stays."""

    def owns(self, found: Resource) -> bool:
        """Whether a resource of this name is ours."""
        return found.id == self.adopted or owned(self.labels, found.labels)

    @property
    def size(self) -> str:
        """What is paid for."""
        return str(self.spec.get("size", ""))


def wished(request: ClusterRequest) -> tuple[Wish, ...]:
    """Every resource of a cluster, in the order of creation."""
    return tuple(_wishes(request))


def dials_home(wish: Wish) -> bool:
    """Whether this is the server that runs as a process: the first control plane."""
    return wish.address == "server.control_plane[1]"


def plan(request: ClusterRequest, rows: Sequence[LedgerRow], found: Sequence[Resource]) -> InfraPlan:
    """What is to be done, given what the ledger lists and what the account holds."""
    wishes = wished(request)
    by_name = {(r.kind, r.name): r for r in found}
    ids = {row.id for row in rows if row.id}
    changes = [_change(wish, by_name.get((wish.kind, wish.name)), ids) for wish in wishes]
    changes += _removals(wishes, rows, found)
    return InfraPlan(
        request,
        tuple(changes),
        tuple(CostLine(w.address, w.kind, w.size, catalogue.price(w.kind, w.size)) for w in wishes),
        (
            *(_foreign(wish, by_name.get((wish.kind, wish.name))) for wish in wishes if _taken(wish, by_name)),
            *(_brain(wish) for wish in wishes if wish.ends and dials_home(wish) and request.control_plane.count > 1),
        ),
    )


def differing(wish: Wish, found: Resource) -> tuple[str, ...]:
    """Keys of the wished spec that the resource has otherwise."""
    return tuple(key for key, value in wish.spec.items() if found.spec.get(key) != value)


def _wishes(request: ClusterRequest) -> Iterator[Wish]:
    def wish(kind: str, name: str, spec: Mapping[str, Any], address: str = "") -> Wish:
        # Specs come back from the cloud as JSON: tuples and lists would differ for ever.
        plain = json.loads(json.dumps(spec))
        given = request.adopted.get(address or kind)
        full = given.name if given else f"{request.cluster}-{name}-{request.suffix}"
        ends = request.anew.get(full, "") if kind == "server" else ""
        id = given.id if given else ""
        return Wish(kind, full, address or kind, request.region, request.labels, plain, id, ends)

    network = wish("network", "net", {"cidr": request.node_cidr, "subnet": request.subnet_cidr})
    yield network
    yield wish("firewall", "fw", {"ssh_from": request.ssh_allowed_cidrs})
    ports = [listener.port for listener in request.listeners]
    size = request.load_balancer or catalogue.LOAD_BALANCER
    yield wish("load_balancer", "lb", {"size": size, "listeners": ports, "network": network.name})
    if request.control_plane.count > 1:
        # Several servers stand behind one private address; it answers to nobody outside the simulated network.
        api = {"size": catalogue.LOAD_BALANCER, "listeners": [6443], "network": network.name, "private": True}
        yield wish("load_balancer", "api", api, "load_balancer.api")
    for role, pool in _pools(request):
        short = "cp" if role == "control_plane" else f"{pool.name}-"
        place = "server.control_plane" if role == "control_plane" else f"server.worker.{pool.name}"
        for number in range(1, pool.count + 1):
            spec = {
                "size": pool.size,
                "role": role,
                "pool": pool.name,
                "network": network.name,
                "subnet": request.subnet_cidr,
            }
            yield wish("server", f"{short}{number}", spec, f"{place}[{number}]")


def _pools(request: ClusterRequest) -> Iterator[tuple[str, NodePool]]:
    yield "control_plane", request.control_plane
    for pool in request.worker_pools:
        yield "worker", pool


def _change(wish: Wish, found: Resource | None, ids: set[str]) -> Change:
    if found is None or not wish.owns(found):
        return Change(Action.CREATE, wish.kind, wish.name, wish.address, wish.region, after=_shown(wish.spec))
    paths = differing(wish, found)
    if found.id not in ids:
        text = (
            "it was there before and is taken over"
            if wish.adopted
            else "it was made before and is missing in the ledger"
        )
        action, reason = Action.IMPORT, text
    elif found.id == wish.ends:
        action, reason, paths = Action.REPLACE, "it is made anew, as somebody asked", ()
    else:
        action, reason = (Action.UPDATE, "") if paths else (Action.NO_OP, "")
    before = {key: found.spec.get(key) for key in wish.spec}
    return Change(
        action,
        wish.kind,
        wish.name,
        wish.address,
        wish.region,
        found.id,
        reason,
        paths,
        _shown(before),
        _shown(wish.spec),
    )


def _removals(wishes: Sequence[Wish], rows: Sequence[LedgerRow], found: Sequence[Resource]) -> list[Change]:
    """Deletions of what the ledger lists and nobody wishes any more, last made first."""
    names = {(wish.kind, wish.name) for wish in wishes}
    known = {r.id: r for r in found}
    gone = [row for row in rows if (row.kind, row.name) not in names]
    return [
        Change(
            Action.DELETE,
            row.kind,
            row.name,
            f"{row.kind}.{row.name}",
            row.region,
            row.id,
            "it is no longer wished",
            before=_shown(known[row.id].spec) if row.id in known else {},
        )
        for row in reversed(gone)
    ]


def _taken(wish: Wish, by_name: Mapping[tuple[str, str], Resource]) -> bool:
    found = by_name.get((wish.kind, wish.name))
    return found is not None and not wish.owns(found)


def _foreign(wish: Wish, found: Resource | None) -> Finding:
    id = found.id if found else ""
    return Finding(
        "name.foreign_resource",
        Severity.ERROR,
        wish.address,
        f"the simulated {wish.kind} {wish.name} ({id}) exists and doesn't carry this cluster's labels",
        "rename or remove it; it is neither adopted nor changed",
        {"kind": wish.kind, "name": wish.name, "id": id},
    )


def _brain(wish: Wish) -> Finding:
    return Finding(
        "plugin.capability_missing",
        Severity.ERROR,
        wish.address,
        f"the simulated cluster lives in the process of {wish.name}: no other server could go on with it",
        "make another server of it anew",
    )


def _shown(spec: Mapping[str, Any]) -> dict[str, Any]:
    hidden = {"user_data"}
    return {key: value for key, value in spec.items() if key not in hidden} | {"simulated": True}
