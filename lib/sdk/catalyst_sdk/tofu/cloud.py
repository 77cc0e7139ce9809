"""`TofuCloud`: a cloud whose every create, change and delete is done by OpenTofu or Terraform.

An author writes what `TofuModule` asks; this class does the rest of the contract `catalyst_sdk.cloud.CloudProvider`.
Our own code only reads such a cloud through its API.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cloud_types import (
    Action,
    Change,
    ClusterFacts,
    ClusterRequest,
    CostLine,
    Discovered,
    Finding,
    InfraPlan,
    LoadBalancer,
    Server,
    Severity,
)
from ..failures import Permanent
from . import children, commands, folders, orphans, states, sweeping
from . import tool as tools
from .changes import Planned, Resource, contract_changes, drifted, gone_beyond, planned
from .folders import RunFolder
from .module import TofuModule
from .work import Draft, TofuWork

if TYPE_CHECKING:
    from ..cloud import Workspace

SERVER = "server"
"""The kind whose resources dial home, and so need a token."""


class TofuCloud(TofuModule):
    """Base of a cloud plugin."""

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
            # Of what somebody asked once nothing is kept: a look at drift wants none of it.
            await run.keep(replace(run.kept, request=replace(request, anew={})))
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
