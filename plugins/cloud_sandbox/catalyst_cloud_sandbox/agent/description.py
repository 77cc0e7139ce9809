"""What the simulated cloud tells a server about itself: `server.json` and the user data in it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..processes import DESCRIPTION
from .troubles import Trouble


@dataclass(frozen=True, slots=True)
class Node:
    """A server of the cluster, as the cloud shows it."""

    id: str
    name: str
    role: str
    pool: str
    size: str
    private_ip: str
    on: bool


@dataclass(frozen=True, slots=True)
class Description:
    """The server, its way in, what it was told at its birth, and the nodes of its cluster."""

    id: str
    name: str
    region: str
    private_ip: str
    address: str
    port: int
    load_balancer: str
    nodes: tuple[Node, ...]
    resources: tuple[str, ...]
    """Ids of all that belongs to its cluster."""
    endpoint: str
    """gRPC target of the provisioner."""
    cluster: str
    """`sovereigns/{sovereign}/clusters/{cluster}`."""
    token: str
    time_scale: float
    troubles: tuple[Trouble, ...] = ()
    """What its components meet."""

    @property
    def is_on(self) -> bool:
        """Whether this server itself has power."""
        return any(node.id == self.id and node.on for node in self.nodes)

    def __repr__(self) -> str:
        return f"Description({self.name}, simulated)"


def read(folder: Path) -> Description | None:
    """The description, or None when the server exists no more."""
    try:
        raw: Mapping[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    told = json.loads(raw["user_data"])
    return Description(
        **{key: raw[key] for key in ("id", "name", "region", "private_ip", "address", "port", "load_balancer")},
        nodes=tuple(Node(**node) for node in raw["nodes"]),
        resources=tuple(raw.get("resources", ())),
        endpoint=told["endpoint"],
        cluster=told["cluster"],
        token=told["token"],
        time_scale=float(told.get("time_scale", 1.0)),
        troubles=tuple(Trouble(**trouble) for trouble in raw.get("faults", ())),
    )
