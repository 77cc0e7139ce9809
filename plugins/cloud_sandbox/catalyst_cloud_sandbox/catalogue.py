"""What the simulated cloud sells. The prices are invented, so that cost and budget have something to count."""

from collections.abc import Iterator
from dataclasses import dataclass

from catalyst_sdk.cloud import Offer, OfferQuery, Price

CURRENCY = "EUR"
HOURS_PER_MONTH = 730
LOAD_BALANCER = "sblb"


@dataclass(frozen=True, slots=True)
class Size:
    """A size of server."""

    id: str
    vcpu: int
    memory_gb: int
    disk_gb: int
    hour_micros: int
    stock: int
    """How many of it each region has in all."""


SIZES = (
    Size("sb2", 2, 8, 40, 10_000, 1000),
    Size("sb4", 4, 16, 80, 20_000, 500),
    Size("sb8", 8, 32, 160, 40_000, 200),
    Size("sb16", 16, 64, 320, 80_000, 20),
)
QUOTAS = {"network": 200, "firewall": 200, "load_balancer": 200, "server": 1000, "volume": 1000}
"""Most resources of a kind in one region of an account."""


def size(id: str) -> Size | None:
    """The size of that id."""
    return next((size for size in SIZES if size.id == id), None)


def price(kind: str, size_id: str = "") -> Price | None:
    """What a resource costs; None for a kind that has no price here."""
    if kind in ("network", "firewall"):
        return Price(CURRENCY, 0, 0)
    if kind == "load_balancer":
        return _monthly(8_000)
    found = size(size_id) if kind == "server" else None
    return _monthly(found.hour_micros) if found else None


def offers(query: OfferQuery, regions: tuple[str, ...], sold: dict[tuple[str, str], int]) -> Iterator[Offer]:
    """The offers that match. `sold` counts the servers of a (region, size) that exist."""
    for region in regions:
        if query.region not in ("", region):
            continue
        if query.kind == "server" and query.arch in ("", "x86_64"):
            yield from (_server(s, region, sold) for s in SIZES if query.size in ("", s.id))
        if query.kind == "load_balancer" and query.size in ("", LOAD_BALANCER):
            yield Offer("load_balancer", LOAD_BALANCER, region, price=price("load_balancer"))


def _server(of: Size, region: str, sold: dict[tuple[str, str], int]) -> Offer:
    left = max(0, of.stock - sold.get((region, of.id), 0))
    memory_mb = of.memory_gb * 1024
    return Offer(
        "server", of.id, region, "x86_64", of.vcpu, memory_mb, of.disk_gb, price=price("server", of.id), stock=left
    )


def _monthly(hour_micros: int) -> Price:
    return Price(CURRENCY, hour_micros, hour_micros * HOURS_PER_MONTH // 10_000)
