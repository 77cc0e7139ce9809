"""What the provisioner may ask of a cluster. What is not in here is answered with `not_supported`, never with silence."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2

from . import handover, seen
from .kube import Kube, NotAnswered

Command = pb.AgentCommand
Result = pb.AgentCommandResult
RELEASE, ROOT = "helmreleases.helm.toolkit.fluxcd.io", "kustomizations.kustomize.toolkit.fluxcd.io"
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


async def obey(command: Command, kube: Kube) -> Result | None:
    """Do it, and say what became of it. None: there is nothing to do."""
    asked = command.WhichOneof("command")
    if asked is None:
        return None
    doing = DOING.get(asked)
    if doing is None:
        return _cannot(command, asked)
    try:
        return await doing(command, kube)
    except NotAnswered as error:
        return Result(command=command.id, done=True, code="not_answered", message=str(error))


async def _reconcile(command: Command, kube: Kube) -> Result:
    kinds, asked = Command.Reconcile, command.reconcile
    if asked.action in (kinds.ACTION_SUSPEND, kinds.ACTION_RESUME):
        for root in await kube.all(ROOT, namespace=handover.NAMESPACE):
            stop = {"spec": {"suspend": asked.action == kinds.ACTION_SUSPEND}}
            await kube.patch(ROOT, handover.NAMESPACE, root["metadata"]["name"], stop)
    elif asked.action in (kinds.ACTION_RECONCILE, kinds.ACTION_RESET):
        marks = (REQUESTED, FORCED, ANEW) if asked.action == kinds.ACTION_RESET else (REQUESTED,)
        # Flux acts when the three carry the same value that it has not seen.
        now = datetime.now(UTC).isoformat()
        change = {"metadata": {"annotations": dict.fromkeys(marks, now)}}
        for release in _chosen(await kube.all(RELEASE), asked.components):
            await kube.patch(RELEASE, release["metadata"]["namespace"], release["metadata"]["name"], change)
    else:
        return _cannot(command, "removal of finalizers")
    return _done(command)


async def _drain(command: Command, kube: Kube) -> Result:
    """What the cluster made at its cloud: load balancers of services. Volumes follow their claims, which are named."""
    if command.drain.scope != Command.Drain.SCOPE_CLOUD_RESOURCES:
        return _cannot(command, f"drain of {Command.Drain.Scope.Name(command.drain.scope)}")
    found = {
        f"Service/{one['metadata']['namespace']}/{one['metadata']['name']}": one
        for one in await kube.all("services")
        if one["spec"].get("type") == "LoadBalancer"
    }
    for name, one in found.items():
        if name not in command.drain.keep and not one["metadata"].get("deletionTimestamp"):
            await kube.delete("service", one["metadata"]["name"], namespace=one["metadata"]["namespace"])
    claims = [
        f"PersistentVolumeClaim/{one['metadata']['namespace']}/{one['metadata']['name']}"
        for one in await kube.all("persistentvolumeclaims")
    ]
    left = [name for name in (*found, *claims) if name not in command.drain.keep]
    return Result(command=command.id, done=True, message=f"{len(found)} load balancers asked to go", remaining=left)


async def _access(command: Command, kube: Kube) -> Result:
    asked = command.mint_token
    name = "catalyst-" + asked.grant.rpartition("/")[2]
    if asked.revoke:
        await kube.delete("clusterrolebinding", name)
        await kube.delete("serviceaccount", name, namespace=GRANTS)
        return _done(command)
    role = ROLES.get(asked.role)
    if role is None:
        return Result(command=command.id, done=True, code="role_unknown", message=f"there is no role {asked.role}")
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


def _cannot(command: Command, what: str) -> Result:
    return Result(command=command.id, done=True, code="not_supported", message=f"this agent knows no {what}")
