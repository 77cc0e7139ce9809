"""Facts of the domain as events of the contract."""

import hashlib
from dataclasses import dataclass
from typing import Any

from catalyst.environment.v1 import events_pb2 as pb
from catalyst_mesh import Emitted, stamp

from .domain import applications, environments, members, organizations, promotions, webhooks
from .operations import name_of

_ROOT = "catalyst.v1.environment"


@dataclass(frozen=True, slots=True)
class Progress:
    """Something happened to a run: what each of its events tells."""

    operation: str
    seq: int
    subject: str
    org: str
    kind: str = ""
    step: str = ""
    error: str = ""
    done: int = 0
    total: int = 0


class Started(Progress):
    """It was made."""


class Progressed(Progress):
    """A step is over."""


class Completed(Progress):
    """It came to a good end."""


class Failed(Progress):
    """It failed or was cancelled."""


def _created(f: organizations.Created) -> pb.OrganizationCreated:
    o = f.organization
    return pb.OrganizationCreated(organization=o.name, version=o.version, display_name=o.display_name, owner=f.owner)


def _activated(f: organizations.Activated) -> pb.OrganizationActivated:
    o = f.organization
    return pb.OrganizationActivated(organization=o.name, version=o.version, display_name=o.display_name)


def _updated(f: organizations.Updated) -> pb.OrganizationUpdated:
    o = f.organization
    return pb.OrganizationUpdated(
        organization=o.name, version=o.version, display_name=o.display_name, state=o.state.name, reason=o.reason
    )


def _suspended(f: organizations.Suspended) -> pb.OrganizationSuspended:
    o = f.organization
    return pb.OrganizationSuspended(organization=o.name, version=o.version, reason=o.reason, actor=f.actor)


def _resumed(f: organizations.Resumed) -> pb.OrganizationResumed:
    return pb.OrganizationResumed(organization=f.organization.name, version=f.organization.version, actor=f.actor)


def _deleted(f: organizations.Deleted) -> pb.OrganizationDeleted:
    o = f.organization
    return pb.OrganizationDeleted(organization=o.name, version=o.version, actor=o.deleted_by)


def _invited(f: members.Invited) -> pb.MemberInvited:
    i = f.invitation
    return pb.MemberInvited(
        invitation=i.name, version=i.version, organization=f"organizations/{i.org}", role=i.role,
        email_hash=hashlib.sha256(i.email.encode()).hexdigest(), expire_time=stamp(i.expires_at),
    )  # fmt: skip


def _joined(f: members.Joined) -> pb.MemberJoined:
    m = f.member
    org = f"organizations/{m.org}"
    return pb.MemberJoined(member=m.name, version=m.version, organization=org, subject=m.subject, role=m.role)


def _changed(f: members.Changed) -> pb.MemberChanged:
    m = f.member
    org = f"organizations/{m.org}"
    return pb.MemberChanged(member=m.name, version=m.version, organization=org, subject=m.subject, role=m.role)


def _removed(f: members.Removed) -> pb.MemberRemoved:
    m = f.member
    return pb.MemberRemoved(member=m.name, version=m.version, organization=f"organizations/{m.org}", subject=m.subject)


def _environment_created(f: environments.Created) -> pb.EnvironmentCreated:
    e = f.environment
    return pb.EnvironmentCreated(environment=e.name, version=e.version, organization=f"organizations/{e.org}")


def _environment_updated(f: environments.Updated) -> pb.EnvironmentUpdated:
    e = f.environment
    return pb.EnvironmentUpdated(
        environment=e.name,
        version=e.version,
        organization=f"organizations/{e.org}",
        host_clusters=[one.cluster for one in e.hosts],
    )


def _environment_deleted(f: environments.Deleted) -> pb.EnvironmentDeleted:
    e = f.environment
    return pb.EnvironmentDeleted(environment=e.name, version=e.version, organization=f"organizations/{e.org}")


def _where(one: applications.Application) -> dict[str, Any]:
    return {"organization": f"organizations/{one.org}", "environment": f"environments/{one.environment}"}


def _what(one: applications.Application) -> dict[str, Any]:
    pin = {"blueprint": one.blueprint, "blueprint_version": one.pin.release, "digest": one.pin.digest}
    return {**pin, "uses": one.uses, "backing": one.is_backing}


def _requested(f: applications.Requested) -> pb.ApplicationRequested:
    a = f.application
    return pb.ApplicationRequested(
        application=a.name, version=a.version, **_where(a), **_what(a), operation=name_of(a.run)
    )


def _installed(f: applications.Installed) -> pb.ApplicationInstalled:
    a = f.application
    return pb.ApplicationInstalled(application=a.name, version=a.version, **_where(a), **_what(a))


def _application_failed(f: applications.Failed) -> pb.ApplicationFailed:
    a = f.application
    return pb.ApplicationFailed(
        application=a.name,
        version=a.version,
        **_where(a),
        error=a.reason,
        operation=name_of(a.run),
        blueprint=a.blueprint,
        order=a.order,
        final=f.is_final,
    )


def _application_updated(f: applications.Updated) -> pb.ApplicationUpdated:
    a = f.application
    return pb.ApplicationUpdated(application=a.name, version=a.version, **_where(a), **_what(a), state=a.state.name)


def _application_removed(f: applications.Removed) -> pb.ApplicationRemoved:
    a = f.application
    return pb.ApplicationRemoved(application=a.name, version=a.version, **_where(a), blueprint=a.blueprint)


def _policy_updated(f: promotions.PolicyUpdated) -> pb.PolicyUpdated:
    p = f.policy
    org = p.environment.rpartition("-")[0]
    return pb.PolicyUpdated(policy=p.name, version=p.version, organization=f"organizations/{org}")


def _promoted(f: promotions.Promoted) -> pb.PolicyPromoted:
    p = f.promotion
    return pb.PolicyPromoted(
        promotion=p.name,
        version=p.version,
        organization=f"organizations/{p.org}",
        application=p.application,
        source=f"environments/{p.source}",
        commit=p.commit,
        requester=p.requester,
        approvers=p.approvers,
        overriders=[one.subject for one in p.demands],
        reason="; ".join(one.reason for one in p.demands),
    )  # fmt: skip - one event


def _webhook(
    f: webhooks.Created | webhooks.Updated | webhooks.Deleted | webhooks.Failed | webhooks.Disabled,
) -> dict[str, Any]:
    """What is told of each fact about one; its address stays here, as some addresses are secrets."""
    w = f.webhook
    return {"webhook": w.name, "version": w.version, "organization": f"organizations/{w.org}"}


def _started(f: Started) -> pb.OperationStarted:
    return pb.OperationStarted(operation=f.operation, version=f.seq, subject=f.subject, kind=f.kind, organization=f.org)


def _progressed(f: Progressed) -> pb.OperationProgressed:
    return pb.OperationProgressed(
        operation=f.operation, version=f.seq, subject=f.subject, step=f.step, done_count=f.done, total_count=f.total,
        organization=f.org,
    )  # fmt: skip


def _completed(f: Completed) -> pb.OperationCompleted:
    return pb.OperationCompleted(operation=f.operation, version=f.seq, subject=f.subject, organization=f.org)


def _failed(f: Failed) -> pb.OperationFailed:
    return pb.OperationFailed(
        operation=f.operation, version=f.seq, subject=f.subject, step=f.step, error=f.error, organization=f.org
    )


EMITTED = (
    Emitted(f"{_ROOT}.organization.created", organizations.Created, _created),
    Emitted(f"{_ROOT}.organization.activated", organizations.Activated, _activated),
    Emitted(f"{_ROOT}.organization.updated", organizations.Updated, _updated),
    Emitted(f"{_ROOT}.organization.suspended", organizations.Suspended, _suspended),
    Emitted(f"{_ROOT}.organization.resumed", organizations.Resumed, _resumed),
    Emitted(f"{_ROOT}.organization.deleted", organizations.Deleted, _deleted),
    Emitted(f"{_ROOT}.member.invited", members.Invited, _invited),
    Emitted(f"{_ROOT}.member.joined", members.Joined, _joined),
    Emitted(f"{_ROOT}.member.changed", members.Changed, _changed),
    Emitted(f"{_ROOT}.member.removed", members.Removed, _removed),
    Emitted(f"{_ROOT}.environment.created", environments.Created, _environment_created),
    Emitted(f"{_ROOT}.environment.updated", environments.Updated, _environment_updated),
    Emitted(f"{_ROOT}.environment.deleted", environments.Deleted, _environment_deleted),
    Emitted(f"{_ROOT}.application.requested", applications.Requested, _requested),
    Emitted(f"{_ROOT}.application.installed", applications.Installed, _installed),
    Emitted(f"{_ROOT}.application.failed", applications.Failed, _application_failed),
    Emitted(f"{_ROOT}.application.updated", applications.Updated, _application_updated),
    Emitted(f"{_ROOT}.application.removed", applications.Removed, _application_removed),
    Emitted(f"{_ROOT}.policy.updated", promotions.PolicyUpdated, _policy_updated),
    Emitted(f"{_ROOT}.policy.promoted", promotions.Promoted, _promoted),
    Emitted(f"{_ROOT}.webhook.created", webhooks.Created, lambda f: pb.WebhookCreated(**_webhook(f))),
    Emitted(f"{_ROOT}.webhook.updated", webhooks.Updated, lambda f: pb.WebhookUpdated(**_webhook(f))),
    Emitted(f"{_ROOT}.webhook.deleted", webhooks.Deleted, lambda f: pb.WebhookDeleted(**_webhook(f))),
    Emitted(
        f"{_ROOT}.webhook.failed", webhooks.Failed, lambda f: pb.WebhookFailed(**_webhook(f), reason=f.webhook.reason)
    ),
    Emitted(
        f"{_ROOT}.webhook.disabled",
        webhooks.Disabled,
        lambda f: pb.WebhookDisabled(**_webhook(f), reason=f.webhook.reason),
    ),
    Emitted(f"{_ROOT}.operation.started", Started, _started),
    Emitted(f"{_ROOT}.operation.progressed", Progressed, _progressed),
    Emitted(f"{_ROOT}.operation.completed", Completed, _completed),
    Emitted(f"{_ROOT}.operation.failed", Failed, _failed),
)  # fmt: skip - reads as a table
