"""Organization objects: made, renamed, suspended and taken away by the same decisions as by RPC.

Invariants
  paid alone     a plan comes by a paid order; an object that names another is told so;
  who suspends   an object ends no suspension but one that it began: what billing suspended stays suspended;
  grace          an object that goes begins the deletion, which its owner can take back for seven days.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst_kube.cluster import Object
from catalyst_kube.conditions import Observed
from catalyst_kube.controller import Seen, Unacceptable
from catalyst_kube.daemons import Own, differing, is_new, is_suspended_by, passed_on, suspension, unserved
from catalyst_mesh import Caller

from ..domain.members import by_mail
from .people import People

MOVING, RESTING = timedelta(seconds=2), timedelta(seconds=60)
"""Until the next look at one that a run works on, and at any other."""
IDLE = ("parentOrg", "identity", "tenantPublic", "commerce", "costSources")
"""Fields upon which this daemon does not act."""
_State = pb.Organization.State


_OPEN = (_State.STATE_PROVISIONING, _State.STATE_ACTIVE)
"""Where members can be taken in."""


class Organizations:
    """service   the daemon's own OrganizationService; `people`, who become members by it"""

    def __init__(self, ask: Own, service: Any, people: People) -> None:
        self._ask = ask
        self._service = service
        self._people = people

    async def reconcile(self, one: Object) -> Seen:
        """Raises Unacceptable."""
        spec, fresh = one["spec"], is_new(one)
        held = await self._found(spec["slug"])
        if held is None and fresh:
            held = await self._create(spec)
        if held is None:
            return Seen(
                (Observed("Ready", False, "DeletedElsewhere", "it was deleted; its name is blocked for 30 days"),)
            )
        if fresh:
            _demand_same(spec, held)
            held = await self._changed(spec, held)
        people = await self._people.named(held.name, spec, fresh=fresh and held.state in _OPEN)
        held, suspended = await self._suspended(one, held, fresh=fresh)
        return Seen(
            (
                ready(held),
                suspended,
                differing({"displayName": spec["displayName"]}, {"displayName": held.display_name}),
                _plan(spec, held),
                people,
                unserved(spec, IDLE),
                # What it is made of is told when it is made, or is not to be had: each part for itself would cost a write.
                *passed_on(() if held.state == _State.STATE_PROVISIONING else held.conditions),
            ),
            status_of(held),
            MOVING if held.state in (_State.STATE_PROVISIONING, _State.STATE_DELETING) else RESTING,
        )  # fmt: skip - the parts of what was seen

    async def release(self, one: Object) -> None:
        """Begin its deletion, unless that has begun. Raises Unacceptable."""
        held = await self._found(one["spec"]["slug"])
        if held is None or held.state == _State.STATE_DELETING:
            return
        request = rpc.DeleteOrganizationRequest(
            name=held.name, etag=held.etag, confirm=one["spec"]["slug"], reason="its object was deleted"
        )
        await self._ask(self._service.DeleteOrganization, request)

    async def _found(self, slug: str) -> pb.Organization | None:
        name = f"organizations/{slug}"
        held = await self._ask.find(self._service.GetOrganization, rpc.GetOrganizationRequest(name=name))
        return None if held is None or held.state == _State.STATE_DELETED else held

    async def _create(self, spec: Mapping[str, Any]) -> pb.Organization:
        """In the name of its first owner, whom the token of that address will make known."""
        mail = next(person["email"] for person in spec["owners"] if person["role"] == "owner")
        wish = pb.Organization(
            display_name=spec["displayName"],
            default_environment_type=spec.get("defaultEnvironmentType", "prod"),
            **_never_changing(spec),
        )
        request = rpc.CreateOrganizationRequest(organization_id=spec["slug"], organization=wish)
        owner = Caller(subject=by_mail(mail), email=mail.lower())
        made: pb.Organization = await self._ask(self._service.CreateOrganization, request, person=owner)
        return made

    async def _changed(self, spec: Mapping[str, Any], held: pb.Organization) -> pb.Organization:
        if held.display_name == spec["displayName"]:
            return held
        wish = pb.Organization(name=held.name, display_name=spec["displayName"])
        request = rpc.UpdateOrganizationRequest(organization=wish, etag=held.etag)
        request.update_mask.paths.append("display_name")
        changed: pb.Organization = await self._ask(self._service.UpdateOrganization, request)
        return changed

    async def _suspended(self, one: Object, held: pb.Organization, *, fresh: bool) -> tuple[pb.Organization, Observed]:
        spec, is_suspended = one["spec"], held.state == _State.STATE_SUSPENDED
        ours = is_suspended and is_suspended_by(one)
        if fresh and spec.get("suspended", False) and held.state == _State.STATE_ACTIVE:
            request = rpc.SuspendOrganizationRequest(name=held.name, reason=spec["suspendReason"])
            held, ours = await self._ask(self._service.SuspendOrganization, request), True
        elif fresh and ours and not spec.get("suspended", False):
            held, ours = (
                await self._ask(self._service.ResumeOrganization, rpc.ResumeOrganizationRequest(name=held.name)),
                False,
            )
        return held, suspension(stands=held.state == _State.STATE_SUSPENDED, ours=ours, why=held.reason)


def ready(held: pb.Organization) -> Observed:
    """Whether it can be used."""
    word = _State.Name(held.state).removeprefix("STATE_").capitalize()
    return Observed("Ready", held.state == _State.STATE_ACTIVE, word, held.reason)


def status_of(held: pb.Organization) -> dict[str, Any]:
    """What of it is there."""
    is_coming = held.state == _State.STATE_PROVISIONING
    slug, has = (
        held.name.removeprefix("organizations/"),
        {one.type: one.status for one in held.conditions if not is_coming},
    )
    phases = {1: "Ready", 2: "Pending"}
    return {
        "vcluster": {"name": slug, "phase": phases.get(has.get("Vcluster", 0), "Pending")},
        **({"giteaOrg": {"name": slug}} if has.get("Git") == 1 else {}),
    }


def _plan(spec: Mapping[str, Any], held: pb.Organization) -> Observed:
    wished = spec.get("planSlug", "")
    if not wished or held.plan == f"plans/{wished}":
        return Observed("PlanAsWished", True, "AsWished")
    return Observed(
        "PlanAsWished", False, "PaidOrderNeeded", f"the plan is {held.plan or 'none'}; a paid order changes it"
    )


def _demand_same(spec: Mapping[str, Any], held: pb.Organization) -> None:
    """Raises Unacceptable for a field that never changes."""
    wished, stands = pb.Organization(**_never_changing(spec)), held
    wrong = [name for name in ("kind", "tier", "billing_mode") if getattr(wished, name) != getattr(stands, name)]
    if spec.get("defaultEnvironmentType", "prod") != held.default_environment_type:
        wrong.append("default_environment_type")
    if wrong:
        raise Unacceptable("Immutable", f"{held.name} is there with another {', '.join(wrong)}, which never changes")


def _never_changing(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": pb.Organization.Kind.Value(f"KIND_{spec['kind'].upper()}"),
        "tier": pb.Organization.Tier.Value(f"TIER_{spec['tier'].upper()}"),
        "billing_mode": pb.Organization.BillingMode.Value(f"BILLING_MODE_{spec['billingMode'].upper()}"),
    }
