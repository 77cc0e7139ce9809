"""The plugin of the folder cloud."""

import json
import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any, ClassVar

from catalyst_sdk import Permanent, Secret, SecretRef
from catalyst_sdk.cloud import (
    CloudManifest,
    ClusterRequest,
    CredentialReport,
    Discovered,
    Finding,
    NodePool,
    Offer,
    OfferQuery,
    Price,
    Region,
    Severity,
    owned,
)
from catalyst_sdk.tofu import Leftover, Resource, TofuCloud

PROVIDER = "files"
TOKEN = re.compile(r"^(?P<kind>fct|fcr)_[A-Za-z0-9]{16,64}$")
RIGHTS = {"fct": ("read", "write"), "fcr": ("read",)}
SIZES = {"f2": (2, 8, 10_000), "f4": (4, 16, 20_000)}
"""vCPU, GB, millionths of a EUR for an hour."""
SCRIPT = "exec sh '${path.module}/cloud.sh'"


def files_manifest() -> CloudManifest:
    """What it says of itself."""
    regions = (Region("here", "here", "e"), Region("there", "ther", "t"))
    capabilities = frozenset({"network", "firewall", "lb_tcp", "fence", "prices", "replace"})
    return CloudManifest(PROVIDER, "fc", "f", regions, capabilities, simulated=True)


class FilesCloud(TofuCloud):
    """A folder as a cloud."""

    module = Path(__file__).with_name("module")
    error_classes: ClassVar[Mapping[str, Sequence[str]]] = {
        "transient": ("server_error", "timeout"),
        "rate_limited": ("rate_limit_exceeded",),
        "capacity": ("resource_unavailable",),
        "quota": ("resource_limit_exceeded",),
        "auth": ("unauthorized", "token_readonly"),
        "conflict": ("uniqueness_error",),
    }
    standing = ("network", "firewall", "load_balancer", "server")

    @property
    def folder(self) -> Path:
        """Where its resources are."""
        return Path(self.context.config["folder"])

    def variables(self, request: ClusterRequest) -> Mapping[str, Any]:
        return {
            "folder": str(self.folder),
            "cluster": request.cluster,
            "suffix": request.suffix,
            "region": request.region,
            "labels": dict(request.labels),
            "subnet": request.subnet_cidr,
            "servers": _servers(request),
        }

    def environment(self, credential: Secret) -> Mapping[str, str]:
        return {"FILES_TOKEN": credential.reveal()}

    def resource(self, type: str, values: Mapping[str, Any]) -> Resource:
        spec = values["input"]
        return Resource(spec["kind"], spec["name"], spec["region"], dict(spec["labels"]), spec["size"])

    def classify(self, diagnostic: Any) -> str:
        found = re.search(r"\(([a-z_]+), [0-9a-f]+\)\s*$", diagnostic.detail)
        return found[1] if found else ""

    def price(self, resource: Resource) -> Price | None:
        return _price(resource.size) if resource.kind == "server" else Price("EUR", 0, 0)

    async def find(self, *, names: Sequence[tuple[str, str]], credential: Secret) -> Sequence[Discovered]:
        self._rights(credential)
        wanted = set(names)
        return [one for one in read(self.folder) if (one.kind, one.name) in wanted]

    def leftover(self, found: Discovered) -> Leftover:
        spec: dict[str, Any] = {"kind": found.kind, "name": found.name, "region": found.region, "size": ""}
        spec |= {"labels": dict(found.labels), "folder": str(self.folder)}
        environment = {"ID": "${self.id}", "FOLDER": "${self.input.folder}"}
        environment |= {"KIND": "${self.input.kind}", "NAME": "${self.input.name}"}
        delete = {"when": "destroy", "command": f"{SCRIPT} delete", "environment": environment}
        # Its input is all that the provisioner knows, so it has to be taken over.
        body = {"input": spec, "provisioner": [{"local-exec": delete}], "lifecycle": {}}
        return Leftover("terraform_data", body)

    async def offers(self, *, query: OfferQuery, credential: SecretRef) -> Sequence[Offer]:
        self._rights(await self.context.secrets.resolve(credential))
        return [
            Offer("server", size, region.id, "x86_64", vcpu, memory * 1024, price=_price(size))
            for size, (vcpu, memory, _) in SIZES.items()
            for region in self.manifest.regions
            if query.kind == "server" and query.size in ("", size) and query.region in ("", region.id)
        ]

    async def check_credential(self, *, needed: Sequence[str], credential: SecretRef) -> CredentialReport:
        try:
            rights = self._rights(await self.context.secrets.resolve(credential))
        except Permanent as failure:
            return CredentialReport(False, missing=tuple(needed), message=failure.message)
        missing = tuple(right for right in needed if right not in rights)
        return CredentialReport(not missing, tuple(right for right in needed if right in rights), missing, "folder")

    async def preflight(self, *, request: ClusterRequest, credential: SecretRef) -> Sequence[Finding]:
        self._rights(await self.context.secrets.resolve(credential))
        found = []
        if request.control_plane.size not in SIZES:
            found.append(Finding("size.unknown", Severity.ERROR, "control_plane.size", "there is no such size"))
        if ip_network(request.pod_cidr).overlaps(ip_network(request.node_cidr)):
            found.append(Finding("cidr.overlap", Severity.ERROR, "pod_cidr", "pods and nodes share addresses"))
        return found

    async def discover(self, *, labels: Mapping[str, str], credential: SecretRef) -> Sequence[Discovered]:
        self._rights(await self.context.secrets.resolve(credential))
        return [one for one in read(self.folder) if owned(labels, one.labels)]

    def _rights(self, credential: Secret) -> tuple[str, ...]:
        match = TOKEN.match(credential.reveal())
        if match is None:
            text, code = "not a token of the folder cloud", "unauthorized"
            raise Permanent("AUTH", text, provider=PROVIDER, provider_code=code)
        return RIGHTS[match["kind"]]


def read(folder: Path) -> list[Discovered]:
    """Everything that the folder holds."""
    found = []
    for file in sorted(folder.glob("*.json")):
        doc = json.loads(file.read_text())
        spec = doc["spec"]
        found.append(Discovered(spec["kind"], spec["name"], doc["id"], spec["region"], spec["labels"]))
    return found


def _servers(request: ClusterRequest) -> dict[str, Any]:
    hosts = list(ip_network(request.subnet_cidr).hosts())
    servers: dict[str, Any] = {}
    for role, pool in _pools(request):
        short = "cp" if role == "control_plane" else f"{pool.name}-"
        for number in range(1, pool.count + 1):
            name = f"{request.cluster}-{short}{number}-{request.suffix}"
            address = str(hosts[len(servers) + 1])
            servers[name] = {"size": pool.size, "role": role, "pool": pool.name, "private_ip": address}
    return servers


def _pools(request: ClusterRequest) -> list[tuple[str, NodePool]]:
    return [("control_plane", request.control_plane), *(("worker", pool) for pool in request.worker_pools)]


def _price(size: str) -> Price | None:
    return Price("EUR", SIZES[size][2], SIZES[size][2] * 730 // 10_000) if size in SIZES else None
