"""Power for a whole sandbox: the switch that `catalyst dev` uses, and the look after servers whose process died."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import processes
from .account import Account


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A simulated server that runs as a process, or should."""

    account: str
    id: str
    name: str
    region: str
    powered: bool
    """Whether it has power: its own switch and that of the account."""
    pid: int | None
    address: str
    port: int
    simulated: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for `-o json`."""
        return asdict(self)


def keep(folder: Path) -> list[str]:
    """Start the processes of powered servers that died, end those of servers that are gone; the ids touched.

    For a call each second: it costs two small reads an account while nothing has to be done.
    """
    return [id for account in accounts(folder) for id in account.settle()]


def power_off(folder: Path) -> list[str]:
    """Take the power from every account: no process is left when this returns. The store stays."""
    before = [server.id for server in status(folder) if server.pid is not None]
    for account in accounts(folder):
        account.power_all(False)
    return before


def power_on(folder: Path) -> list[str]:
    """Give the power back; servers that had power of their own run when this returns. Answers their ids."""
    for account in accounts(folder):
        account.power_all(True)
    return [server.id for server in status(folder) if server.pid is not None]


def way_in(folder: Path, *, account: str, cluster: str, region: str) -> tuple[str, int]:
    """Address and port of a cluster's load balancer, made with its network where they are not there yet."""
    cloud = Account(folder, account)
    labels = {"cluster": cluster}
    if cloud.named("network", cluster) is None:
        cloud.create(kind="network", name=cluster, region=region, labels=labels, spec={})
    found = cloud.named("load_balancer", cluster)
    if found is None:
        found = cloud.create(
            kind="load_balancer", name=cluster, region=region, labels=labels, spec={"network": cluster}
        )  # fmt: skip
    return found.spec["ipv4"], found.spec["port"]


def signal_region(folder: Path, region: str, number: int) -> list[str]:
    """Send a signal to every server process of a region; the ids."""
    reached = [server for server in status(folder) if server.region == region and server.pid]
    for server in reached:
        with suppress(ProcessLookupError):
            os.killpg(server.pid or 0, number)
    return [server.id for server in reached]


def power_region(folder: Path, region: str, on: bool) -> list[str]:
    """Take the power from every server of a region as a fallen line does, or give it back; the ids."""
    touched = []
    for account in accounts(folder):
        with account.store.begin() as tx:
            servers = [r for r in tx.resources() if r.kind == "server" and r.region == region]
            for server in servers:
                tx.update(server.id, spec=server.spec, powered=on)
        touched += [server.id for server in servers]
    if not on:
        signal_region(folder, region, signal.SIGKILL)  # nobody is asked to end
    keep(folder)
    return touched


def status(folder: Path) -> list[ServerStatus]:
    """Every server that is, or should be, a process."""
    return [server for account in accounts(folder) for server in _servers(account)]


def report(folder: Path) -> dict[str, Any]:
    """Status and resources as plain values."""
    resources = [
        {"account": account.name, **asdict(resource), "simulated": True}
        for account in accounts(folder)
        for resource in account.all()
    ]
    for resource in resources:
        resource["spec"].pop("user_data", None)  # it holds a token
    return {"simulated": True, "servers": [s.to_dict() for s in status(folder)], "resources": resources}


def accounts(folder: Path) -> Iterator[Account]:
    """The accounts that have a store."""
    for file in sorted(folder.glob("accounts/*/cloud.sqlite3")):
        yield Account(folder, file.parent.name)


def _servers(account: Account) -> Iterator[ServerStatus]:
    with account.store.begin() as tx:
        resources, powered = tx.resources(), tx.powered
    ways_in = {r.spec.get("network"): r for r in resources if r.kind == "load_balancer" and "ipv4" in r.spec}
    for server in resources:
        if server.kind == "server" and server.spec.get("user_data"):
            way_in = ways_in.get(server.spec.get("network"))
            spec: Mapping[str, Any] = way_in.spec if way_in else {"ipv4": "", "port": 0}
            yield ServerStatus(
                account.name,
                server.id,
                server.name,
                server.region,
                server.powered and powered,
                processes.pid(processes.place(account.folder, server.id)),
                spec["ipv4"],
                spec["port"],
            )
