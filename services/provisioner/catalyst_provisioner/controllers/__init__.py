"""Objects of a cluster whose kinds this daemon owns: Sovereigns, and the states of provisioning that it shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from catalyst_kube import KINDS
from catalyst_kube.cluster import Cluster
from catalyst_kube.daemons import Own, Owned

from .sovereigns import Sovereigns
from .states import States

SERVICE = "provisioner"
RECONCILES = ("Sovereign",)
"""Kinds whose objects this daemon reads, and whose status it writes."""
SHOWS = ("ProvisioningState",)
"""Kinds whose objects are this daemon's own, in its own namespace."""


def owned(servicers: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str | None = None) -> Sequence[Owned]:
    """What this daemon reconciles, over its own servicers by their short names."""
    service, plans = servicers["SovereignService"], servicers["PlanService"]
    return (Owned(KINDS["Sovereign"], Sovereigns(Own(SERVICE), service, plans, defaults, prefix)),)


def states(servicers: Mapping[str, Any], cluster: Cluster, namespace: str) -> States:
    """What shows each Sovereign's provisioning as an object."""
    return States(
        Own(SERVICE),
        servicers["SovereignService"],
        servicers["RunService"],
        servicers["InfrastructureService"],
        cluster,
        namespace,
    )  # fmt: skip - one call
