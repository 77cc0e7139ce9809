"""What the author of a cloud made by OpenTofu or Terraform writes: a root module, and answers to a few questions about it.

The module
  has a file `versions.tf` with its `terraform` and `provider` blocks, alone;
  takes a variable `fenced` (bool): servers out of the load balancers and nothing let in;
  puts the request's labels on everything that bears a name;
  has one output `catalyst`: {load_balancers = [{purpose, ipv4, ipv6, ports}], api_endpoint, servers = [{name, id, role,
  private_ip, pool}], network = {id, cidr}}.
"""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, ClassVar

from ..cloud_types import (
    CloudManifest,
    ClusterRequest,
    CredentialReport,
    Discovered,
    Finding,
    Offer,
    OfferQuery,
    Price,
)
from ..context import PluginContext
from ..failures import PluginFailure
from ..secrets import Secret, SecretRef
from . import commands, folders, holders, verdicts
from .changes import Part, Resource
from .folders import RunFolder
from .locks import Pin
from .stream import Diagnostic
from .tool import Tool

PATIENCE = 900.0
"""Seconds: longer than a server takes, and shorter than the time of a step."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """How something that was found is written in a root that only takes it away: type and arguments that it must have.

    Other differences are ignored, unless the body has a `lifecycle` of its own.
    """

    type: str
    body: Mapping[str, Any]


class TofuModule(ABC):
    """One cloud. What an author must write is abstract, what he may is below it."""

    manifest: CloudManifest
    module: Path
    """Folder of the root module."""
    providers: Sequence[Pin] = ()
    """Versions and hashes of its providers; none for providers that are built into the tool."""
    error_classes: ClassVar[Mapping[str, Sequence[str]]] = {}
    """Error class (transient, rate_limited, capacity, quota, auth, conflict, invalid, protected) to provider codes."""
    remedies: ClassVar[Mapping[str, str]] = {}
    """Error class to what a person can do."""
    standing: ClassVar[Sequence[str]] = ()
    """Kinds in the order in which they stand on each other: what is leftover of a later kind is deleted first."""

    def __init__(self, manifest: CloudManifest, context: PluginContext) -> None:
        self.manifest = manifest
        self.context = context

    # What an author writes

    @abstractmethod
    def variables(self, request: ClusterRequest) -> Mapping[str, Any]:
        """The module's variables, plain and without any secret. Equal requests give equal variables."""

    @abstractmethod
    def environment(self, credential: Secret) -> Mapping[str, str]:
        """What the provider reads from the environment, its token above all."""

    @abstractmethod
    def resource(self, type: str, values: Mapping[str, Any]) -> Resource | Part:
        """What a resource of the module is. It is asked of plans too, in which ids are not known yet."""

    @abstractmethod
    def price(self, resource: Resource) -> Price | None:
        """What it costs; None: not known."""

    @abstractmethod
    async def find(self, *, names: Sequence[tuple[str, str]], credential: Secret) -> Sequence[Discovered]:
        """What bears one of these (kind, name), whosever it is."""

    @abstractmethod
    def leftover(self, found: Discovered) -> Leftover:
        """How it is written to be taken away."""

    @abstractmethod
    async def offers(self, *, query: OfferQuery, credential: SecretRef) -> Sequence[Offer]:
        """As in the contract."""

    @abstractmethod
    async def check_credential(self, *, needed: Sequence[str], credential: SecretRef) -> CredentialReport:
        """As in the contract."""

    @abstractmethod
    async def preflight(self, *, request: ClusterRequest, credential: SecretRef) -> Sequence[Finding]:
        """As in the contract."""

    @abstractmethod
    async def discover(self, *, labels: Mapping[str, str], credential: SecretRef) -> Sequence[Discovered]:
        """As in the contract."""

    # What an author may write

    def secret_variables(self, enrolments: Mapping[str, Mapping[str, str]]) -> Mapping[str, Any]:
        """Sensitive variables: of each server that will be made, by name, `endpoint`, `cluster`, `token`, `ca_pin`."""
        return {"enrolment": enrolments}

    def classify(self, diagnostic: Diagnostic) -> str:
        """The provider's machine code in a diagnostic; empty: it has none."""
        return verdicts.trailing_code(diagnostic)

    async def find_part(self, *, type: str, values: Mapping[str, Any], credential: Secret) -> str:
        """The import id of a part that exists already; empty: it doesn't."""
        return ""

    def released(self, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        """Variables under which everything may be deleted, where the cloud can protect against that."""
        return variables

    def ports(self, request: ClusterRequest) -> Mapping[str, int]:
        """Scheme to port of the ingress."""
        schemes = {80: "http", 443: "https"}
        return {schemes.get(one.port, f"tcp-{one.port}"): one.port for one in request.listeners}

    # For the work with the tool

    @property
    def machine(self) -> str:
        """What this machine is called among those that share the database."""
        return holders.machine_name(self.context.config.get("machine", ""))

    @property
    def patience(self) -> float:
        """Seconds for which a command of another machine is waited for when nobody tells of it."""
        return float(self.context.config.get("patience", PATIENCE))

    def environment_of(
        self, folder: RunFolder, data: Path, credential: Secret, secrets: Mapping[str, Any]
    ) -> dict[str, str]:
        """Of a command in `folder`."""
        given = self.environment(credential)
        where = {"folder": str(folder.path), "data": str(data)}
        return commands.environment(os.environ, **where, credential=given, secrets=secrets)

    @property
    def tool_settings(self) -> str:
        """The tool's own settings file."""
        config = self.context.config
        return commands.settings(mirror=config.get("mirror", ""), cache=config.get("provider_cache", ""))

    def providers_place(self, tool: Tool) -> Path:
        """Where the providers of this module are for this tool: fetched once, then only read."""
        program = Path(tool.path).stat()
        marks = [
            folders.module_digest(self.module),
            tool.path,
            program.st_size,
            program.st_mtime_ns,
            self.tool_settings,
        ]
        digest = hashlib.sha256(json.dumps([*marks, [astuple(pin) for pin in self.providers]]).encode())
        return self.context.folder / "providers" / digest.hexdigest()[:24]

    def failure(self, diagnostics: Sequence[Diagnostic]) -> PluginFailure:
        """The SDK's error for what the tool said."""
        classes = verdicts.by_code(self.error_classes)
        judged = [(one, self.classify(one)) for one in diagnostics]
        return verdicts.failure(judged, classes, provider=self.manifest.provider, actions=self.remedies)

    @property
    def module_digest(self) -> str:
        """Of the module and its providers: a plan made with another one is stale."""
        pins = json.dumps([astuple(pin) for pin in self.providers])
        return hashlib.sha256(f"{folders.module_digest(self.module)} {pins}".encode()).hexdigest()
