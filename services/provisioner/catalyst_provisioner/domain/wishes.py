"""The wish, typed: what a checked spec document says, read for the rest of the domain.

A document is the JSON form of `SovereignSpec` with the contract's own field names; it is checked by `rules` first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from . import mirrors
from .mirrors import Mirror
from .naming import Dimensions
from .reference import Code, Reference

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cloud:
    """What a loaded cloud plugin says about itself."""

    provider: str
    code: Code
    regions: Mapping[str, Code]
    simulated: bool = False
    default_credential: str = ""
    """Credential that is used where a cluster names none; simulated clouds only."""
    capabilities: frozenset[str] = frozenset()


Clouds = Mapping[str, Cloud]


@dataclass(frozen=True, slots=True)
class Pool:
    """Servers of one role and size."""

    name: str
    size: str
    count: int
    allow_deprecated: bool = False
    position: int = 0
    """Where it stands in the spec, for the paths of findings."""


@dataclass(frozen=True, slots=True)
class Approval:
    """Who may open a kind of gate; `*` is any."""

    gate: str
    roles: tuple[str, ...]
    principals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cluster:
    """One wished cluster."""

    name: str
    location_code: str
    provider: str
    region: str
    block: str
    hosts: tuple[str, ...]
    env_type: str
    credential: str
    control_plane: Pool
    pools: tuple[Pool, ...]
    load_balancer: str
    listeners: tuple[tuple[int, int], ...]
    k3s: str = ""
    """Version that is wished."""

    @property
    def nodes(self) -> int:
        """Servers in all."""
        return self.control_plane.count + sum(pool.count for pool in self.pools)


@dataclass(frozen=True, slots=True)
class Wish:
    """A wished Sovereign."""

    organization: str
    mode: str
    pool: str
    label: str
    fqdn: str
    clusters: tuple[Cluster, ...]
    families: tuple[str, ...]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    values: Mapping[str, Any]
    placement: str
    api_public: bool
    ssh_public_keys: tuple[str, ...]
    ssh_allowed_cidrs: tuple[str, ...]
    reserved_cidrs: tuple[str, ...]
    monthly_limit: tuple[int, str] | None
    """Minor units and currency."""
    cidr_base: str = ""
    registrar_account: str = ""
    delegation_first: bool = False
    release_digest: str = ""
    confirm_cascade: bool = False
    approvals: tuple[Approval, ...] = ()
    hand_off: bool = False
    """Whether Crossplane gets what was made, once it stands."""
    mirrors: tuple[Mirror, ...] = ()
    """What stands in place of the outside; none where it is asked itself."""

    @property
    def front(self) -> Cluster:
        """The cluster behind the Sovereign's own names: the first of block mgt, else the first."""
        return next((c for c in self.clusters if c.block == "mgt"), self.clusters[0])

    @property
    def is_prod(self) -> bool:
        """Whether any cluster serves production."""
        return any(cluster.env_type == "prod" for cluster in self.clusters)


def dimensions(cluster: Document, clouds: Clouds, reference: Reference) -> Dimensions:
    """Naming dimensions of one cluster of a checked document."""
    cloud = clouds[cluster["provider"]]
    block, env = cluster["building_block"], cluster["env_type"]
    return Dimensions(
        cloud.code, cloud.regions[cluster["region"]], block, reference.blocks[block], env, reference.env_types[env]
    )


def read(document: Document, clouds: Clouds, reference: Reference) -> Wish:
    """Read a document that `rules` found nothing against."""
    domain, components = document["domain"], document.get("components", {})
    access, network = document.get("access", {}), document.get("network", {})
    limit = document.get("budget", {}).get("monthly_limit")
    return Wish(
        organization=document["organization"]["slug"],
        mode=domain["mode"],
        pool=domain.get("pool", ""),
        label=domain.get("label", ""),
        fqdn=fqdn(document),
        clusters=tuple(_cluster(c, clouds, reference) for c in document["clusters"]),
        families=tuple(components.get("families", ())),
        include=tuple(components.get("include", ())),
        exclude=tuple(components.get("exclude", ())),
        values=components.get("values", {}),
        placement=document.get("placement", "single-region"),
        api_public=bool(document.get("api", {}).get("public")),
        ssh_public_keys=tuple(access.get("ssh_public_keys", ())),
        ssh_allowed_cidrs=tuple(access.get("ssh_allowed_cidrs", ())),
        reserved_cidrs=tuple(network.get("reserved_cidrs", ())),
        monthly_limit=(int(limit["minor"]), limit["currency"]) if limit else None,
        cidr_base=network.get("cidr_base", ""),
        registrar_account=domain.get("registrar_account", ""),
        delegation_first=bool(domain.get("delegation_first")),
        release_digest=document.get("release", {}).get("digest", ""),
        confirm_cascade=bool(components.get("confirm_cascade")),
        approvals=approvals(document),
        hand_off=bool(document.get("hand_off")),
        mirrors=mirrors.read(document),
    )


def fqdn(document: Document) -> str:
    """The name under which the Sovereign is served."""
    domain = document["domain"]
    return f"{domain['label']}.{domain['pool']}" if domain["mode"] == "pool" else str(domain["fqdn"])


def _cluster(row: Document, clouds: Clouds, reference: Reference) -> Cluster:
    dims, plane = dimensions(row, clouds, reference), row["control_plane"]
    balancer = row.get("load_balancer", {})
    return Cluster(
        name=dims.cluster_name,
        location_code=dims.location_code,
        provider=row["provider"],
        region=row["region"],
        block=row["building_block"],
        hosts=tuple(row.get("hosts") or (row["building_block"],)),
        env_type=row["env_type"],
        credential=row.get("credential", {}).get("name") or clouds[row["provider"]].default_credential,
        control_plane=Pool("control-plane", plane["size"], plane["count"], bool(plane.get("allow_deprecated"))),
        pools=tuple(
            Pool(p["name"], p.get("size", ""), p.get("count", 0), bool(p.get("allow_deprecated")), i)
            for i, p in enumerate(row.get("worker_pools", ()))
            if p.get("count")
        ),
        load_balancer=balancer.get("type", ""),
        listeners=tuple((x["port"], x["target_port"]) for x in balancer.get("listeners", ())),
        k3s=row.get("k3s_version") or str(reference.versions["k3s"]),
    )


def approvals(document: Document) -> tuple[Approval, ...]:
    """Who may open which gate, as the spec says."""
    return tuple(_approval(row) for row in document.get("approvals", ()))


def reaction(document: Document, phase: str) -> str:
    """What follows when a step of `phase` fails for good: retry, pause or compensate."""
    return str(document.get("failure_policy", {}).get("phases", {}).get(phase, "pause"))


def paid_ttl(document: Document) -> timedelta:
    """How long paid resources of a failed run are kept."""
    return _span(document.get("failure_policy", {}).get("paid_ttl"), timedelta(hours=24))


def ends_at(document: Document, created_at: datetime) -> datetime | None:
    """The end of a Sovereign's life; None where it has none."""
    return created_at + _span(document["ttl"], timedelta()) if document.get("ttl") else None


def _approval(row: Document) -> Approval:
    return Approval(row["gate"], tuple(row.get("roles", ())), tuple(row.get("principals", ())))


def _span(text: str | None, default: timedelta) -> timedelta:
    """A Duration in the JSON form, `3600s`."""
    return timedelta(seconds=float(text.removesuffix("s"))) if text else default
