"""Contract of kind `cloud_provider`: what the provisioner asks of a cloud, and what it hands over for it.

All that crosses is plain: strings, numbers, frozen dataclasses, `SecretRef`; never a client, a function or a secret's
value. What the host hands over (`Workspace`) is a set of messages, so a plugin may live in a process of its own.

The life of one resource, whatever dies in between:
  intent first    `intend` has returned before the cloud is asked to create;
  id at once      `created` follows as soon as the cloud has told the id;
  no twins        a row without id is looked up by name and labels before anything is made again;
  not ours        a resource of the same name without our labels is never adopted, changed or deleted;
  by id           deletion goes by the id of the row, and `gone` follows when the cloud no longer shows it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from .cloud_types import (
    CAPABILITIES,
    REASONS,
    Action,
    Adopted,
    Binary,
    Change,
    CloudManifest,
    ClusterFacts,
    ClusterRequest,
    CostLine,
    CredentialReport,
    Discovered,
    Finding,
    InfraPlan,
    Listener,
    LoadBalancer,
    NodePool,
    Offer,
    OfferQuery,
    Price,
    Region,
    Server,
    Severity,
    cloud_manifest,
    owned,
)
from .context import Secrets
from .secrets import SecretRef

__all__ = [
    "CAPABILITIES",
    "REASONS",
    "Action",
    "Adopted",
    "Binary",
    "Boots",
    "Change",
    "CloudManifest",
    "CloudProvider",
    "ClusterFacts",
    "ClusterRequest",
    "CostLine",
    "CredentialReport",
    "Discovered",
    "Enrolment",
    "Finding",
    "InfraPlan",
    "LedgerRow",
    "Listener",
    "LoadBalancer",
    "NodePool",
    "Offer",
    "OfferQuery",
    "Price",
    "Region",
    "Server",
    "Severity",
    "Workspace",
    "cloud_manifest",
    "owned",
]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a server needs to dial home. `token` names the one-time token: 256 bits, bound to one server."""

    endpoint: str
    """gRPC target, `host:port`."""
    cluster: str
    """Resource name, `sovereigns/acme/clusters/sb-east-mgt-prod`."""
    token: SecretRef
    ca_pin: str = ""
    """SHA-256 of the certificate authority; empty where the endpoint is plain (development on loopback)."""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A resource that was intended and isn't known to be gone. `id` empty: unknown whether it came to be."""

    kind: str
    name: str
    region: str
    labels: Mapping[str, str]
    id: str = ""
    price: Price | None = None


class Workspace(Protocol):
    """What the host hands over for one cluster's plan, apply or destroy. Each use is a message."""

    @property
    def credential(self) -> SecretRef:
        """The credential of this cluster's account."""
        ...

    @property
    def deadline(self) -> datetime:
        """When the step's time is over; long waits ask `stopping` too."""
        ...

    @property
    def secrets(self) -> Secrets:
        """Opens what references name."""
        ...

    async def rows(self) -> Sequence[LedgerRow]:
        """The cluster's rows in the order of intent, `gone` ones left out."""
        ...

    async def intend(
        self, *, kind: str, name: str, region: str, labels: Mapping[str, str], price: Price | None = None
    ) -> None:
        """Write down that this will be created. Durable when it returns; the same intent again changes nothing."""
        ...

    async def created(self, *, kind: str, name: str, id: str) -> None:
        """Write down the cloud's id of an intended resource. Durable when it returns."""
        ...

    async def gone(self, *, kind: str, name: str) -> None:
        """Write down that the cloud no longer has it."""
        ...

    async def read_state(self) -> bytes | None:
        """The plugin's own state of this cluster, opened; None before the first write."""
        ...

    async def write_state(self, state: bytes) -> None:
        """Seal and keep the plugin's own state of this cluster."""
        ...

    async def emit(
        self, *, code: str, message: str, level: str = "info", data: Mapping[str, str] | None = None
    ) -> None:
        """Tell people. `code` is a stable slug such as `resource.created`; nothing secret."""
        ...

    async def log(self, *, text: str, level: str = "INFO") -> None:
        """Write lines to the step's log, bounded; nothing secret. Since 0.2."""
        ...

    async def stopping(self) -> bool:
        """Whether the plugin is asked to end after the call in flight."""
        ...

    async def enrolment(self, *, server: str) -> Enrolment:
        """What the server of this name needs to dial home; until it has enrolled, the same token again."""
        ...


class Boots(Protocol):
    """A cloud whose servers fetch what they run; a plugin without it makes none that boot. Since 0.2."""

    def binaries(self, *, version: str) -> Sequence[Binary]:
        """k3s of this version for each architecture that is known; empty: nobody has said where it lies."""
        ...


class CloudProvider(Protocol):
    """A cloud. Only the four errors of the SDK leave it; a `Permanent` carries one of REASONS."""

    manifest: CloudManifest

    async def offers(self, *, query: OfferQuery, credential: SecretRef) -> Sequence[Offer]:
        """What can be bought now."""
        ...

    async def check_credential(self, *, needed: Sequence[str], credential: SecretRef) -> CredentialReport:
        """Whether the credential has the rights `needed` (`read`, `write`). Creates nothing.

        A rejected credential is a report, not an error.
        """
        ...

    async def preflight(self, *, request: ClusterRequest, credential: SecretRef) -> Sequence[Finding]:
        """Quota, stock, names, regions and sizes, checked without a plan."""
        ...

    async def plan(self, *, request: ClusterRequest, work: Workspace) -> InfraPlan:
        """What an apply would do. Reads only: neither the cloud nor the workspace is written."""
        ...

    async def apply(self, *, plan: InfraPlan, work: Workspace) -> ClusterFacts:
        """Make it so. May be called again after any interruption; the second call finds what the first one made.

        Deletes and replaces only what the plan names. When asked to stop it ends between two resources with
        `Temporary`, everything made until then being in the ledger.
        """
        ...

    async def destroy(self, *, work: Workspace, keep: Sequence[str] = ()) -> None:
        """Delete what the ledger lists, last made first, except the addresses or ids in `keep`."""
        ...

    async def discover(self, *, labels: Mapping[str, str], credential: SecretRef) -> Sequence[Discovered]:
        """All resources of all regions that carry all of `labels`."""
        ...

    async def fence(self, *, work: Workspace, fenced: bool) -> None:
        """Cut the cluster's servers off from the world, or let them back. Capability `fence` or `power_off`."""
        ...
