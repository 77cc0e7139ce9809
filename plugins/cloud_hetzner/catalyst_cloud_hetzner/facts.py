"""What is known of Hetzner Cloud without asking it: sizes, prices, limits, codes. Live offers win over it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from catalyst_sdk.cloud import Price

DATA = Path(__file__).with_name("data")
ARCHES = {"x86_64": "amd64", "arm64": "arm64"}
"""Our word for an architecture, and the word in which binaries are named."""
FREE = ("network", "firewall", "placement_group", "ssh_key")


@dataclass(frozen=True, slots=True)
class Size:
    """A size of server."""

    id: str
    vcpu: int
    memory_gb: int
    disk_gb: int
    arch: str
    hour_micros: int
    month_minor: int
    zones: frozenset[str] | None = None
    """Network zones in which it is sold; None: in all."""


@dataclass(frozen=True, slots=True)
class Balancer:
    """What a type of load balancer takes. Source: `max_services` and `max_targets` of Hetzner's load balancer types."""

    services: int
    targets: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What the cloud allows whoever asks; see Hetzner's documentation of networks and firewalls."""

    members_per_network: int
    """Servers and load balancers."""
    network_prefix: int
    """Longest prefix that a network may have."""
    sources_per_rule: int
    """Ranges in one rule of a firewall."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The table of `data/facts.json`."""

    currency: str
    image: str
    sizes: Mapping[str, Size]
    superseded: frozenset[str]
    """Sizes that have a successor in the zones where that is sold; elsewhere they are what is sold."""
    balancers: tuple[str, ...]
    takes: Mapping[str, Balancer]
    """What each of them takes."""
    limits: Limits
    zones: Mapping[str, str]
    """Network zone of each region."""
    offered: frozenset[str]
    price_regions: frozenset[str]
    """Regions whose prices the table has."""
    error_classes: Mapping[str, Sequence[str]]

    def price(self, kind: str, size: str, region: str) -> Price | None:
        """What it costs; None: the table does not know."""
        if kind in FREE:
            return Price(self.currency, 0, 0)
        known = self.sizes.get(size) if kind == "server" and region in self.price_regions else None
        return Price(self.currency, known.hour_micros, known.month_minor, capped=True) if known else None

    def sells(self, size: Size, region: str) -> bool:
        """Whether a region has it, as far as the table knows."""
        return region in self.offered and (size.zones is None or self.zones[region] in size.zones)

    def is_superseded(self, size: str, region: str) -> bool:
        """Whether its successor is sold there."""
        family = size.rstrip("0123456789")
        heirs = [one for one in self.sizes.values() if one.id.rstrip("0123456789") == family]
        return size in self.superseded and any(self.sells(heir, region) for heir in heirs)

    def arch(self, size: str) -> str:
        """The architecture of a size; by its name where the table has not got it."""
        known = self.sizes.get(size)
        return known.arch if known else "arm64" if size.startswith("cax") else "x86_64"


@cache
def facts() -> Facts:
    """Read once: it comes with the plugin."""
    raw = json.loads((DATA / "facts.json").read_text(encoding="utf-8"))
    return Facts(
        currency=raw["currency"],
        image=raw["image"],
        sizes={size["id"]: _size(size, raw["sold_in_zones"]) for size in raw["sizes"]},
        superseded=frozenset(raw["superseded_sizes"]),
        balancers=tuple(raw["load_balancer_types"]),
        takes={type: Balancer(**row) for type, row in raw["load_balancer_limits"].items()},
        limits=Limits(**{name: raw["limits"][name] for name in Limits.__slots__}),
        zones={region["id"]: region["network_zone"] for region in raw["regions"]},
        offered=frozenset(region["id"] for region in raw["regions"] if region.get("offered", True)),
        price_regions=frozenset(raw["price_regions"]),
        error_classes=raw["error_classes"],
    )


def _size(raw: Mapping[str, Any], zones: Mapping[str, Sequence[str]]) -> Size:
    hour, month = round(raw["hour_eur"] * 1_000_000), round(raw["month_eur"] * 100)
    sold = frozenset(zones[raw["category"]]) if raw["category"] in zones else None
    return Size(raw["id"], raw["vcpu"], raw["ram_gb"], raw["disk_gb"], raw["arch"], hour, month, sold)
