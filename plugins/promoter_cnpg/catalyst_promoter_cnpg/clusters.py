"""Cluster resources: read, and changed only as they were read.

Every change is one merge patch with the resourceVersion that was seen: the API server refuses it where anybody changed the
resource meanwhile, and then all is decided anew. So nothing lower than the epoch that stands there is ever written over it.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.epochs import Epochs

if TYPE_CHECKING:
    import httpx

PROVIDER = "cnpg"
PREFIX = "dr.openova.io/"
FENCE, ALL = "cnpg.io/fencedInstances", '["*"]'
TRIES = 5
_KEYS = {
    "epoch": "highest",
    "epoch-led": "led",
    "epoch-fenced": "fenced",
    "epoch-demoted": "demoted",
    "demoted-at": "demoted_at",
}
"""Annotations below PREFIX, and what they are of `Epochs`."""

Patch = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a region's Cluster is."""

    region: str
    api: str
    token_file: Path
    ca_file: Path | None
    namespace: str
    cluster: str
    database: str

    @property
    def url(self) -> str:
        """The resource."""
        return f"{self.api.rstrip('/')}/apis/postgresql.cnpg.io/v1/namespaces/{self.namespace}/clusters/{self.cluster}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Cluster resource as it was read."""

    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]
    status: Mapping[str, Any] = field(default_factory=dict)

    @property
    def annotations(self) -> Mapping[str, str]:
        return self.metadata.get("annotations") or {}

    @property
    def epochs(self) -> Epochs:
        """What is kept of epochs. Raises Permanent for what nobody of ours wrote: nobody may guess."""
        found: dict[str, Any] = {}
        for key, name in _KEYS.items():
            text = self.annotations.get(PREFIX + key)
            if text is not None:
                if name != "demoted_at" and not text.isdigit():
                    raise Permanent("ANNOTATION_INVALID", f"{PREFIX}{key} is {text!r}, no epoch", provider=PROVIDER)
                found[name] = text if name == "demoted_at" else int(text)
        return Epochs(**found)

    @property
    def name(self) -> str:
        """Its name in the topology."""
        return str((self.spec.get("replica") or {}).get("self") or self.metadata["name"])

    @property
    def is_primary(self) -> bool:
        """Whether it is wished to be the topology's primary."""
        replica = self.spec.get("replica") or {}
        return not replica or replica.get("primary") == self.name

    @property
    def is_fenced(self) -> bool:
        """Whether all of its instances are to be stopped."""
        return self.annotations.get(FENCE) == ALL

    @property
    def ready(self) -> int:
        """Instances that are ready."""
        return int(self.status.get("readyInstances") or 0)

    @property
    def is_settled(self) -> bool:
        """Whether the operator has acted upon all that is wished."""
        moving = (self.status.get("switchReplicaClusterStatus") or {}).get("inProgress")
        return not moving and self.status.get("phase") == "Cluster in healthy state"


def kept(epochs: Epochs, **more: str | None) -> Patch:
    """A patch that keeps epochs, and further annotations."""
    values = asdict(epochs)
    ours = {PREFIX + key: str(values[name]) for key, name in _KEYS.items()}
    return {"metadata": {"annotations": {**ours, **more}}}


class Clusters:
    """The Clusters of all regions."""

    def __init__(self, places: Mapping[str, Place], patience: float) -> None:
        self._places = places
        self._patience = patience
        self._made: dict[Path | None, httpx.AsyncClient] = {}

    @property
    def regions(self) -> tuple[str, ...]:
        """All of them, in the order of the configuration."""
        return tuple(self._places)

    def place(self, region: str) -> Place:
        """Where a region's Cluster is. Raises Permanent."""
        if region not in self._places:
            raise Permanent("REGION_UNKNOWN", f"{region} is no region of this database", provider=PROVIDER)
        return self._places[region]

    async def read(self, region: str, patience: float | None = None) -> Cluster:
        """The resource. Raises Temporary, or Permanent."""
        return _cluster(await self._asked(region, "GET", None, patience))

    async def change(
        self, region: str, decide: Callable[[Cluster], Patch | None], patience: float | None = None
    ) -> Cluster:  # fmt: skip - one call
        """Patch the resource as `decide` says of what stands there; None: nothing is to be changed. Raises as `read`."""
        for _ in range(TRIES):
            seen = await self.read(region, patience)
            patch = decide(seen)
            if patch is None:
                return seen
            patch.setdefault("metadata", {})["resourceVersion"] = seen.metadata["resourceVersion"]
            answer = await self._asked(region, "PATCH", patch, patience)
            if answer is not None:
                return _cluster(answer)
        raise Temporary(f"others keep changing the Cluster of {region}", provider=PROVIDER)

    async def close(self) -> None:
        """Close the connections."""
        for client in self._made.values():
            await client.aclose()

    async def _asked(
        self, region: str, method: str, patch: Patch | None, patience: float | None
    ) -> Mapping[str, Any] | None:  # fmt: skip - one call
        """The resource that was answered; None: somebody changed it before our patch."""
        import httpx  # a daemon that loads this plugin and does not use it is 8 MiB smaller

        place = self.place(region)
        try:
            headers = {"Authorization": f"Bearer {place.token_file.read_text().strip()}"}
            if patch is not None:
                headers["Content-Type"] = "application/merge-patch+json"
            answer = await self._client(place).request(
                method,
                place.url,
                headers=headers,
                json=patch,
                timeout=min(patience or self._patience, self._patience),
                params={"fieldManager": "continuum"} if patch is not None else None,
            )  # fmt: skip - one call
            told = answer.json()
        except (httpx.HTTPError, OSError, ValueError) as error:
            why = f"the Kubernetes API of {region} does not answer: {type(error).__name__}"
            raise Temporary(why, provider=PROVIDER) from error
        return self._read(region, answer.status_code, told)

    def _read(self, region: str, status: int, told: Any) -> Mapping[str, Any] | None:
        if status == 200 and isinstance(told, dict) and "metadata" in told and "spec" in told:
            return told
        why = f"{region}: {told.get('message', status) if isinstance(told, dict) else status}"
        if status == 409:
            return None
        if status in (401, 403):
            raise Permanent(
                "CREDENTIALS_REJECTED", why, provider=PROVIDER, user_action="let the token get and patch the Cluster"
            )
        if status == 404:
            raise Permanent(
                "CLUSTER_ABSENT", why, provider=PROVIDER, user_action="create the Cluster, or correct its name"
            )
        if status == 422:
            raise Permanent("CLUSTER_INVALID", why, provider=PROVIDER)
        raise Temporary(why, provider=PROVIDER, provider_code=str(status))

    def _client(self, place: Place) -> "httpx.AsyncClient":
        import httpx

        if place.ca_file not in self._made:
            trusted = ssl.create_default_context(cafile=place.ca_file) if place.ca_file else True
            # A connection for each question: one that was kept may lead to a server that is no more.
            single = httpx.Limits(max_keepalive_connections=0)
            self._made[place.ca_file] = httpx.AsyncClient(verify=trusted, trust_env=False, limits=single)
        return self._made[place.ca_file]


def _cluster(told: Mapping[str, Any] | None) -> Cluster:
    assert told is not None, "only a patch is refused for what others did"
    return Cluster(told["metadata"], told["spec"], told.get("status") or {})
