"""What is kept of a cluster between two commands: the tool's state, and what an order to destroy needs. Pure.

The tool numbers its states (`serial`) and gives each series a name (`lineage`). While a command runs, the file in the
run folder is ahead of the sealed copy; after a crash the newer of both counts.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..cloud_types import Adopted, ClusterRequest, Listener, NodePool
from .holders import Holder

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """The plugin's own state of one cluster. `tool` is the tool's state file, word for word; empty: none yet."""

    tool: str = ""
    request: ClusterRequest | None = None
    fenced: bool = False
    holder: Holder | None = None
    """Of the command that changes the cloud, or did when its machine was last heard of."""

    def encoded(self) -> bytes:
        """As `Workspace.write_state` takes it; equal values give equal bytes."""
        request = asdict(self.request) if self.request else None
        holder = asdict(self.holder) if self.holder else None
        body = {"format": FORMAT, "tool": self.tool, "request": request, "fenced": self.fenced, "holder": holder}
        return json.dumps(body, sort_keys=True).encode()

    @property
    def version(self) -> "StateVersion":
        """Of the tool's state."""
        return state_version(self.tool)


@dataclass(frozen=True, slots=True)
class StateVersion:
    """Which of two states is newer. An empty state has serial -1."""

    lineage: str = ""
    serial: int = -1
    addresses: frozenset[str] = field(default=frozenset(), compare=False)

    def precedes(self, other: "StateVersion") -> bool:
        """Whether `other` is a later state of the same series."""
        return self.lineage == other.lineage and self.serial < other.serial


def decoded(raw: bytes | None) -> Kept:
    """What `Workspace.read_state` answered."""
    if not raw:
        return Kept()
    body = json.loads(raw)
    request = _request(body["request"]) if body["request"] else None
    held = body.get("holder")  # none in a state of 0.1
    return Kept(body["tool"], request, body["fenced"], Holder(**held) if held else None)


def state_version(tool: str) -> StateVersion:
    """Series and number of a state file; a file that was cut off counts as none."""
    try:
        body = json.loads(tool) if tool else {}
    except ValueError:
        body = {}
    if not isinstance(body, dict) or "serial" not in body:
        return StateVersion()
    resources = [r for r in body.get("resources", ()) if r.get("mode") == "managed" and r.get("instances")]
    addresses = frozenset(f"{r['type']}.{r['name']}" for r in resources)
    return StateVersion(str(body.get("lineage", "")), int(body["serial"]), addresses)


def newest(*, folder: str, sealed: str) -> str:
    """The state to go on from, of the one left in the run folder and the one that was sealed.

    Of equal numbers the folder's counts: the tool writes several times under one number, and each is sealed after it
    lay in the folder. Of another series the sealed one counts: the folder is a leftover of something else.
    """
    left, kept = state_version(folder), state_version(sealed)
    if left.serial < 0:
        return sealed
    if kept.serial < 0:
        return folder
    return sealed if left.lineage != kept.lineage or left.precedes(kept) else folder


def _request(raw: Mapping[str, Any]) -> ClusterRequest:
    tuples = ("ssh_public_keys", "ssh_allowed_cidrs")
    values = {**raw, **{key: tuple(raw[key]) for key in tuples}}
    values["control_plane"] = NodePool(**raw["control_plane"])
    values["worker_pools"] = tuple(NodePool(**pool) for pool in raw["worker_pools"])
    values["adopted"] = {address: Adopted(**given) for address, given in raw.get("adopted", {}).items()}
    values["listeners"] = tuple(Listener(**listener) for listener in raw["listeners"])
    return ClusterRequest(**values)
