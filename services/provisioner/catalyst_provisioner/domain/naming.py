"""Names of clusters and servers, from typed dimensions and back.

Invariants
  one way    `parse(cluster_name(d))` gives the codes of `d` back; no two dimensions share a name;
  function   names carry provider, region, building block and environment type, never rank and never an Organization.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .reference import Code

LABEL_PREFIX = "openova.io"
SOVEREIGN_LABEL = f"{LABEL_PREFIX}/sovereign"
CLUSTER_LABEL = f"{LABEL_PREFIX}/cluster"
UID_LABEL = f"{LABEL_PREFIX}/sovereign-id"
_CLUSTER = re.compile(r"^([a-z]{2,5})-([a-z]{2,5})-(rtz|dmz|mgt)-(prod|stg|uat|dev|poc)$")


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What a name is made of."""

    provider: Code
    region: Code
    block: str
    block_letter: str
    env_type: str
    env_letter: str

    @property
    def cluster_name(self) -> str:
        """`hz-fsn-mgt-prod`: cluster, kube context and folder of the tree."""
        return f"{self.provider.long}-{self.region.long}-{self.block}-{self.env_type}"

    @property
    def location_code(self) -> str:
        """Four letters used in DNS, `hfmp`."""
        return f"{self.provider.letter}{self.region.letter}{self.block_letter}{self.env_letter}"

    def server_name(self, number: int, app: str = "k8s") -> str:
        """`hzfsnm-k8s-1p`."""
        return f"{self.provider.long}{self.region.long}{self.block_letter}-{app}-{number}{self.env_letter}"


def parse(name: str) -> tuple[str, str, str, str] | None:
    """Provider code, region code, building block and environment type of a cluster's name."""
    found = _CLUSTER.match(name)
    return (found[1], found[2], found[3], found[4]) if found else None


def labels(*, sovereign: str, uid: str, provider: str, region: str, block: str, env_type: str, cluster: str,
           manager: str = "catalyst") -> Mapping[str, str]:  # fmt: skip
    """Ownership labels of everything at a cloud that is made for a cluster."""
    values = {
        "sovereign": sovereign,
        "sovereign-id": uid,
        "provider": provider,
        "region": region,
        "building-block": block,
        "env-type": env_type,
        "cluster": cluster,
        "managed-by": manager,
    }
    return {f"{LABEL_PREFIX}/{key}": value for key, value in values.items()}


def sweep_labels(uid: str) -> Mapping[str, str]:
    """What everything of one Sovereign carries, whatever the cluster."""
    return {UID_LABEL: uid}
