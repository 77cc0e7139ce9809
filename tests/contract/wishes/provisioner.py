"""What the provisioner is asked to write."""

from collections.abc import Mapping
from typing import Any

from catalyst.provisioner.v1 import service_pb2 as provisioner

from ..mesh import Mesh
from .wish import Wish

_PROVISIONER = "catalyst.provisioner.v1"


async def a_sovereign(m: Mesh) -> Any:
    label = m.fresh()
    wish = provisioner.CreateSovereignRequest()
    wish.sovereign.name = f"sovereigns/{label}"
    spec = wish.sovereign.spec
    spec.organization.slug, spec.organization.admin_email = "acme", "ops@acme.example"
    spec.domain.mode, spec.domain.pool, spec.domain.label = "pool", "omani.works", label
    cluster = spec.clusters.add(provider="sandbox", region="east", building_block="mgt", env_type="prod")
    cluster.hosts.extend(["mgt", "rtz", "dmz"])
    cluster.credential.name = "credentials/sandbox-simulated"
    cluster.control_plane.size, cluster.control_plane.count = "sb8", 1
    for name in ("general", "data"):
        cluster.worker_pools.add(name=name, size="sb4", count=1)
    return wish


async def sovereign(m: Mesh) -> Any:
    return await m.call(f"{_PROVISIONER}.SovereignService/CreateSovereign", await a_sovereign(m))


async def changed(m: Mesh) -> Any:
    held = await sovereign(m)
    wish = provisioner.UpdateSovereignRequest(update_mask={"paths": ["spec.organization"]}, etag=held.etag)
    wish.sovereign.name = held.name
    wish.sovereign.spec.organization.CopyFrom(held.spec.organization)
    wish.sovereign.spec.organization.display_name = "Acme"
    return wish


async def deletion(m: Mesh) -> Any:
    held = await sovereign(m)
    return provisioner.DeleteSovereignRequest(name=held.name, etag=held.etag)


async def a_plan(m: Mesh) -> Any:
    return provisioner.CreatePlanRequest(parent=(await sovereign(m)).name, intent=1)


async def application(m: Mesh) -> Any:
    plan: Any = await m.call(f"{_PROVISIONER}.PlanService/CreatePlan", await a_plan(m))
    assert plan.applicable, list(plan.findings)
    return provisioner.ApplyPlanRequest(name=plan.name, hash=plan.hash)


async def run(m: Mesh) -> Any:
    wish = await application(m)
    await m.call(f"{_PROVISIONER}.PlanService/ApplyPlan", wish)
    parent = provisioner.ListRunsRequest(parent=wish.name.partition("/plans/")[0])
    listed: Any = await m.call(f"{_PROVISIONER}.RunService/ListRuns", parent)
    return listed.runs[0]


async def pause(m: Mesh) -> Any:
    held = await run(m)
    return provisioner.PauseRunRequest(name=held.name, etag=held.etag, reason="look")


async def resumption(m: Mesh) -> Any:
    held: Any = await m.call(f"{_PROVISIONER}.RunService/PauseRun", await pause(m))
    return provisioner.ResumeRunRequest(name=held.name, etag=held.etag)


async def cancellation(m: Mesh) -> Any:
    held = await run(m)
    return provisioner.CancelRunRequest(name=held.name, etag=held.etag, mode=1)


async def a_credential(m: Mesh) -> Any:
    wish = provisioner.CreateCredentialRequest(values={"token": f"sbt_acme_{'a1' * 16}"})
    wish.credential.name, wish.credential.kind = f"credentials/{m.fresh()}", "cloud_provider"
    wish.credential.provider = "sandbox"
    return wish


async def kept_credential(m: Mesh) -> Any:
    return await m.call(f"{_PROVISIONER}.CredentialService/CreateCredential", await a_credential(m))


async def turned_credential(m: Mesh) -> Any:
    held = await kept_credential(m)
    return provisioner.AddCredentialVersionRequest(
        name=held.name, etag=held.etag, values={"token": f"sbt_acme_{'b2' * 16}"}
    )


async def checked_credential(m: Mesh) -> Any:
    return provisioner.CheckCredentialRequest(name=(await kept_credential(m)).name)


async def gone_credential(m: Mesh) -> Any:
    held = await kept_credential(m)
    return provisioner.DeleteCredentialRequest(name=held.name, etag=held.etag)


WRITES: Mapping[str, Wish] = {
    f"{_PROVISIONER}.SovereignService/CreateSovereign": a_sovereign,
    f"{_PROVISIONER}.SovereignService/UpdateSovereign": changed,
    f"{_PROVISIONER}.SovereignService/DeleteSovereign": deletion,
    f"{_PROVISIONER}.PlanService/CreatePlan": a_plan,
    f"{_PROVISIONER}.PlanService/ApplyPlan": application,
    f"{_PROVISIONER}.RunService/PauseRun": pause,
    f"{_PROVISIONER}.RunService/ResumeRun": resumption,
    f"{_PROVISIONER}.RunService/CancelRun": cancellation,
    f"{_PROVISIONER}.CredentialService/CreateCredential": a_credential,
    f"{_PROVISIONER}.CredentialService/AddCredentialVersion": turned_credential,
    f"{_PROVISIONER}.CredentialService/CheckCredential": checked_credential,
    f"{_PROVISIONER}.CredentialService/DeleteCredential": gone_credential,
}
"""Good requests by method."""

STEPS_OF_RUNS = {
    f"{_PROVISIONER}.RunService/RetryStep": "needs a step that failed, which takes a run that moves",
    f"{_PROVISIONER}.PlanService/PreviewChange": "needs a Sovereign that was active once, which takes a run that moves",
    f"{_PROVISIONER}.InfrastructureService/DetectDrift": "needs a Sovereign that was active once, as above",
    f"{_PROVISIONER}.RunService/ApproveGate": "needs a step that waits, which takes a run that moves",
    f"{_PROVISIONER}.RunService/RejectGate": "needs a step that waits, which takes a run that moves",
    f"{_PROVISIONER}.RunService/SkipStep": "needs a step that may be left out, which only a destroy has",
    f"{_PROVISIONER}.AccessService/IssueKubeconfig": "needs a cluster that reports, which takes a run that moves",
    f"{_PROVISIONER}.AccessService/RevokeGrant": "needs a grant, as above",
}
"""Writers without a request here, with the reason; the daemon's own tests ask them."""
