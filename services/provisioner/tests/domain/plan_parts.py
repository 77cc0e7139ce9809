"""A plan from made-up parts, for tests of what plans say."""

from typing import Any

from catalyst_provisioner.data import reference
from catalyst_provisioner.domain import plans, wishes
from catalyst_provisioner.domain.locks import Component, Lock, ordered
from catalyst_provisioner.domain.plan_inputs import Read, Wanted
from catalyst_provisioner.domain.reference import Code
from catalyst_provisioner.domain.wishes import Cloud
from catalyst_sdk.cloud import Action, Change, ClusterRequest, CostLine, InfraPlan, NodePool, Price

FACTS = reference()
REGIONS = {"east": Code("east", "e"), "west": Code("west", "w")}
CLOUDS = {"sandbox": Cloud("sandbox", Code("sb", "b"), REGIONS, True, "credentials/sandbox-simulated")}
LOCK = Lock("sha256:1", ordered([Component("bp-a", "1.0.0", "sha256:a"), Component("bp-b", "1.0.0", "", ("bp-a",))]))
PRICE = Price("EUR", 40_000, 2920)


def cluster(region: str = "east", env_type: str = "dev", **changes: Any) -> dict[str, Any]:
    return {
        "provider": "sandbox", "region": region, "building_block": "mgt", "env_type": env_type,
        "control_plane": {"size": "sb8", "count": 1},
        "worker_pools": [{"name": "general", "size": "sb4", "count": 2}], **changes,
    }  # fmt: skip


def document(*clusters: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "organization": {"slug": "acme", "admin_email": "ops@acme.example"},
        "domain": {"mode": "pool", "pool": "omani.works", "label": "acme"},
        "clusters": list(clusters or (cluster(),)),
        **changes,
    }


def change(action: Action, kind: str = "server", address: str = "server.worker.general[1]") -> Change:
    return Change(action, kind, f"{kind}-1", address, "east", after={} if action is Action.DELETE else {"size": "sb4"})


def plan(spec: dict[str, Any] | None = None, changes: tuple[Change, ...] = (), **rest: Any) -> dict[str, Any]:
    """A plan of `spec` with these changes in its first cluster."""
    spec = spec or document()
    wish = wishes.read(spec, CLOUDS, FACTS)
    first = wish.clusters[0]
    request = ClusterRequest("sovereigns/acme", wish.fqdn, first.name, "abc", "east", {}, NodePool("cp", "sb8", 1))
    lines = (CostLine("server.worker.general[1]", "server", "sb4", PRICE),)
    infra = {first.name: InfraPlan(request, changes or (change(Action.CREATE),), lines)}
    wanted = Wanted(spec, wish, LOCK, infra, spec_applied=False, removed=rest.pop("removed", ()))
    read = Read("sovereigns/acme", 1, 0, "EUR", versions={"cloud_provider:sandbox": "1"}, **rest.pop("read", {}))
    return plans.apply(read, wanted, rest.pop("found", ()), **rest)
