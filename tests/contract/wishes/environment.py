"""What the daemon of Organizations, Environments and Applications is asked to write."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import yaml
from catalyst.environment.v1 import resources_pb2 as resources
from catalyst.environment.v1 import service_pb2 as environment
from catalyst_environment.domain import applications, members, organizations, webhooks
from catalyst_environment.domain.applications import Pin, Wanted
from catalyst_environment.domain.members import Member, Role
from catalyst_environment.domain.organizations import Organization
from catalyst_environment.domain.webhooks import Webhook
from sqlalchemy import update

from ..contracts import ROOT
from ..mesh import Mesh
from .wish import Wish

_PACKAGE = "catalyst.environment.v1"
_O, _M, _E, _A, _P, _W = (
    f"{_PACKAGE}.{name}Service"
    for name in ("Organization", "Member", "Environment", "Application", "Policy", "Webhook")
)
BLUEPRINT = "blueprints/bp-valkey"
VERSION = str(yaml.safe_load((ROOT / "blueprints" / "valkey" / "blueprint.yaml").read_text())["spec"]["version"])
COMMIT = "c" * 40


async def an_organization(m: Mesh) -> Any:
    wish = environment.CreateOrganizationRequest(organization_id=f"org-{m.fresh()}")
    wish.organization.display_name = "A test"
    return wish


async def organization(m: Mesh) -> Any:
    """One that is active; runs make them so, and none moves here."""
    made: Any = await m.call(f"{_O}/CreateOrganization", await an_organization(m))
    work: Any = m.daemons["environment"].daemon.work

    async def step(tx: Any) -> None:
        held = await tx.find(Organization, made.name.partition("/")[2], lock=True)
        await tx.save(organizations.activate(held, tx.now).state)
        runs = m.daemons["environment"].daemon.metadata.tables["journal_run"]
        await tx.sql.execute(update(runs).where(runs.c.id == held.run).values(holds=None, state="succeeded"))

    await work.again(step)
    return await m.call(f"{_O}/GetOrganization", environment.GetOrganizationRequest(name=made.name))


async def changed_organization(m: Mesh) -> Any:
    held = await organization(m)
    wish = environment.UpdateOrganizationRequest(etag=held.etag)
    wish.organization.name, wish.organization.display_name = held.name, "Another"
    return wish


async def gone_organization(m: Mesh) -> Any:
    held = await organization(m)
    slug = held.name.partition("/")[2]
    return environment.DeleteOrganizationRequest(name=held.name, etag=held.etag, confirm=slug, reason="a test")


async def returned_organization(m: Mesh) -> Any:
    request = await gone_organization(m)
    await m.call(f"{_O}/DeleteOrganization", request)
    return environment.UndeleteOrganizationRequest(name=request.name)


async def suspended_organization(m: Mesh) -> Any:
    return environment.SuspendOrganizationRequest(name=(await organization(m)).name, reason="unpaid")


async def resumed_organization(m: Mesh) -> Any:
    request = await suspended_organization(m)
    await m.call(f"{_O}/SuspendOrganization", request)
    return environment.ResumeOrganizationRequest(name=request.name)


async def member(m: Mesh) -> Any:
    """A developer beside the owner."""
    name, subject = (await organization(m)).name, m.fresh()
    org = name.partition("/")[2]
    work: Any = m.daemons["environment"].daemon.work

    async def step(tx: Any) -> Member:
        made = members.join(None, org, subject, Role.DEVELOPER, tx.now).state
        await tx.save(made)
        return made

    made = await work.again(step)
    return await m.call(f"{_M}/GetMember", environment.GetMemberRequest(name=made.name))


async def promoted_member(m: Mesh) -> Any:
    held = await member(m)
    wish = environment.UpdateMemberRequest(etag=held.etag)
    wish.member.name, wish.member.role = held.name, resources.Member.ROLE_VIEWER
    return wish


async def gone_member(m: Mesh) -> Any:
    held = await member(m)
    return environment.DeleteMemberRequest(name=held.name, etag=held.etag)


async def new_owner(m: Mesh) -> Any:
    return environment.TransferOwnershipRequest(name=(await member(m)).name)


async def an_invitation(m: Mesh) -> Any:
    wish = environment.CreateInvitationRequest(parent=(await organization(m)).name)
    wish.invitation.email, wish.invitation.role = f"{m.fresh()}@acme.example", resources.Member.ROLE_VIEWER
    return wish


async def invitation(m: Mesh) -> Any:
    return await m.call(f"{_M}/CreateInvitation", await an_invitation(m))


def _of_invitation(kind: Callable[..., Any]) -> Wish:
    async def wish(m: Mesh) -> Any:
        return kind(name=(await invitation(m)).name)

    return wish


async def an_environment(m: Mesh) -> Any:
    wish = environment.CreateEnvironmentRequest(parent=(await organization(m)).name)
    wish.environment.type = "dev"
    return wish


async def made_environment(m: Mesh) -> Any:
    return await m.call(f"{_E}/CreateEnvironment", await an_environment(m))


async def gone_environment(m: Mesh) -> Any:
    held = await made_environment(m)
    return environment.DeleteEnvironmentRequest(name=held.name, etag=held.etag)


async def an_application(m: Mesh) -> Any:
    """Of the public Blueprint that needs nothing else."""
    held = await made_environment(m)
    wish = environment.CreateApplicationRequest(parent=held.name, application_id=m.fresh())
    wish.application.blueprint, wish.application.blueprint_version = BLUEPRINT, VERSION
    return wish


async def application(m: Mesh, parent: str = "") -> Any:
    """One on which nobody works; runs write them, and none moves here."""
    parent, id = parent or (await made_environment(m)).name, m.fresh()
    env = parent.partition("/")[2]
    work: Any = m.daemons["environment"].daemon.work
    wanted = Wanted(id, BLUEPRINT, Pin(VERSION, "sha256:0", {}, ""), (), {}, False)

    async def step(tx: Any) -> None:
        org = env.rpartition("-")[0]
        made = applications.install(None, wanted, env, org, {}, uid=id, run="run-0", now=tx.now).state
        done = applications.settle(applications.committed(made, COMMIT, tx.now).state, tx.now).state
        await tx.save(replace(done, version=1, previous=done.pin))

    await work.again(step)
    name = f"{parent}/applications/{id}"
    return await m.call(f"{_A}/GetApplication", environment.GetApplicationRequest(name=name))


def _of_application(kind: Callable[..., Any], **fields: Any) -> Wish:
    async def wish(m: Mesh) -> Any:
        return kind(name=(await application(m)).name, **fields)

    return wish


async def changed_application(m: Mesh) -> Any:
    held = await application(m)
    wish = environment.UpdateApplicationRequest(etag=held.etag)
    wish.application.name = held.name
    wish.update_mask.paths.append("config")
    return wish


async def gone_application(m: Mesh) -> Any:
    held = await application(m)
    return environment.DeleteApplicationRequest(name=held.name, etag=held.etag)


async def changed_policy(m: Mesh) -> Any:
    name = f"{(await made_environment(m)).name}/policy"
    held: Any = await m.call(f"{_P}/GetPolicy", environment.GetPolicyRequest(name=name))
    wish = environment.UpdatePolicyRequest(etag=held.etag)
    wish.policy.name, wish.policy.required_approvals = name, 2
    return wish


async def a_promotion(m: Mesh) -> Any:
    """From dev to an Environment that asks for what nobody has given."""
    source = await application(m)
    dev, _, id = source.name.partition("/applications/")
    org = dev.partition("/")[2].rpartition("-")[0]
    wish = environment.CreateEnvironmentRequest(parent=f"organizations/{org}")
    wish.environment.type = "stg"
    target: Any = await m.call(f"{_E}/CreateEnvironment", wish)
    policy = environment.UpdatePolicyRequest(etag='"0"')
    policy.policy.name, policy.policy.required_approvals = f"{target.name}/policy", 2
    await m.call(f"{_P}/UpdatePolicy", policy)
    asked = environment.CreatePromotionRequest(parent=target.name)
    asked.promotion.application, asked.promotion.source = id, dev
    return asked


async def promotion(m: Mesh) -> Any:
    return await m.call(f"{_P}/CreatePromotion", await a_promotion(m))


def _of_promotion(kind: Callable[..., Any], **fields: Any) -> Wish:
    async def wish(m: Mesh) -> Any:
        return kind(name=(await promotion(m)).name, **fields)

    return wish


async def a_webhook(m: Mesh) -> Any:
    """To an address that nobody needs to look up."""
    wish = environment.CreateWebhookRequest(parent=(await organization(m)).name)
    wish.webhook.url = "https://93.184.216.34/hooks"
    wish.webhook.types.append("catalyst.v1.unheard.*")
    return wish


async def webhook(m: Mesh) -> Any:
    return await m.call(f"{_W}/CreateWebhook", await a_webhook(m))


def _of_webhook(kind: Callable[..., Any], **fields: Any) -> Wish:
    async def wish(m: Mesh) -> Any:
        return kind(name=(await webhook(m)).name, **fields)

    return wish


async def changed_webhook(m: Mesh) -> Any:
    held = await webhook(m)
    wish = environment.UpdateWebhookRequest(etag=held.etag)
    wish.webhook.name, wish.webhook.url = held.name, "https://93.184.216.34/other"
    return wish


async def gone_webhook(m: Mesh) -> Any:
    held = await webhook(m)
    return environment.DeleteWebhookRequest(name=held.name, etag=held.etag)


async def delivery(m: Mesh, parent: str = "") -> Any:
    """A test of a webhook that is then disabled: it waits, and nothing is sent anywhere."""
    name = parent or (await webhook(m)).name
    work: Any = m.daemons["environment"].daemon.work

    async def step(tx: Any) -> str:
        _, org, _, id = name.split("/")
        held = await tx.find(Webhook, org, id, lock=True)
        off = webhooks.disable(held, "a test", tx.now).state
        await tx.save((off, made := webhooks.begin(off, m.fresh(), "catalyst.test", "{}", tx.now, tx.now)))
        return str(made.name)

    return await m.call(f"{_W}/GetWebhookDelivery", environment.GetWebhookDeliveryRequest(name=await work.again(step)))


async def replayed_webhook(m: Mesh) -> Any:
    wish = environment.ReplayWebhookRequest(name=(await webhook(m)).name)
    wish.start_time.FromSeconds(1)
    return wish


WRITES: Mapping[str, Wish] = {
    f"{_O}/CreateOrganization": an_organization,
    f"{_O}/UpdateOrganization": changed_organization,
    f"{_O}/DeleteOrganization": gone_organization,
    f"{_O}/UndeleteOrganization": returned_organization,
    f"{_O}/SuspendOrganization": suspended_organization,
    f"{_O}/ResumeOrganization": resumed_organization,
    f"{_M}/UpdateMember": promoted_member,
    f"{_M}/DeleteMember": gone_member,
    f"{_M}/TransferOwnership": new_owner,
    f"{_M}/CreateInvitation": an_invitation,
    f"{_M}/ResendInvitation": _of_invitation(environment.ResendInvitationRequest),
    f"{_M}/RevokeInvitation": _of_invitation(environment.RevokeInvitationRequest),
    f"{_E}/CreateEnvironment": an_environment,
    f"{_E}/DeleteEnvironment": gone_environment,
    f"{_P}/UpdatePolicy": changed_policy,
    f"{_P}/CreatePromotion": a_promotion,
    f"{_P}/ApprovePromotion": _of_promotion(environment.ApprovePromotionRequest),
    f"{_P}/OverridePromotion": _of_promotion(environment.OverridePromotionRequest, reason="a test"),
    f"{_P}/CancelPromotion": _of_promotion(environment.CancelPromotionRequest),
    f"{_W}/CreateWebhook": a_webhook,
    f"{_W}/UpdateWebhook": changed_webhook,
    f"{_W}/DeleteWebhook": gone_webhook,
    f"{_W}/EnableWebhook": _of_webhook(environment.EnableWebhookRequest),
    f"{_W}/DisableWebhook": _of_webhook(environment.DisableWebhookRequest),
    f"{_W}/RotateWebhookSecret": _of_webhook(environment.RotateWebhookSecretRequest),
    f"{_W}/ReplayWebhook": replayed_webhook,
    f"{_A}/CreateApplication": an_application,
    f"{_A}/UpdateApplication": changed_application,
    f"{_A}/RollbackApplication": _of_application(environment.RollbackApplicationRequest),
    f"{_A}/PauseApplication": _of_application(environment.PauseApplicationRequest),
    f"{_A}/ResumeApplication": _of_application(environment.ResumeApplicationRequest),
    f"{_A}/DeleteApplication": gone_application,
    f"{_A}/ReportApplication": _of_application(environment.ReportApplicationRequest, commit=COMMIT, healthy=True),
}
"""Good requests by method."""

STEPS_OF_RUNS = {
    f"{_M}/AcceptInvitation": "needs a token that says a verified address",
    f"{_M}/LeaveOrganization": "needs a caller who accepted an invitation, as above",
    f"{_PACKAGE}.OperationService/RetryOperation": "needs a step that failed, which takes a run that moves",
    f"{_PACKAGE}.OperationService/CancelOperation": "needs a run over an Application, as above",
    f"{_A}/UpgradeApplication": "needs a Blueprint with two versions",
    f"{_W}/TestWebhook": "would send something to somebody's address",
}
"""Writers without a request here, with the reason; the daemon's own tests ask them."""

ASKED_BY = {f"{_A}/ReportApplication": {"service": "provisioner"}}
"""Claims of the caller where it is not the operator."""

Made = Callable[[Mesh], Awaitable[Any]]
