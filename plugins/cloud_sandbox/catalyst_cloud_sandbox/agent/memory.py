"""What a simulated cluster remembers over deaths of its process."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import files, workloads
from .grants import Grant
from .releases import Condition, Phase, Release, Releases, Wish
from .workloads import Workloads

FILE = "memory.json"


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of Crossplane as the tree has it."""

    kind: str
    name: str
    external_name: str
    observe_only: bool


@dataclass(frozen=True, slots=True)
class Boot:
    """The last restart of a node."""

    number: int
    ready_at: float


@dataclass(slots=True)
class Memory:
    """The state of the cluster beside what its cloud and its tree say."""

    booted_at: float = 0.0
    """When the first boot is over; 0 before it began."""
    joined: dict[str, float] = field(default_factory=dict)
    """Server id to the moment when its node is ready."""
    releases: Releases = field(default_factory=dict)
    tree_commit: str = ""
    """Commit that was pulled last."""
    generation: int = 0
    """Generation that its tree carries, as the provisioner said."""
    observed_generation: int = 0
    """Generation that was taken over."""
    suspended: bool = False
    last_command: int = 0
    """Highest command done."""
    grants: dict[str, Grant] = field(default_factory=dict)
    """Access of persons, by the name of the grant."""
    claims: tuple[Claim, ...] = ()
    k3s: str = ""
    """Version that runs; empty: the one that the cluster was born with."""
    k3s_next: str = ""
    """Version that is being put in its place, servers first."""
    k3s_at: float = 0.0
    """When that is done."""
    workloads: Workloads = field(default_factory=Workloads)
    """Applications of Organizations."""
    closed: list[str] = field(default_factory=list)
    """Names of nodes that take no new pods."""
    boots: dict[str, Boot] = field(default_factory=dict)
    """By server id: nodes that were restarted."""


def save(path: Path, memory: Memory) -> None:
    """Keep it."""
    files.write(path, asdict(memory))


def load(path: Path) -> Memory:
    """What was kept; a fresh one at the first start."""
    raw = files.read(path)
    if raw is None:
        return Memory()
    releases = {key: _release(value) for key, value in raw["releases"].items()}
    grants = {key: Grant(**value) for key, value in raw.get("grants", {}).items()}
    claims = tuple(Claim(**claim) for claim in raw.get("claims", ()))
    boots = {id: Boot(**value) for id, value in raw.get("boots", {}).items()}
    hosted = Workloads()
    if kept := raw.get("workloads"):
        hosted = workloads.restored(kept, {key: _release(value) for key, value in kept["releases"].items()})
    read = {"releases": releases, "grants": grants, "claims": claims, "workloads": hosted, "boots": boots}
    return Memory(**{**raw, **read})


def _release(raw: Mapping[str, Any]) -> Release:
    wish = {**raw["wish"], "depends_on": tuple(raw["wish"]["depends_on"])}
    conditions = tuple(Condition(**condition) for condition in raw["conditions"])
    return Release(**{**raw, "wish": Wish(**wish), "phase": Phase(raw["phase"]), "conditions": conditions})
