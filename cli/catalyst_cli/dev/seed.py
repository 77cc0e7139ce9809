"""What `catalyst dev` puts into an empty mesh: the demo pool, a voucher that pays for first Sovereigns, and what the shop sells.

What is there already, from an earlier start or from one that died half-way, is left as it is.
"""

from typing import Any

import httpx

from . import recipes
from .layout import Layout

VOUCHER = "FIRST-SOVEREIGN"
"""Code of the demo voucher; development only."""
VOUCHER_MINOR = 500_000
CURRENCY = "OMR"
LAYOUT = ("@", "console", "api", "gitea", "harbor")
APPS = "apps"
"""Source of the Blueprints behind the shop."""
SECOND = "1s"


class SeedRefused(Exception):
    """A part of the mesh refused its seed data."""


async def seed(layout: Layout, token: str) -> None:
    """Make what is absent. Raises SeedRefused with the answer of the daemon that refused."""
    async with _gateway(layout, token) as http:
        await _make(http, f"/v1/pools?poolId={layout.pool}", _pool(layout.pool, f"backends/{layout.dns_server}"))
        await _make(http, "/v1/nameServerSets?nameServerSetId=main", _servers(layout))
        await _make(http, "/v1/billing/vouchers?activate=true", _voucher())
        await _make(http, f"/v1/catalog/sources?sourceId={APPS}", _apps())


def _gateway(layout: Layout, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=layout.gateway_url,
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
        verify=False,  # noqa: S501 - it speaks no TLS, and to read all authorities of the world takes 25 ms
    )  # fmt: skip - one call


async def plugin_names(layout: Layout, token: str) -> list[str]:
    """Every plugin that the daemons found, a failed one with a mark; one that is off is not shown."""
    async with _gateway(layout, token) as http:
        rows = (await http.get("/v1/plugins")).json()["plugins"]
    shown = (row for row in rows if row["state"] != "STATE_DISABLED")
    return [row["name"].removeprefix("plugins/") + (" (FAILED)" * (row["state"] == "STATE_FAILED")) for row in shown]


def _pool(domain: str, backend: str) -> dict[str, Any]:
    return {
        "kinds": ["KIND_SOVEREIGN"],
        "zone": f"zones/{domain}",
        "zoneMode": "ZONE_MODE_DELEGATED",
        "backend": backend,
        "recordLayout": [{"name": name} for name in LAYOUT],
        # Short lives, so that a demo need not wait for caches; production's are 300 and 3600 seconds.
        "ttls": {"ns": SECOND, "ds": SECOND, "record": SECOND, "negative": SECOND},
        # The simulated cloud's load balancers answer on loopback addresses.
        "allowPrivateTargets": True,
    }


def _servers(layout: Layout) -> dict[str, Any]:
    """The server of the pool's zones, which serves domains of one's own too. A parent is shown two names of it, as anywhere."""
    hosts = [f"ns1.{layout.pool}", f"ns2.{layout.pool}"]
    port = layout.port("powerdns" if layout.dns_server == "powerdns" else "dns")
    return {"published": hosts, "polled": [{"host": hosts[0], "addresses": ["127.0.0.1"], "port": port}]}


def _apps() -> dict[str, Any]:
    """Without it the shop has nothing to sell: the public catalogue holds the platform, not what runs on it."""
    return {"kind": "directory", "scope": "SCOPE_SOVEREIGN", "config": {"folder": str(recipes.APPS)}}


def _voucher() -> dict[str, Any]:
    amount = {"minor": str(VOUCHER_MINOR), "currency": CURRENCY}
    return {"code": VOUCHER, "amount": amount, "maxPerOrg": 1000}


async def _make(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    response = await http.post(path, json=body)
    if response.status_code not in (200, 409):  # 409: it is there from an earlier start
        raise SeedRefused(f"{path}: {response.text}")
