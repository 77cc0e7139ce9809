"""A manifest that is right, and ways to make it wrong."""

from copy import deepcopy
from typing import Any

EAST, WEST = "hz-fsn-rtz-prod", "hz-hel-rtz-prod"


def cell(n: int, **more: Any) -> dict[str, Any]:
    return {
        "name": f"cell-{n}", "address": f"192.0.2.{n}:53", "zone": "lease.example", "tsigSecretRef": {"name": "tsig"},
        **more,
    }  # fmt: skip


def stateful() -> dict[str, Any]:
    """`spec` of a slot with a database and one standby."""
    return deepcopy(
        {
            "applicationRef": {"name": "shop"},
            "primaryRegion": EAST,
            "hotStandbyRegions": [WEST],
            "regions": [
                {"name": name, "lbIPs": [ip], "agentEndpoint": f"agent.{name}.example:7406"}
                for name, ip in ((EAST, "198.51.100.1"), (WEST, "198.51.100.2"))
            ],
            "leaseClient": {"kind": "dns-quorum", "config": {"nameservers": [cell(1), cell(2), cell(3)]}},
            "luaRecord": {"hostnames": ["shop.example.com"], "zone": "example.com"},
            "autoFailover": True,
            "database": {"clusters": {EAST: {"name": "shop"}, WEST: {"name": "shop"}}},
        }
    )  # fmt: skip - a document


def stateless() -> dict[str, Any]:
    """`spec` of a slot where only traffic moves."""
    document = stateful()
    del document["database"]
    return document | {"switchover": {"mechanism": "stateless"}}


def on_own_cells(document: dict[str, Any]) -> dict[str, Any]:
    """The document on the cells of the daemon itself."""
    return document | {"leaseClient": {"kind": "dns-quorum", "config": {}}}


def lone() -> dict[str, Any]:
    """`spec` of a slot without standby."""
    return {"primaryRegion": EAST, "leaseClient": {"kind": "dns-quorum"}}


def having(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The document with values at paths whose steps are joined by `__`; a value `...` takes the key away."""
    for path, value in changes.items():
        *parents, last = [int(step) if step.isdigit() else step for step in path.split("__")]
        here: Any = document
        for parent in parents:
            here = here.setdefault(parent, {}) if isinstance(here, dict) else here[parent]
        if value is ...:
            del here[last]
        else:
            here[last] = value
    return document
