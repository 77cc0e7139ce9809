"""What was made true last, kept whole: the state to which a cancelled change goes back.

Invariants
  of a success   it is written when a run has ended well, and never by a wish;
  upward only    a version of k3s that a cluster may have risen to is not taken back, because no cluster can go down.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from .locks import Component, Lock
from .wishes import Document


@dataclass(frozen=True, slots=True)
class Wished:
    """A cluster as it was wished."""

    name: str
    provider: str
    region: str
    credential: str
    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Applied:
    """A spec that became true, with what was worked out of it."""

    plan: str
    """Id of the plan."""
    hash: str
    spec: Document
    clusters: tuple[Wished, ...]
    """In the order of the spec."""
    lock: Lock

    @property
    def names(self) -> tuple[str, ...]:
        """Its clusters."""
        return tuple(cluster.name for cluster in self.clusters)

    def plain(self) -> dict[str, Any]:
        """As it is kept."""
        return asdict(self)


def read(kept: Mapping[str, Any]) -> Applied:
    """What was kept."""
    lock = Lock(kept["lock"]["digest"], tuple(_component(row) for row in kept["lock"]["components"]))
    clusters = tuple(Wished(**row) for row in kept["clusters"])
    return Applied(kept["plan"], kept["hash"], kept["spec"], clusters, lock)


def risen(before: Applied, clusters: Sequence[Mapping[str, Any]]) -> Applied:
    """The same with the versions of k3s that a change has brought.

    clusters   those of the run, each with its `k3s` where that was to rise
    """
    versions = {row["name"]: row["k3s"] for row in clusters if row.get("k3s")}
    rows = [
        {**row, "k3s_version": versions[name]} if name in versions else row
        for name, row in zip(before.names, before.spec["clusters"], strict=True)
    ]
    return replace(before, spec={**before.spec, "clusters": rows})


def without(before: Applied, clusters: Sequence[str]) -> Applied:
    """The same as far as its clusters are among `clusters`, which are there."""
    there = [name in clusters for name in before.names]
    rows = [row for row, stays in zip(before.spec["clusters"], there, strict=True) if stays]
    kept = tuple(cluster for cluster, stays in zip(before.clusters, there, strict=True) if stays)
    return replace(before, spec={**before.spec, "clusters": rows}, clusters=kept)


def _component(row: Mapping[str, Any]) -> Component:
    return Component(**{**row, "needs": tuple(row["needs"])})
