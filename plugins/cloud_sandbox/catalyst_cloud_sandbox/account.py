"""One account of the simulated cloud: the calls that a real cloud's API would have, blocking, each one transaction.

What holds for every call:
  one name      an account has at most one resource of a kind and name; the second create is `uniqueness_error`;
  ids           are the cloud's, and never used again;
  processes     a server with boot data runs as a process exactly while it exists and has power; what a crash left
                undone between the row and the process, `settle` and the keeper make good.
"""

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from catalyst_sdk.cloud import owned

from . import addresses, catalogue, faults, processes
from .rejections import Rejected
from .store import PREFIXES, Resource, Store, Transaction

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
"""What an account may be called."""
SEEN_FROM = "seen_from"
"""Key of a spec: the moment from which the resource is shown to callers."""
MARK = {"simulated": "true"}
"""Label that every resource carries besides those asked for."""


class Account:
    """The account `name`, its store and its servers' folders below `folder`."""

    def __init__(self, folder: Path, name: str, quotas: Mapping[str, int] | None = None) -> None:
        self.name = name
        self.folder = folder / "accounts" / name
        self._quotas = {**catalogue.QUOTAS, **(quotas or {})}
        self.store = Store(self.folder / "cloud.sqlite3")

    def create(
        self, *, kind: str, name: str, region: str, labels: Mapping[str, str], spec: Mapping[str, Any]
    ) -> Resource:
        """Make a resource. Raises Rejected; nothing was made then, unless the code is `connection_lost`."""
        call = faults.Call("create", kind, region, name)
        fault = self._meet(call)
        with self.store.begin() as tx:
            self._check_create(tx, call, spec)
            whole = self._completed(tx, kind, spec)
            if fault and fault.effect == "eventual":
                whole[SEEN_FROM] = time.time() + fault.delay
            made = tx.insert(kind, name, region, {**labels, **MARK}, whole)
            _meddle(tx, made, fault.effect if fault else "")
            is_heard_of = any(_hears(server, made) for server in tx.resources())
        if fault and fault.effect == "crash_after_create":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault and fault.effect == "lost_reply":
            raise Rejected("connection_lost", "the connection broke before the answer")
        if is_heard_of:
            self.settle()
        return made

    def update(self, id: str, spec: Mapping[str, Any]) -> Resource:
        """Change a resource's spec by the given keys."""
        found = self._existing("update", id)
        with self.store.begin() as tx:
            whole = {**found.spec, **spec}
            if found.kind == "server" and not whole.get("private_ip"):
                whole = self._completed(tx, found.kind, whole)  # it comes into a subnet only now
            changed = replace(found, spec=whole)
            tx.update(id, spec=changed.spec, powered=changed.powered)
        self.settle()
        return changed

    def relabel(self, id: str, labels: Mapping[str, str]) -> Resource:
        """Put labels on a resource, beside those that it has."""
        found = self._existing("update", id)
        with self.store.begin() as tx:
            changed = replace(found, labels={**found.labels, **labels})
            tx.relabel(id, changed.labels)
        return changed

    def delete(self, id: str) -> None:
        """Remove a resource; a server's process has ended when this returns. Absent already: nothing happens."""
        with self.store.begin() as tx:
            found = tx.resource(id)
        if found is None:
            return
        self._meet(faults.Call("delete", found.kind, found.region, found.name))
        with self.store.begin() as tx:
            users = [r.name for r in tx.resources() if r.spec.get("network") == found.name and found.kind == "network"]
            if users:
                raise Rejected("resource_in_use", f"{found.name} is used by {', '.join(users)}")
            tx.delete(id)
        self.settle()

    def power(self, id: str, on: bool) -> None:
        """Give a server power, or take it away; its process follows before this returns."""
        found = self._existing("power", id)
        with self.store.begin() as tx:
            tx.update(id, spec=found.spec, powered=on)
        self.settle()

    def power_all(self, on: bool) -> None:
        """The account's main switch. A server runs when it has power of its own too."""
        with self.store.begin() as tx:
            tx.power(on)
        self.settle()

    def named(self, kind: str, name: str) -> Resource | None:
        """The resource of that kind and name."""
        with self.store.begin() as tx:
            found = tx.named(kind, name)
        return found if found and _is_seen(found) else None

    def resources(self, labels: Mapping[str, str] | None = None) -> list[Resource]:
        """Resources of all regions in the order of creation; with `labels` only those that carry all of them."""
        self._meet(faults.Call("list"))
        return [r for r in self.all() if _is_seen(r) and (labels is None or owned(labels, r.labels))]

    def all(self) -> list[Resource]:
        """Every resource, read by the cloud itself: it meets no fault."""
        with self.store.begin() as tx:
            return tx.resources()

    def sold(self) -> dict[tuple[str, str], int]:
        """How many servers of each (region, size) exist."""
        with self.store.begin() as tx:
            return _sold(tx.resources())

    def room(self, kind: str, region: str) -> int:
        """How many more of a kind the quota of the region allows."""
        with self.store.begin() as tx:
            return self._room(tx.resources(), kind, region)

    def arm(self, fault: faults.Fault) -> int:
        """Have something go wrong; the fault's id. Clusters hear of theirs at once."""
        with self.store.begin() as tx:
            id = faults.add(tx, fault)
        self.settle()
        return id

    def disarm(self) -> int:
        """Have everything go right again; how many faults there were."""
        with self.store.begin() as tx:
            count = faults.clear(tx)
        self.settle()
        return count

    def settle(self) -> list[str]:
        """Make the processes agree with the rows, both ways; answers the ids of servers started or stopped."""
        # One at a time, and the rows are read under the lock: a folder without a row is then one whose server is gone,
        # never one whose row came after the look.
        with processes.only_one(self.folder):
            with self.store.begin() as tx:
                resources, powered = tx.resources(), tx.powered
                troubles = {region: faults.of_components(tx, region) for region in {r.region for r in resources}}
            stopped, dark = self._settle(resources, powered, troubles)
        return stopped + self._started(dark)

    def _settle(
        self, resources: list[Resource], powered: bool, troubles: Mapping[str, list[dict[str, Any]]]
    ) -> tuple[list[str], list[str]]:
        """End what should not run, describe what should; servers that were stopped, and those that are to be started."""
        servers = {r.id: r for r in resources if r.kind == "server" and r.spec.get("user_data")}
        around, stopped, dark = _Surroundings(resources), [], []
        for place in processes.places(self.folder):
            server = servers.get(place.name)
            if not (server and server.powered and powered) and processes.stop(place):
                stopped.append(place.name)
            if server is None:
                processes.remove(place)
        for id, server in servers.items():
            place = processes.place(self.folder, id)
            processes.describe(place, _boot(self.name, server, around) | {"faults": troubles[server.region]})
            if server.powered and powered and processes.pid(place) is None:
                dark.append(id)
        return stopped, dark

    def _started(self, dark: list[str]) -> list[str]:
        """Start those of `dark` that still have power. Beside others who start, since that takes long; whoever ends processes
        waits for all of them, and finds what they have started."""
        if not dark:
            return []
        with processes.beside_others(self.folder):
            with self.store.begin() as tx:
                alive = {r.id for r in tx.resources() if r.powered} if tx.powered else set()
            return [id for id in dark if id in alive and processes.start(processes.place(self.folder, id))]

    def _existing(self, operation: str, id: str) -> Resource:
        with self.store.begin() as tx:
            found = tx.resource(id)
        if found is None:
            raise Rejected("invalid_input", f"{id} does not exist")
        self._meet(faults.Call(operation, found.kind, found.region, found.name))
        return found

    def _meet(self, call: faults.Call) -> faults.Fault | None:
        with self.store.begin() as tx:
            fault = faults.take(tx, call)
        if fault and fault.effect == "slow":
            time.sleep(fault.delay)
        if fault and fault.effect in _REFUSALS:
            raise Rejected(_REFUSALS[fault.effect], f"{call.operation} {call.name}".strip(), retry_after=fault.delay)
        return fault

    def _check_create(self, tx: Transaction, call: faults.Call, spec: Mapping[str, Any]) -> None:
        if call.kind not in PREFIXES:
            raise Rejected("invalid_input", f"there is no kind {call.kind}")
        if tx.named(call.kind, call.name):
            raise Rejected("uniqueness_error", f"a {call.kind} named {call.name} exists")
        existing = tx.resources()
        if self._room(existing, call.kind, call.region) < 1:
            limit = self._quotas[call.kind]
            raise Rejected("resource_limit_exceeded", f"{limit} {call.kind}s in {call.region} is the limit")
        if call.kind == "server":
            size = catalogue.size(str(spec.get("size")))
            if size is None:
                raise Rejected("invalid_input", f"there is no size {spec.get('size')}")
            if _sold(existing).get((call.region, size.id), 0) >= size.stock:
                raise Rejected("resource_unavailable", f"{size.id} is sold out in {call.region}")

    def _room(self, existing: list[Resource], kind: str, region: str) -> int:
        return self._quotas[kind] - sum(1 for r in existing if (r.kind, r.region) == (kind, region))

    def _completed(self, tx: Transaction, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        whole = {**spec, "simulated": True}
        existing = tx.resources()
        if kind == "load_balancer" and not spec.get("private"):
            try:
                whole["ipv4"], whole["port"] = addresses.allocate(
                    self.folder, [str(r.spec.get("ipv4")) for r in existing]
                )
            except addresses.NoAddress as error:
                raise Rejected("resource_unavailable", str(error)) from error
        if kind == "server" and "subnet" in spec:
            taken = {r.spec.get("private_ip") for r in existing if r.spec.get("network") == spec["network"]}
            hosts = ip_network(str(spec["subnet"])).hosts()
            next(hosts)  # the first is the gateway
            whole["private_ip"] = next(str(host) for host in hosts if str(host) not in taken)
        return whole


def _meddle(tx: Transaction, made: Resource, effect: str) -> None:
    """What others do beside a create."""
    if effect == "orphan":
        tx.insert("volume", f"pvc-{made.id}", made.region, made.labels, {"size_gb": 10, "simulated": True})
    if effect == "tamper":
        tx.update(made.id, spec={**made.spec, **_TAMPERED[made.kind]}, powered=made.powered)


def _hears(server: Resource, made: Resource) -> bool:
    """Whether a server's process is told of a resource: it is the server itself, of its cluster, or in its network."""
    near = owned(server.labels, made.labels) or server.spec.get("network") == made.spec.get("network")
    return server.kind == "server" and bool(server.spec.get("user_data")) and near


def _is_seen(resource: Resource) -> bool:
    return float(resource.spec.get(SEEN_FROM, 0.0)) <= time.time()


_TAMPERED: Mapping[str, Mapping[str, Any]] = {
    "network": {"cidr": "10.255.0.0/16"},
    "firewall": {"ssh_from": ["0.0.0.0/0"]},
    "load_balancer": {"listeners": [1]},
    "server": {"size": "sb2"},
    "volume": {"size_gb": 1},
}
_REFUSALS = {
    "auth": "unauthorized",
    "partition": "unreachable",
    "capacity": "resource_unavailable",
    "quota": "resource_limit_exceeded",
    "rate_limit": "rate_limit_exceeded",
    "server_error": "server_error",
}


def _sold(resources: list[Resource]) -> dict[tuple[str, str], int]:
    return dict(Counter((r.region, str(r.spec["size"])) for r in resources if r.kind == "server"))


class _Surroundings:
    """Resources by what a server asks for, so that looking after many servers takes as long as there are, not its square."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._in_network: dict[object, list[Resource]] = {}
        self._labelled: dict[tuple[str, str], list[Resource]] = {}
        for resource in resources:
            self._in_network.setdefault(resource.spec.get("network"), []).append(resource)
            for label in resource.labels.items():
                self._labelled.setdefault(label, []).append(resource)

    def mates(self, server: Resource) -> list[Resource]:
        """What is in the network of a server."""
        return self._in_network[server.spec.get("network")]

    def owned(self, server: Resource) -> list[Resource]:
        """What carries all labels that a server carries."""
        fewest = min((self._labelled[label] for label in server.labels.items()), key=len)
        return [resource for resource in fewest if owned(server.labels, resource.labels)]


def _boot(account: str, server: Resource, around: _Surroundings) -> dict[str, Any]:
    """What a server's metadata service would say: itself, its way in, its user data, the nodes beside it."""
    mates = around.mates(server)
    way_in = next((r for r in mates if r.kind == "load_balancer" and not r.spec.get("private")), None)
    nodes = [{"id": r.id, "name": r.name, **_node(r)} for r in mates if r.kind == "server"]
    return {
        "simulated": True,
        "id": server.id,
        "name": server.name,
        "account": account,
        "region": server.region,
        "private_ip": server.spec.get("private_ip", ""),
        "address": way_in.spec["ipv4"] if way_in else "",
        "port": way_in.spec["port"] if way_in else 0,
        "load_balancer": way_in.name if way_in else "",
        "user_data": server.spec["user_data"],
        "nodes": nodes,
        "resources": [r.id for r in around.owned(server)],
    }


def _node(server: Resource) -> dict[str, Any]:
    return {key: server.spec.get(key, "") for key in ("role", "pool", "size", "private_ip")} | {"on": server.powered}
