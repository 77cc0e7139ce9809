"""`TofuCloud`: a cloud whose every create, change and delete is done by OpenTofu or Terraform.

An author ships a root module and answers a few questions; this class does the rest of the contract
`catalyst_sdk.cloud.CloudProvider`. Our own code only reads such a cloud through its API.

The module
  has a file `versions.tf` with its `terraform` and `provider` blocks, alone;
  takes a variable `fenced` (bool): servers out of the load balancers and nothing let in;
  puts the request's labels on everything that bears a name;
  has one output `catalyst`: {load_balancers = [{purpose, ipv4, ipv6, ports}], api_endpoint, servers = [{name, id, role,
  private_ip, pool}], network = {id, cidr}}.
"""

import asyncio
import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..cloud_types import (
    Action,
    Change,
    CloudManifest,
    ClusterFacts,
    ClusterRequest,
    CostLine,
    CredentialReport,
    Discovered,
    Finding,
    InfraPlan,
    LoadBalancer,
    Offer,
    OfferQuery,
    Price,
    Server,
    Severity,
)
from ..context import PluginContext
from ..failures import Permanent, PluginFailure
from ..secrets import Secret, SecretRef
from . import children, commands, folders, holders, orphans, states, sweeping, verdicts
from . import tool as tools
from .changes import Part, Planned, Resource, contract_changes, drifted, gone_beyond, planned
from .folders import RunFolder
from .locks import Pin
from .stream import Diagnostic
from .sweeping import Leftover
from .tool import Tool
from .work import Draft, TofuWork

if TYPE_CHECKING:
    from ..cloud import Workspace

PATIENCE = 900.0
"""Seconds: longer than a server takes, and shorter than the time of a step."""
SERVER = "server"
"""The kind whose resources dial home, and so need a token."""


class TofuCloud(ABC):
    """Base of a cloud plugin. What an author must write is abstract, what he may is below it."""

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

    # The contract

    async def plan(self, *, request: ClusterRequest, work: "Workspace") -> InfraPlan:
        """What an apply would do. Reads only."""
        async with self._reading(request.labels, work) as run:
            await asyncio.to_thread(run.lay_out, request, fenced=run.kept.fenced)
            draft = await run.draft()
        stays = [line for line in draft.lines if line.action is not Action.DELETE]
        return InfraPlan(
            request,
            contract_changes(draft.lines),
            tuple(self._cost(line.address, line.what) for line in stays if isinstance(line.what, Resource)),
            tuple(_foreign(line, found) for line, found in draft.foreign),
        )

    async def apply(self, *, plan: InfraPlan, work: "Workspace") -> ClusterFacts:
        """Plan again, with real values, and carry it out if it is no more than what was accepted."""
        request = plan.request
        async with self._writing(request.labels, work) as run:
            await run.settle()
            run.secrets = await self._secrets(plan, run)
            await run.keep(replace(run.kept, request=request))
            await asyncio.to_thread(run.lay_out, request, fenced=run.kept.fenced)
            draft = await run.draft()
            self._demand_ours(draft)
            self._demand_accepted(plan.changes, draft)
            if not draft.is_empty:
                await run.intend(draft.lines)
                await run.carry_out(draft.lines)
            await run.reconcile()
            await self._drop_unwished(run, draft)
            return await self._facts(run, request)

    async def destroy(self, *, work: "Workspace", keep: Sequence[str] = ()) -> None:
        """Let the tool delete what its state holds, then whatever else of the ledger the cloud still shows."""
        kept, rows = states.decoded(await work.read_state()), await work.rows()
        labels = kept.request.labels if kept.request else rows[0].labels if rows else None
        if labels is None:
            return
        async with self._writing(labels, work) as run:
            await run.settle()
            if run.kept.version.addresses and run.kept.request:
                await self._unmake(run, run.kept.request, keep)
            await sweeping.sweep(self, run, keep)
            if not run.rows:
                await run.close()

    async def fence(self, *, work: "Workspace", fenced: bool) -> None:
        """Set the module's variable `fenced`; nothing may be made or deleted by it."""
        kept = states.decoded(await work.read_state())
        if kept.request is None:
            raise Permanent("INVALID", "nothing was made that could be fenced", provider=self.manifest.provider)
        request = kept.request
        async with self._writing(request.labels, work) as run:
            await run.settle()
            await asyncio.to_thread(run.lay_out, request, fenced=fenced)
            draft = await run.draft()
            changes = contract_changes(draft.lines)
            self._demand_accepted([change for change in changes if change.action is Action.UPDATE], draft)
            if not draft.is_empty:
                await run.carry_out(draft.lines)
            await run.keep(replace(run.kept, fenced=fenced))
        state = "fenced" if fenced else "open"
        await work.emit(code=f"cluster.{state}", message=f"the cluster is {state} now")

    async def drift(self, *, work: "Workspace") -> Sequence[Change]:
        """What is otherwise in the cloud than the state has it: UPDATE is changed, DELETE is missing. Reads only."""
        kept = states.decoded(await work.read_state())
        if kept.request is None:
            return ()
        request = kept.request
        async with self._reading(request.labels, work) as run:
            await asyncio.to_thread(run.lay_out, request, fenced=run.kept.fenced)
            shown = await run.show_plan(commands.plan(refresh_only=True))
            return contract_changes(drifted(shown, self.resource))

    @property
    def module_digest(self) -> str:
        """Of the module and its providers: a plan made with another one is stale."""
        pins = json.dumps([astuple(pin) for pin in self.providers])
        return hashlib.sha256(f"{folders.module_digest(self.module)} {pins}".encode()).hexdigest()

    # Of daemons that died

    async def left_behind(self) -> Sequence[Mapping[str, str]]:
        """Labels of the clusters whose tool has ended on this machine after its daemon had died.

        Since 0.2. A replica elsewhere that goes on with such a cluster waits until somebody writes that down.
        """
        return await asyncio.to_thread(lambda: [held["labels"] for _, held in orphans.left(self._folder({}))])

    async def written_down(self, *, labels: Mapping[str, str], state: bytes | None) -> bytes | None:
        """What has to be sealed in place of `state`, if that is still so. None: nobody waits, and nothing is left here.

        To be called again after the sealing. Since 0.2.
        """
        return await asyncio.to_thread(orphans.written_down, self._folder({}), labels, states.decoded(state))

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

    # Within

    @asynccontextmanager
    async def _reading(self, labels: Mapping[str, str], work: "Workspace") -> AsyncIterator[TofuWork]:
        """A folder of its own for a call that writes nothing; what an apply left behind is waited for."""
        home, root = self._folder(labels), self._folder({}).path
        await asyncio.to_thread(folders.shred_orphans, root)
        run = await self._work(folders.make_passing(root), work, seals=False)
        try:
            await run.wait_elsewhere()
            if (child := children.recorded(home.path)) and not await tools.ended(child, run.is_over):
                raise run.stopped()
            newest = states.newest(folder=home.read(commands.STATE), sealed=run.kept.tool)
            run.kept = replace(run.kept, tool=newest)
            yield run
        finally:
            await asyncio.shield(asyncio.to_thread(run.folder.shred))

    @asynccontextmanager
    async def _writing(self, labels: Mapping[str, str], work: "Workspace") -> AsyncIterator[TofuWork]:
        """The cluster's folder. It stays where something was not sealed, and where the call died or was cancelled."""
        run = await self._work(self._folder(labels).make(), work)
        run.labels = labels
        await run.read_rows()
        with run.folder.used():
            try:
                yield run
            except Exception:
                if run.is_sealed:
                    await asyncio.to_thread(run.folder.shred)
                raise
            if run.is_sealed:
                await asyncio.to_thread(run.folder.shred)

    async def _work(self, folder: RunFolder, work: "Workspace", *, seals: bool = True) -> TofuWork:
        credential = await self.context.secrets.resolve(work.credential)
        kept = states.decoded(await work.read_state())
        config = self.context.config
        tool = await tools.found(config.get("tool", ""), config.get("tool_sha256", ""))
        return TofuWork(self, tool, folder, work, kept, credential, seals=seals)

    def _folder(self, labels: Mapping[str, str]) -> RunFolder:
        """By the labels alone: they are all that an order to destroy may know. Without any: where all of them lie."""
        root = Path(self.context.config.get("run_dir") or self.context.folder / "runs")
        if not labels:
            return RunFolder(root)
        digest = hashlib.sha256(json.dumps(dict(labels), sort_keys=True).encode()).hexdigest()
        return RunFolder(root / digest[:24])

    async def _secrets(self, plan: InfraPlan, run: TofuWork) -> Mapping[str, Any]:
        """A token for each server that is still to be made."""
        enrolments = {}
        for change in plan.changes:
            row = run.rows.get((change.kind, change.name))
            is_made = row is not None and row.id and change.action is Action.CREATE
            if change.kind == SERVER and change.action in (Action.CREATE, Action.REPLACE) and not is_made:
                given = await run.work.enrolment(server=change.name)
                token = (await run.work.secrets.resolve(given.token)).reveal()
                enrolments[change.name] = {
                    "endpoint": given.endpoint, "cluster": given.cluster, "token": token, "ca_pin": given.ca_pin,
                }  # fmt: skip
        return self.secret_variables(enrolments)

    def _demand_ours(self, draft: Draft) -> None:
        if draft.foreign:
            line, found = draft.foreign[0]
            finding, code = _foreign(line, found), "name.foreign_resource"
            action = finding.remedy
            provider = self.manifest.provider
            raise Permanent("CONFLICT", finding.message, provider=provider, provider_code=code, user_action=action)

    def _demand_accepted(self, accepted: Sequence[Change], draft: Draft) -> None:
        if beyond := gone_beyond(accepted, draft.lines):
            text = f"more would change now than was accepted: {', '.join(sorted(beyond))}"
            action = "make a new plan and look at it"
            provider = self.manifest.provider
            raise Permanent("INVALID", text, provider=provider, provider_code="PLAN_DIVERGED", user_action=action)

    async def _drop_unwished(self, run: TofuWork, draft: Draft) -> None:
        """Rows of what was deleted by a command whose stream nobody heard."""
        wished = {(line.what.kind, line.what.name) for line in draft.lines if isinstance(line.what, Resource)}
        doubtful = [key for key in run.rows if key not in wished]
        found = await self.find(names=doubtful, credential=run.credential) if doubtful else ()
        for kind, name in set(doubtful) - {(one.kind, one.name) for one in found}:
            await run.drop(kind, name)

    async def _facts(self, run: TofuWork, request: ClusterRequest) -> ClusterFacts:
        output = (run.outputs.get("catalyst") or {}).get("value")
        if not isinstance(output, dict):
            text = "the module has no output `catalyst`"
            raise Permanent("INVALID", text, provider=self.manifest.provider, provider_code="module.output")
        ports = self.ports(request)
        balancers = [
            LoadBalancer(one["purpose"], one.get("ipv4") or "", _ports(one, ports), one.get("ipv6") or "")
            for one in output.get("load_balancers", ())
        ]
        servers = [
            Server(one["name"], str(one["id"]), one["role"], one.get("private_ip") or "", one.get("pool") or "")
            for one in output.get("servers", ())
        ]
        resources = await self.discover(labels=request.labels, credential=run.work.credential)
        endpoint = output.get("api_endpoint") or ""
        return ClusterFacts(tuple(balancers), endpoint, tuple(servers), tuple(resources), self.manifest.simulated)

    async def _unmake(self, run: TofuWork, request: ClusterRequest, keep: Sequence[str]) -> None:
        """Delete what the state holds, but for what is to be kept."""
        await asyncio.to_thread(run.lay_out, request, fenced=run.kept.fenced, released=True)
        if self.released(variables := self.variables(request)) != variables:
            freed = planned(await run.show_plan(commands.plan()), self.resource)
            updates = [line for line in freed if line.action is Action.UPDATE]
            if updates and len(updates) == len([line for line in freed if line.action is not Action.NO_OP]):
                await run.carry_out(freed)
        await run.reconcile()
        if keep:
            await run.forget(await run.kept_addresses(keep))
        lines = planned(await run.show_plan(commands.plan(destroy=True)), self.resource)
        if lines:
            await run.carry_out(lines)

    def _cost(self, address: str, what: Resource) -> CostLine:
        return CostLine(address, what.kind, what.size, self.price(what))


def _ports(balancer: Mapping[str, Any], ingress: Mapping[str, int]) -> dict[str, int]:
    """Those that the module names, else those of the request; a balancer that only servers can reach names none."""
    named = balancer.get("ports")
    return dict(ingress if named is None else named)


def _foreign(line: Planned, found: Discovered) -> Finding:
    return Finding(
        "name.foreign_resource",
        Severity.ERROR,
        line.address,
        f"the {found.kind} {found.name} ({found.id}) exists and doesn't carry this cluster's labels",
        "rename or remove it; it is neither adopted nor changed",
        {"kind": found.kind, "name": found.name, "id": found.id},
    )
