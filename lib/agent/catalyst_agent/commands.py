"""What the provisioner may ask of a cluster. What is not in here is answered with `not_supported`, never with silence."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2
from google.protobuf.json_format import MessageToDict

from . import draining, handover, probing, seen
from .kube import Kube, NotAnswered
from .machine import Machine, NotRestarted, NotUpgraded

Command = pb.AgentCommand
Result = pb.AgentCommandResult
RELEASE, ROOT = probing.RELEASE, "kustomizations.kustomize.toolkit.fluxcd.io"
LONGEST = 4_000
"""Characters of a sentence that is told."""
MOST_LEFT = 2_000
"""Names of what is left that are told."""
REQUESTED = "reconcile.fluxcd.io/requestedAt"
FORCED, ANEW = "reconcile.fluxcd.io/forceAt", "reconcile.fluxcd.io/resetAt"
GRANTS = "kube-system"
ROLES = {
    "viewer": "view",
    "view": "view",
    "editor": "edit",
    "edit": "edit",
    "admin": "admin",
    "cluster-admin": "cluster-admin",
}


async def obey(command: Command, kube: Kube, machine: Machine) -> Mapping[str, Any]:
    """Do it, and say what became of it: the field of a report. Empty: there is nothing to do."""
    asked = command.WhichOneof("command")
    if asked is None:
        return {}
    try:
        if asked == "probe":
            return {"probe_result": await _probe(command, kube)}
        return {"command_result": await _done_by(asked, command, kube, machine)}
    except NotAnswered as error:
        return {"command_result": _failed(command, "not_answered", str(error))}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # A word or an object of a shape that nobody announced: it ends this command, not the line.
        return {"command_result": _failed(command, "not_understood", repr(error))}


async def _done_by(asked: str, command: Command, kube: Kube, machine: Machine) -> Result:
    if asked in ("upgrade", "reboot"):
        return await (_upgraded if asked == "upgrade" else _rebooted)(command, machine)
    doing = DOING.get(asked)
    return _cannot(command, asked) if doing is None else await doing(command, kube)


async def _reconcile(command: Command, kube: Kube) -> Result:
    kinds, asked = Command.Reconcile, command.reconcile
    if asked.action in (kinds.ACTION_SUSPEND, kinds.ACTION_RESUME):
        for root in await kube.all(ROOT, namespace=handover.NAMESPACE):
            stop = {"spec": {"suspend": asked.action == kinds.ACTION_SUSPEND}}
            await kube.patch(ROOT, handover.NAMESPACE, root["metadata"]["name"], stop)
        if asked.action == kinds.ACTION_RESUME:
            await draining.restarted(kube)
    elif asked.action in (kinds.ACTION_RECONCILE, kinds.ACTION_RESET):
        marks = (REQUESTED, FORCED, ANEW) if asked.action == kinds.ACTION_RESET else (REQUESTED,)
        # Flux acts when the three carry the same value that it has not seen.
        now = datetime.now(UTC).isoformat()
        change = {"metadata": {"annotations": dict.fromkeys(marks, now)}}
        for release in _chosen(await kube.all(RELEASE), asked.components):
            await kube.patch(RELEASE, release["metadata"]["namespace"], release["metadata"]["name"], change)
    else:
        return await _ended(command, kube)
    return _done(command)


async def _ended(command: Command, kube: Kube) -> Result:
    """Take the finalizers off what was named, by somebody's consent; what is not ending is left alone."""
    refused = []
    for named in command.reconcile.objects:
        kind, namespace, name = named.split("/", 2)
        known = await kube.one(kind, name, namespace=namespace)
        if known is None:
            continue
        if not known["metadata"].get("deletionTimestamp"):
            refused.append(named)
        elif known["metadata"].get("finalizers"):
            await kube.patch(kind, namespace, name, {"metadata": {"finalizers": None}})
    if refused:
        return _failed(command, "not_ending", f"nobody has asked these to go: {', '.join(refused)}", refused)
    return _done(command)


async def _drain(command: Command, kube: Kube) -> Result:
    asked, kinds = command.drain, Command.Drain
    if asked.scope == kinds.SCOPE_CLOUD_RESOURCES:
        return _left(command, await draining.cloud_resources(kube, keep=asked.keep))
    if asked.scope == kinds.SCOPE_AUTOSCALERS:
        return _left(command, [], f"stopped: {', '.join(await draining.autoscalers(kube)) or 'none'}")
    if asked.scope in (kinds.SCOPE_CORDON, kinds.SCOPE_UNCORDON):
        await draining.cordon(kube, asked.node, is_closed=asked.scope == kinds.SCOPE_CORDON)
        return _done(command)
    if asked.scope == kinds.SCOPE_FORGET:
        await kube.delete("node", asked.node)
        return _done(command)
    if asked.scope != kinds.SCOPE_NODE:
        return _cannot(command, f"drain of {kinds.Scope.Name(asked.scope)}")
    grace = asked.grace_period.ToTimedelta().total_seconds() if asked.HasField("grace_period") else draining.GRACE
    await draining.cordon(kube, asked.node, is_closed=True)
    return _left(command, await draining.node(kube, asked.node, grace=grace, keep=asked.keep))


async def _probe(command: Command, kube: Kube) -> pb.AgentProbeResult:
    """Of one component; its answer ends the command."""
    asked = command.probe
    limit = asked.timeout.ToTimedelta().total_seconds() if asked.HasField("timeout") else probing.LIMIT
    spec = MessageToDict(asked.spec)
    found = await probing.asked(kube, asked.component, spec, limit=limit)
    found.command, found.probe = command.id, asked.probe or "ready"
    return found


async def _upgraded(command: Command, machine: Machine) -> Result:
    try:
        await machine.upgrade(command.upgrade.version, command.upgrade.binaries)
    except NotUpgraded as error:
        return _failed(command, "not_upgraded", str(error))
    return _done(command)


async def _rebooted(command: Command, machine: Machine) -> Result:
    try:
        begun = await machine.reboot(command.reboot.boot_id)
    except NotRestarted as error:
        return _failed(command, "not_restarted", str(error))
    text = "it restarts" if begun else "another boot is meant; nothing is done"
    return Result(command=command.id, done=True, message=text)


async def _access(command: Command, kube: Kube) -> Result:
    asked = command.mint_token
    name = "catalyst-" + asked.grant.rpartition("/")[2]
    if asked.revoke:
        await kube.delete("clusterrolebinding", name)
        await kube.delete("serviceaccount", name, namespace=GRANTS)
        return _done(command)
    role = ROLES.get(asked.role)
    if role is None:
        return _failed(command, "role_unknown", f"there is no role {asked.role}")
    await kube.apply(*_account(name, role))
    seconds = int(asked.ttl.ToTimedelta().total_seconds())
    until, token = time.time() + seconds, await kube.token(name, GRANTS, seconds)
    authority = await _authority(kube)
    return Result(
        command=command.id, done=True, message="minted", token=token, token_expire_time=seen.moment(until),
        ca_bundle_pem=authority,
    )  # fmt: skip


async def _tree(command: Command, kube: Kube) -> Result:
    """Pull from elsewhere, or another commit; what is not named stays as it is."""
    asked = command.tree
    given = service_pb2.TreeAccess(
        url=asked.url, branch=asked.branch, path=asked.path, username=asked.username, password=asked.password,
        commit=asked.commit,
    )  # fmt: skip
    if given.url and given.path and given.password:
        await kube.apply(*handover.tree(given))
    else:
        ref = {"commit": asked.commit or None, "branch": asked.branch or "main"}
        await kube.patch(SOURCE, handover.NAMESPACE, handover.LOGIN, {"spec": {"ref": ref}})
    now = datetime.now(UTC).isoformat()
    change = {"metadata": {"annotations": {REQUESTED: now}}}
    await kube.patch(SOURCE, handover.NAMESPACE, handover.LOGIN, change)
    return _done(command)


SOURCE = "gitrepositories.source.toolkit.fluxcd.io"
DOING: Mapping[str, Callable[[Command, Kube], Awaitable[Result]]] = {
    "reconcile": _reconcile,
    "drain": _drain,
    "mint_token": _access,
    "tree": _tree,
}


async def _authority(kube: Kube) -> str:
    maps = await kube.all("configmaps", namespace=GRANTS, selector="")
    return next((str(one["data"]["ca.crt"]) for one in maps if one["metadata"]["name"] == "kube-root-ca.crt"), "")


def _account(name: str, role: str) -> list[dict[str, Any]]:
    subject = {"kind": "ServiceAccount", "name": name, "namespace": GRANTS}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": GRANTS}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [subject],
        },
    ]  # fmt: skip


def _chosen(releases: Iterable[Mapping[str, Any]], names: Iterable[str]) -> list[Mapping[str, Any]]:
    wanted = set(names)
    return [one for one in releases if not wanted or one["metadata"]["name"] in wanted]


def _done(command: Command) -> Result:
    return Result(command=command.id, done=True, message="done")


def _left(command: Command, left: Sequence[str], message: str = "done") -> Result:
    return Result(command=command.id, done=True, message=message[:LONGEST], remaining=left[:MOST_LEFT])


def _failed(command: Command, code: str, message: str, left: Sequence[str] = ()) -> Result:
    return Result(command=command.id, done=True, code=code, message=message[:LONGEST], remaining=left)


def _cannot(command: Command, what: str) -> Result:
    return _failed(command, "not_supported", f"this agent knows no {what}")
