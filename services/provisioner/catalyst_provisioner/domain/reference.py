"""Facts about clouds, codes of names and layouts, as the data file states them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DIMENSIONS = {"memory": "ram_gb", "cpu": "vcpu", "storage": "disk_gb"}
"""Name in the data file by name in findings."""


@dataclass(frozen=True, slots=True)
class Code:
    """A code used in names: long, and one letter."""

    long: str
    letter: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A topology: regions in order, each with clusters, each with the building blocks that share it."""

    name: str
    regions: tuple[tuple[tuple[str, ...], ...], ...]
    audience: str = ""
    recommended: bool = False
    default: bool = False
    hidden: bool = False

    @property
    def clusters(self) -> int:
        return sum(len(region) for region in self.regions)

    @property
    def vclusters(self) -> int:
        return sum(len(blocks) for region in self.regions for blocks in region)


@dataclass(frozen=True, slots=True)
class Floor:
    """How much of one dimension the system takes where its components do not tell."""

    control_plane_services: float
    per_cluster: float
    solo_floor: float


@dataclass(frozen=True, slots=True)
class Reference:
    """The data file, read."""

    providers: Mapping[str, Code]
    blocks: Mapping[str, str]
    """Letter by building block."""
    env_types: Mapping[str, str]
    """Letter by environment type."""
    reserved_organizations: tuple[str, ...]
    layouts: Mapping[str, Layout]
    cidrs: Mapping[str, str]
    max_clusters: int
    floors: Mapping[str, Floor]
    """By dimension: `memory` in GB, `cpu` in vCPU, `storage` in GB."""
    system_share: float
    """What comes on top of the requests of components, as a part of them."""
    regions: Mapping[str, tuple[Mapping[str, Any], ...]]
    balancers: Mapping[str, tuple[str, ...]]
    """Types of load balancer of each provider, the smallest first."""
    """Regions of each provider, as in the file."""
    sizes: Mapping[str, tuple[Mapping[str, Any], ...]]
    versions: Mapping[str, Any]
    claims: Mapping[str, Any]
    """Group, version and kinds of claims, with their fields."""
    compliance: tuple[str, ...]
    """Regimes that an Organization may be audited under."""
    warn_at: float
    block_at: float
    probes: Mapping[str, Mapping[str, Any]]
    """What shows that a component does what it is there for, by Blueprint, until Blueprints bring that themselves."""

    @property
    def dimension_codes(self) -> frozenset[str]:
        """Every code of a naming dimension; no Organization may be called so."""
        long = {code.long for code in self.providers.values()}
        regions = {str(region["code"]) for rows in self.regions.values() for region in rows if region.get("code")}
        return frozenset(long | regions | set(self.blocks) | set(self.env_types))


def read(raw: Mapping[str, Any]) -> Reference:
    """Make sense of the data file."""
    dimensions, plan = raw["dimensions"], raw["cidr_plan"]
    sizing = raw["sizing"]
    return Reference(
        providers={n: Code(c["code"], c["letter"]) for n, c in dimensions["provider_codes"].items()},
        blocks={n: b["letter"] for n, b in dimensions["building_blocks"].items()},
        env_types={n: e["letter"] for n, e in dimensions["env_types"].items()},
        reserved_organizations=tuple(
            word for word in raw["name_patterns"]["reserved_organizations"] if word != "every dimension code"
        ),
        layouts={name: _layout(name, row) for name, row in raw["topologies"].items()},
        cidrs={key: plan[key] for key in ("nodes", "node_subnet", "pods", "services")},
        max_clusters=plan["max_clusters"],
        floors={kind: _floor(sizing[key]) for kind, key in DIMENSIONS.items()},
        system_share=sizing["system_share"],
        regions={n: tuple(p.get("regions") or ()) for n, p in raw["providers"].items()},
        balancers={
            n: tuple(str(one["id"]) for one in p.get("load_balancer_types") or ()) for n, p in raw["providers"].items()
        },
        sizes={n: tuple(p.get("sizes") or ()) for n, p in raw["providers"].items()},
        versions=raw["versions"],
        claims=raw["claims"],
        compliance=tuple(raw["organization_profile"]["compliance"]),
        warn_at=raw["budgets"]["warn_at"],
        block_at=raw["budgets"]["block_at"],
        probes={f"bp-{name}": spec for name, spec in raw["readiness_probes"].items()},
    )


def _floor(row: Mapping[str, Any]) -> Floor:
    return Floor(row["control_plane_services"], row["per_cluster_infrastructure"], row["solo_floor"])


def _layout(name: str, row: Mapping[str, Any]) -> Layout:
    regions = tuple(tuple(tuple(blocks) for blocks in region) for region in row["layout"])
    flags = {key: bool(row.get(key)) for key in ("recommended", "default", "hidden")}
    return Layout(name, regions, row.get("audience") or "", **flags)
