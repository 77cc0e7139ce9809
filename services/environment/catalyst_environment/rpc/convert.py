"""Entities as messages."""

from collections.abc import Iterable

from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.mesh.v1 import resources_pb2 as mesh
from catalyst_mesh import span, stamp
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from ..domain import applications, compliance, conditions
from ..domain.applications import Application, Pin
from ..domain.environments import BRANCHES, Environment
from ..domain.members import Invitation, Member, Role
from ..domain.organizations import BillingMode, Kind, Organization, Tier
from ..domain.promotions import Gate, Policy, Promotion
from ..domain.sights import Sight
from ..domain.webhooks import Delivery, DeliveryState, Webhook
from ..operations import name_of
from .names import etag_of

_ROLES = {
    Role.ADMIN: pb.Member.ROLE_ADMIN,
    Role.DEVELOPER: pb.Member.ROLE_DEVELOPER,
    Role.VIEWER: pb.Member.ROLE_VIEWER,
}
ROLES = {number: role for role, number in _ROLES.items()}
"""Roles by their numbers in the contract."""
_STATUSES = {
    True: mesh.Condition.STATUS_TRUE,
    False: mesh.Condition.STATUS_FALSE,
    None: mesh.Condition.STATUS_UNKNOWN,
}


def organization(o: Organization) -> pb.Organization:
    return pb.Organization(
        name=o.name,
        uid=o.uid,
        etag=etag_of(o.version),
        version=o.version,
        create_time=stamp(o.created_at),
        update_time=stamp(o.updated_at),
        display_name=o.display_name,
        kind=pb.Organization.Kind.Value(f"KIND_{Kind(o.kind).name}"),
        tier=pb.Organization.Tier.Value(f"TIER_{Tier(o.tier).name}"),
        billing_mode=pb.Organization.BillingMode.Value(f"BILLING_MODE_{BillingMode(o.billing_mode).name}"),
        industry=o.industry,
        default_environment_type=o.environment_type,
        plan=o.plan,
        state=pb.Organization.State.Value(f"STATE_{o.state.name}"),
        reason=o.reason,
        conditions=told(o.conditions, o.version),
        owner=f"{o.name}/members/{o.owner}",
        operation=name_of(o.run),
        purge_time=stamp(o.purge_at),
        blocked_until_time=stamp(o.blocked_until),
    )


def member(m: Member) -> pb.Member:
    return pb.Member(
        name=m.name,
        etag=etag_of(m.version),
        version=m.version,
        create_time=stamp(m.created_at),
        update_time=stamp(m.updated_at),
        subject=m.subject,
        email=m.email,
        role=_ROLES[m.role],
        owner=m.is_owner,
    )


def invitation(i: Invitation, state: str, token: str = "") -> pb.Invitation:
    """An invitation as it stands; `token` only where it was just drawn."""
    return pb.Invitation(
        name=i.name,
        etag=etag_of(i.version),
        version=i.version,
        create_time=stamp(i.created_at),
        update_time=stamp(i.updated_at),
        email=i.email,
        role=_ROLES[i.role],
        state=pb.Invitation.State.Value(f"STATE_{state.upper()}"),
        expire_time=stamp(i.expires_at),
        token=token,
    )


def environment(e: Environment) -> pb.Environment:
    return pb.Environment(
        name=e.name,
        etag=etag_of(e.version),
        version=e.version,
        create_time=stamp(e.created_at),
        update_time=stamp(e.updated_at),
        organization=f"organizations/{e.org}",
        type=e.type,
        regions=[
            pb.Environment.Region(
                provider=r.provider, region=r.region, building_block=r.building_block, host_cluster=r.host_cluster
            )
            for r in e.regions
        ],
        host_clusters=[one.cluster for one in e.hosts],
        state=pb.Environment.State.Value(f"STATE_{e.state.name}"),
        branch=e.branch,
        secrets_path=f"org/{e.org}/env/{e.type}/",
        subject_prefix=f"ws.{e.id}.",
        conditions=told(e.conditions, e.version),
    )


def application(a: Application, beside: Iterable[Application]) -> pb.Application:
    """An Application as it stands among those of its Environment."""
    type = a.environment.rpartition("-")[2]
    made = pb.Application(
        name=a.name,
        uid=a.uid,
        etag=etag_of(a.version),
        version=a.version,
        create_time=stamp(a.created_at),
        update_time=stamp(a.updated_at),
        blueprint=a.blueprint,
        blueprint_version=a.pin.release,
        config=ParseDict(dict(a.pin.config), Struct()),
        choices=dict(a.choices),
        state=pb.Application.State.Value(f"STATE_{a.state.name}"),
        reason=a.reason,
        conditions=told(a.conditions, a.version),
        repository=f"{a.org}/{a.id}.git",
        branch=BRANCHES[type].format(app=a.id),
        pin=_pin(a.pin),
        uses=a.uses,
        used_by=applications.used_by(a.id, beside),
        backing=a.is_backing,
        operation=name_of(a.run),
        active_time=stamp(a.active_since),
        score=a.score,
        placements=map(_placement, a.sights),
    )
    if a.previous is not None:
        made.previous.CopyFrom(_pin(a.previous))
    return made


def _placement(s: Sight) -> pb.Application.Placement:
    return pb.Application.Placement(
        cluster=s.cluster,
        state=pb.Application.Placement.State.Value(f"STATE_{s.state.name}"),
        message=s.message,
        commit=s.commit,
        chart_version=s.chart,
        change_time=stamp(s.since),
        simulated=s.simulated,
    )


def policy(p: Policy) -> pb.Policy:
    return pb.Policy(
        name=p.name,
        etag=etag_of(p.version),
        version=p.version,
        create_time=stamp(p.created_at),
        update_time=stamp(p.updated_at),
        required_approvals=p.required_approvals,
        soak=span(p.soak),
        required_score=p.required_score,
        change_windows=[
            pb.Policy.ChangeWindow(weekdays=w.weekdays, start=w.start, duration=span(w.duration)) for w in p.windows
        ],
        time_zone=p.time_zone,
        compliance=map(_compliance, p.compliance),
        unrendered=compliance.unrendered(p.compliance),
    )


def _compliance(rule: compliance.ComplianceRule) -> pb.Policy.ComplianceRule:
    kind = pb.Policy.ComplianceRule
    return kind(
        name=rule.name,
        mode=kind.Mode.Value(f"MODE_{rule.mode.name}"),
        scope=kind.Scope.Value(f"SCOPE_{rule.scope.name}"),
        weight=rule.weight,
    )


def compliance_rule(rule: pb.Policy.ComplianceRule) -> compliance.ComplianceRule:
    """The rule in the domain's words; what is not given takes its default."""
    kind = pb.Policy.ComplianceRule
    return compliance.ComplianceRule(
        rule.name,
        compliance.Mode.ENFORCING if rule.mode == kind.MODE_ENFORCING else compliance.Mode.PERMISSIVE,
        compliance.Scope[kind.Scope.Name(rule.scope or kind.SCOPE_ALL).removeprefix("SCOPE_")],
        rule.weight,
    )


def promotion(p: Promotion, gates: Iterable[Gate]) -> pb.Promotion:
    """A promotion with its gates as they stand."""
    return pb.Promotion(
        name=p.name,
        etag=etag_of(p.version),
        version=p.version,
        create_time=stamp(p.created_at),
        update_time=stamp(p.updated_at),
        application=p.application,
        source=f"environments/{p.source}",
        commit=p.commit,
        requester=p.requester,
        state=pb.Promotion.State.Value(f"STATE_{p.state.name}"),
        gates=[
            pb.Promotion.Gate(
                name=g.name, state=pb.Promotion.Gate.State.Value(f"STATE_{g.state.name}"), message=g.message
            )
            for g in gates
        ],
        approvers=p.approvers,
        overriders=[one.subject for one in p.demands],
        reason="; ".join(one.reason for one in p.demands),
        operation=name_of(p.run) if p.run else "",
    )


def _pin(pin: Pin) -> pb.Application.Pin:
    return pb.Application.Pin(version=pin.release, digest=pin.digest, commit=pin.commit)


def webhook(w: Webhook, drawn: str = "") -> pb.Webhook:
    """A webhook as it stands; `drawn` only where its secret was just drawn."""
    return pb.Webhook(
        name=w.name,
        etag=etag_of(w.version),
        version=w.version,
        create_time=stamp(w.created_at),
        update_time=stamp(w.updated_at),
        url=w.url,
        types=w.types,
        state=pb.Webhook.State.Value(f"STATE_{w.state.name}"),
        reason=w.reason,
        failing_start_time=stamp(w.failing_since),
        drawn_secret=drawn,
        secret_change_time=stamp(w.secret_changed_at),
    )


def delivery(d: Delivery) -> pb.WebhookDelivery:
    return pb.WebhookDelivery(
        name=d.name,
        create_time=stamp(d.created_at),
        type=d.type,
        event_time=stamp(d.event_at),
        state=pb.WebhookDelivery.State.Value(f"STATE_{d.state.name}"),
        next_attempt_time=stamp(d.due_at if d.state is DeliveryState.PENDING else None),
        attempts=[
            pb.WebhookDelivery.Attempt(
                attempt_time=stamp(one.at),
                status_code=one.status,
                latency=span(one.latency),
                answer=one.answer,
                error=one.error,
            )
            for one in d.attempts
        ],
        body=d.body,
    )  # fmt: skip - one message


def told(seen: Iterable[conditions.Condition], generation: int) -> list[mesh.Condition]:
    """Conditions as they are told."""
    return [
        mesh.Condition(
            type=one.type,
            status=_STATUSES[one.holds],
            reason=one.reason,
            message=one.message,
            observed_generation=generation,
            since=stamp(one.since),
        )
        for one in seen
    ]  # fmt: skip - one comprehension
