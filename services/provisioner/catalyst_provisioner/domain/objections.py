"""What is said against a plan because of what was read for it, where no other module is about it. Pure."""

from collections.abc import Mapping

from catalyst_sdk.cloud import Finding, Severity

from . import cidrs
from .plan_inputs import Wanted
from .reference import Reference
from .sizing import Offers
from .wishes import Wish

CROSSPLANE = "bp-crossplane"


def ranges(wish: Wish, numbers: Mapping[str, int], reference: Reference) -> list[Finding]:
    """Ranges of clusters that touch what is reserved. `numbers`: the index of each cluster."""
    own = {c.name: cidrs.ranges(reference.cidrs, numbers[c.name], wish.cidr_base) for c in wish.clusters}
    return [
        Finding("cidr.overlap", Severity.ERROR, "spec.network.reserved_cidrs", f"{name} has {range}, which touches {kept}",
                "reserve another range")
        for name, range, kept in cidrs.conflicts(own, wish.reserved_cidrs)
    ]  # fmt: skip


def unsold(wish: Wish, offers: Offers) -> list[Finding]:
    """Clusters of which nobody says what is sold there: nothing of their sizes was judged."""
    return [
        Finding(
            "offers.unknown",
            Severity.WARNING,
            f"spec.clusters[{i}]",
            f"nobody says what {c.provider} sells in {c.region}",
            "look at the cloud, and plan again; sizes were not judged",
        )
        for i, c in enumerate(wish.clusters)
        if (c.provider, c.region) not in offers
    ]  # fmt: skip - one finding


def without_crossplane(wanted: Wanted) -> list[Finding]:
    """A hand-off without anybody to take it."""
    if not wanted.handing or any(component.name == CROSSPLANE for component in wanted.lock.components):
        return []
    text = f"{CROSSPLANE} is not among the components, and nobody would keep what is handed off"
    return [Finding("handoff.crossplane", Severity.WARNING, "spec.hand_off", text, f"include {CROSSPLANE}")]


def crossplanes(cluster: str, what: str) -> Finding:
    """What a plan cannot do while Crossplane keeps a cluster."""
    text = f"{cluster} was handed to Crossplane; {what}"
    remedy = "take it back first: a plan HAND_OFF with roll_back"
    return Finding("handoff.crossplane_keeps", Severity.ERROR, "spec.clusters", text, remedy)
