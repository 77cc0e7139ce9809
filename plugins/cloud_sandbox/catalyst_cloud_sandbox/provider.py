"""The plugin: the contract of a cloud over the simulated one. Blocking calls run in threads, one resource at a time."""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from collections.abc import Mapping as MappingOf
from typing import Any, ParamSpec, TypeVar

from catalyst_sdk import Permanent, Secret, SecretRef, Temporary
from catalyst_sdk.cloud import (
    Action,
    CloudManifest,
    ClusterFacts,
    ClusterRequest,
    CredentialReport,
    Discovered,
    Finding,
    InfraPlan,
    LedgerRow,
    LoadBalancer,
    Offer,
    OfferQuery,
    Server,
    Severity,
    Workspace,
    owned,
)
from catalyst_sdk.context import PluginContext

from . import addresses, catalogue, preflight, wishes
from .account import Account
from .rejections import PROVIDER, Rejected, passed_on
from .store import Resource
from .wishes import Wish

TOKEN = re.compile(r"^(?P<kind>sb[tr])_(?P<account>[a-z][a-z0-9-]{0,30})_[A-Za-z0-9]{16,64}$")
RIGHTS = {"sbt": frozenset({"read", "write"}), "sbr": frozenset({"read"})}
P = ParamSpec("P")
T = TypeVar("T")


class SandboxCloud:
    """The simulated cloud behind the contract `catalyst_sdk.cloud.CloudProvider`."""

    def __init__(self, manifest: CloudManifest, context: PluginContext) -> None:
        self.manifest = manifest
        self._context = context
        self._time_scale = float(context.config.get("time_scale", 1.0))

    async def offers(self, *, query: OfferQuery, credential: SecretRef) -> Sequence[Offer]:
        account = await self._account(credential)
        sold = await _call(account.sold)
        return list(catalogue.offers(query, tuple(region.id for region in self.manifest.regions), sold))

    async def check_credential(self, *, needed: Sequence[str], credential: SecretRef) -> CredentialReport:
        match = TOKEN.match((await self._secret(credential)).reveal())
        if match is None:
            return CredentialReport(False, missing=tuple(needed), message="not a token of the simulated cloud")
        rights = RIGHTS[match["kind"]]
        granted = tuple(right for right in needed if right in rights)
        missing = tuple(right for right in needed if right not in rights)
        text = f"the token may not {' or '.join(missing)}" if missing else "simulated account"
        return CredentialReport(not missing, granted, missing, match["account"], text)

    async def preflight(self, *, request: ClusterRequest, credential: SecretRef) -> Sequence[Finding]:
        account = await self._account(credential)
        existing = {(r.kind, r.name) for r in await _call(account.resources)}
        sold = await _call(account.sold)
        kinds = {wish.kind for wish in wishes.wished(request)}
        room = {kind: await _call(account.room, kind, request.region) for kind in kinds}
        found = preflight.findings(
            request,
            self.manifest,
            missing=lambda wish: (wish.kind, wish.name) not in existing,
            room=room.__getitem__,
            sold=sold,
        )
        return [*found, *await asyncio.to_thread(_loopback)]

    async def plan(self, *, request: ClusterRequest, work: Workspace) -> InfraPlan:
        account = await self._account(work.credential)
        return wishes.plan(request, await work.rows(), await _call(account.resources))

    async def apply(self, *, plan: InfraPlan, work: Workspace) -> ClusterFacts:
        account = await self._account(work.credential, write=True)
        rows = {(row.kind, row.name): row for row in await work.rows()}
        for wish in wishes.wished(plan.request):
            await _stop_if_asked(work)
            await self._ensure(account, wish, work, rows.get((wish.kind, wish.name)))
        for change in plan.changes:
            row = rows.get((change.kind, change.name))
            if change.action is Action.DELETE and row:
                await _stop_if_asked(work)
                await self._remove(account, row, work)
        await _call(account.settle)
        wished = wishes.wished(plan.request)
        found = await _call(account.resources, plan.request.labels)
        if unseen := {(w.kind, w.name) for w in wished} - {(r.kind, r.name) for r in found}:
            text = f"{', '.join(sorted(name for _, name in unseen))} cannot be seen yet"
            raise Temporary(text, provider=PROVIDER)
        return _facts(wished, found)

    async def destroy(self, *, work: Workspace, keep: Sequence[str] = ()) -> None:
        account = await self._account(work.credential, write=True)
        for row in reversed(await work.rows()):
            if row.id not in keep and row.name not in keep:
                await _stop_if_asked(work)
                await self._remove(account, row, work)

    async def discover(self, *, labels: MappingOf[str, str], credential: SecretRef) -> Sequence[Discovered]:
        account = await self._account(credential)
        return [_discovered(resource) for resource in await _call(account.resources, labels)]

    async def fence(self, *, work: Workspace, fenced: bool) -> None:
        account = await self._account(work.credential, write=True)
        for row in await work.rows():
            if row.kind == "server" and row.id:
                await _call(account.power, row.id, not fenced)
        state = "off" if fenced else "on"
        await work.emit(code=f"servers.powered_{state}", message=f"simulated servers are powered {state}", data=_MARK)

    async def _ensure(self, account: Account, wish: Wish, work: Workspace, row: LedgerRow | None) -> None:
        found = await _call(account.named, wish.kind, wish.name)
        if found is not None and found.id == wish.ends and wish.owns(found):
            await _call(account.delete, found.id)
            # Its id is forgotten before another one comes to be: whoever boots is bound to the id in the ledger.
            await work.gone(kind=wish.kind, name=wish.name)
            await _tell(work, "resource.deleted", "ends, to be made anew", wish.kind, found)
            found = None
        if found is None:
            try:
                found = await self._create(account, wish, work)
            except Permanent as taken:
                if taken.provider_code != "uniqueness_error" or row is None:
                    raise
                # A try before may have made it, and it cannot be seen yet.
                raise Temporary(str(taken), provider=PROVIDER, provider_code=taken.provider_code) from taken
        elif not wish.owns(found):
            text = f"the simulated {wish.kind} {wish.name} ({found.id}) isn't ours"
            raise Permanent("CONFLICT", text, provider=PROVIDER, provider_code="name.foreign_resource")
        elif row is None or row.id != found.id:
            # Made by a try that died before it could write the id down.
            await self._intend(wish, work)
            await work.created(kind=wish.kind, name=wish.name, id=found.id)
            await _tell(work, "resource.adopted", "found again", wish.kind, found)
        if not owned(wish.labels, found.labels):
            found = await _call(account.relabel, found.id, wish.labels)
        if wishes.dials_home(wish) and not found.spec.get("user_data"):
            found = await _call(account.update, found.id, {"user_data": await self._user_data(wish, work)})
        if differing := wishes.differing(wish, found):
            changed = await _call(account.update, found.id, {key: wish.spec[key] for key in differing})
            await _tell(work, "resource.updated", f"changed ({', '.join(differing)})", wish.kind, changed)

    async def _create(self, account: Account, wish: Wish, work: Workspace) -> Resource:
        await self._intend(wish, work)
        spec = dict(wish.spec)
        if wishes.dials_home(wish):
            spec["user_data"] = await self._user_data(wish, work)
        made = await _call(
            account.create, kind=wish.kind, name=wish.name, region=wish.region, labels=wish.labels, spec=spec
        )
        await work.created(kind=wish.kind, name=wish.name, id=made.id)
        await _tell(work, "resource.created", "created", wish.kind, made)
        return made

    async def _intend(self, wish: Wish, work: Workspace) -> None:
        price = catalogue.price(wish.kind, wish.size)
        await work.intend(kind=wish.kind, name=wish.name, region=wish.region, labels=wish.labels, price=price)

    async def _user_data(self, wish: Wish, work: Workspace) -> str:
        enrolment = await work.enrolment(server=wish.name)
        token = (await work.secrets.resolve(enrolment.token)).reveal()
        return json.dumps(
            {
                "simulated": True,
                "endpoint": enrolment.endpoint,
                "cluster": enrolment.cluster,
                "server": wish.name,
                "token": token,
                "ca_pin": enrolment.ca_pin,
                "time_scale": self._time_scale,
            }
        )  # fmt: skip - what a server is told at its birth, nothing more

    async def _remove(self, account: Account, row: LedgerRow, work: Workspace) -> None:
        # A row without id may have come to be: then it carries the name and all labels of the intent.
        found = None if row.id else await _call(account.named, row.kind, row.name)
        id = found.id if found and owned(row.labels, found.labels) else row.id
        if id:
            await _call(account.delete, id)
        await work.gone(kind=row.kind, name=row.name)
        data = {"kind": row.kind, "name": row.name, "id": id, **_MARK}
        await work.emit(code="resource.deleted", message=f"simulated {row.kind} {row.name} is gone", data=data)

    async def _account(self, credential: SecretRef, *, write: bool = False) -> Account:
        match = TOKEN.match((await self._secret(credential)).reveal())
        try:
            if match is None:
                raise Rejected("unauthorized", "not a token of the simulated cloud")
            if write and "write" not in RIGHTS[match["kind"]]:
                raise Rejected("token_readonly", "the token may only read")
        except Rejected as rejected:
            passed_on(rejected)
        quotas = self._context.config.get("quotas", {})
        return await asyncio.to_thread(Account, self._context.folder, match["account"], quotas)

    async def _secret(self, credential: SecretRef) -> Secret:
        return await self._context.secrets.resolve(credential)


_MARK = {"simulated": "true"}


async def _call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A call of the simulated cloud, off the loop; its refusals become the SDK's errors.

    Shielded: a create whose caller is cancelled runs to its end, and its row is found by the next try.
    """
    try:
        return await asyncio.shield(asyncio.to_thread(function, *args, **kwargs))
    except Rejected as rejected:
        passed_on(rejected)


async def _stop_if_asked(work: Workspace) -> None:
    if await work.stopping():
        raise Temporary("asked to stop between two resources", provider=PROVIDER)


async def _tell(work: Workspace, code: str, what: str, kind: str, resource: Resource) -> None:
    data = {"kind": kind, "name": resource.name, "id": resource.id, "region": resource.region, **_MARK}
    await work.emit(code=code, message=f"simulated {kind} {resource.name} {what} in {resource.region}", data=data)


def _facts(wished: Sequence[Wish], found: Sequence[Resource]) -> ClusterFacts:
    names = {(wish.kind, wish.name) for wish in wished}
    ours = [resource for resource in found if (resource.kind, resource.name) in names]
    return ClusterFacts(
        load_balancers=tuple(
            LoadBalancer("ingress", r.spec["ipv4"], {"http": r.spec["port"]}) for r in ours if _is_ingress(r)
        ),
        api_endpoint=next((f"https://{r.spec['ipv4']}:6443" for r in ours if _is_ingress(r)), ""),
        servers=tuple(_server(r) for r in ours if r.kind == "server"),
        resources=tuple(_discovered(r) for r in found),
        simulated=True,
    )


def _is_ingress(resource: Resource) -> bool:
    return resource.kind == "load_balancer" and not resource.spec.get("private")


def _server(resource: Resource) -> Server:
    spec: MappingOf[str, Any] = resource.spec
    return Server(resource.name, resource.id, spec["role"], spec["private_ip"], spec["pool"])


def _discovered(resource: Resource) -> Discovered:
    price = catalogue.price(resource.kind, str(resource.spec.get("size", "")))
    return Discovered(resource.kind, resource.name, resource.id, resource.region, resource.labels, price)


def _loopback() -> list[Finding]:
    if addresses.has_loopback_range():
        return []
    remedy = "add the addresses, e.g. `sudo ifconfig lo0 alias 127.7.1.1 up`, as many as clusters are wanted"
    text = "this machine answers on 127.0.0.1 only; a simulated cluster needs an address of 127.7.0.0/16"
    return [Finding("sandbox.loopback", Severity.ERROR, "provider", text, remedy)]
