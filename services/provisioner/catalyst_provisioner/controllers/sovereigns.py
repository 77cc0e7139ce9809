"""Sovereign objects: described, planned and applied as by RPC, with the same findings and gates.

Invariants
  gates stand    what waits for a person's word in a plan waits for it here: the daemon asks, and nobody answers for itself;
  once           an object that is new is planned and applied until that went through; one that has counted is only observed;
  second person  who applied an object, where the API server tells, is the requester of what waits for another's word;
  not by mistake an object that goes leaves its Sovereign as it is, unless it carries `deletion-policy: destroy`.
"""

from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst_kube.cluster import Object
from catalyst_kube.conditions import Observed
from catalyst_kube.controller import Seen, Unacceptable
from catalyst_kube.daemons import Own, is_new, mark, passed_on, unserved
from catalyst_mesh import Caller
from google.protobuf.json_format import ParseDict, ParseError

MOVING, RESTING = timedelta(seconds=3), timedelta(seconds=60)
DESTROY = "destroy"
"""Value of the annotation `deletion-policy` with which an object takes its Sovereign along."""
IDLE = ("identityProvider", "tlsStrategy", "objectStorage", "buildingBlocks")
RESTLESS = frozenset({"regions"})
_State, _Health = pb.Sovereign.State, pb.Sovereign.Health
_MOVES = (_State.STATE_PROVISIONING, _State.STATE_UPDATING, _State.STATE_DESTROYING)


class Sovereigns:
    """What is known beside the object.

    service, plans   the daemon's own SovereignService and PlanService
    defaults         what an object leaves open, as `SovereignSpec` has it
    prefix           what stands before subjects in the annotation `applied-by`; None: nobody guards that, and it says nothing
    """

    def __init__(
        self, ask: Own, service: Any, plans: Any, defaults: Mapping[str, Any], prefix: str | None = None
    ) -> None:
        self._ask = ask
        self._service = service
        self._plans = plans
        self._defaults = defaults
        self._prefix = prefix

    async def reconcile(self, one: Object) -> Seen:
        """Raises Unacceptable."""
        fresh = is_new(one)
        held = await self._found(one)
        if held is None and fresh:
            held = await self._create(one)
        if held is None:
            return Seen((Observed("Ready", False, "DeletedElsewhere"),), again=RESTING)
        _demand_same(one, held)
        if fresh and held.state != _State.STATE_DESTROYED:
            held = await self._applied(one, await self._changed(one, held))
        return Seen(
            (*passed_on(held.conditions), unserved(one["spec"], IDLE)),
            status_of(held, datetime.now(UTC)),
            MOVING if held.state in _MOVES else RESTING,
            RESTLESS,
        )

    async def release(self, one: Object) -> None:
        """Begin its destruction where the object says so. Raises Unacceptable where it stays."""
        held = await self._found(one)
        if held is None or held.state in (_State.STATE_DESTROYED, _State.STATE_DESTROYING):
            return
        if held.state == _State.STATE_DRAFT:
            await self._ask(self._service.DeleteSovereign, rpc.DeleteSovereignRequest(name=held.name, etag=held.etag))
        elif mark(one, "deletion-policy") != DESTROY:
            raise Unacceptable("Kept", f"{held.name} stays; `catalyst sovereign destroy` takes it away")
        else:
            # Who deletes an object is told by nobody: the daemon asks, and the gates wait for a person.
            await self._run(held, pb.Plan.INTENT_DESTROY, order="", by=None)

    async def _found(self, one: Object) -> pb.Sovereign | None:
        request = rpc.GetSovereignRequest(name=name_of(one))
        held: pb.Sovereign | None = await self._ask.find(self._service.GetSovereign, request)
        return held

    async def _create(self, one: Object) -> pb.Sovereign:
        if one["spec"].get("deploymentId"):
            raise Unacceptable("DeploymentUnknown", f"{name_of(one)} is not here, so no deployment of it has an id")
        wish = pb.Sovereign(name=name_of(one), spec=described(one, self._defaults))
        made: pb.Sovereign = await self._ask(self._service.CreateSovereign, rpc.CreateSovereignRequest(sovereign=wish))
        return made

    async def _changed(self, one: Object, held: pb.Sovereign) -> pb.Sovereign:
        """Take over what an object can change of one that is there."""
        placement = one["spec"].get("bcpTopology", "single-region")
        if placement == (held.spec.placement or "single-region"):
            return held
        wish = pb.Sovereign(name=held.name, spec=pb.SovereignSpec(placement=placement))
        request = rpc.UpdateSovereignRequest(sovereign=wish, etag=held.etag)
        request.update_mask.paths.append("spec.placement")
        changed: pb.Sovereign = await self._ask(self._service.UpdateSovereign, request)
        return changed

    async def _applied(self, one: Object, held: pb.Sovereign) -> pb.Sovereign:
        """Apply what is wished; a run that goes on is waited for. Raises Unreachable, Unacceptable."""
        if held.state not in _MOVES:
            by = requester_of(one, self._prefix)
            await self._run(held, pb.Plan.INTENT_APPLY, order=mark(one, "order"), by=by)
        now = await self._found(one)
        return now if now is not None else held

    async def _run(
        self, held: pb.Sovereign, intent: pb.Plan.Intent.ValueType, *, order: str, by: Caller | None
    ) -> None:
        asked = rpc.CreatePlanRequest(parent=held.name, intent=intent, validate_only=True)
        if (await self._ask(self._plans.CreatePlan, asked)).empty:
            return
        wish = rpc.CreatePlanRequest(parent=held.name, intent=intent)
        plan: pb.Plan = await self._ask(self._plans.CreatePlan, wish, person=by)
        if not plan.applicable:
            wrong = [each.message for each in plan.findings if each.severity == pb.Finding.SEVERITY_ERROR]
            raise Unacceptable("PlanNotApplicable", f"{plan.name}: {'; '.join(wrong)}")
        apply = rpc.ApplyPlanRequest(name=plan.name, hash=plan.hash, order=order)
        await self._ask(self._plans.ApplyPlan, apply, person=by)


def name_of(one: Object) -> str:
    """Its resource name."""
    return f"sovereigns/{one['metadata']['name']}"


def requester_of(one: Object, prefix: str | None) -> Caller | None:
    """The person who changed its wish, with the daemon's rights: the cluster has let them. None: not told, or no person."""
    name = mark(one, "applied-by")
    if prefix is None or not name.startswith(prefix) or name.startswith("system:") or name == prefix:
        return None
    return Caller(subject=name.removeprefix(prefix), service="provisioner", everywhere=True)


def deployment_of(held: pb.Sovereign) -> str:
    """Id of a deployment: sixteen hex digits that never change in its life."""
    return held.uid.replace("-", "")[:16]


def described(one: Object, defaults: Mapping[str, Any]) -> pb.SovereignSpec:
    """The wish of an object over what it leaves open. Raises Unacceptable."""
    spec, labels = one["spec"], one["metadata"].get("labels", {})
    document: dict[str, Any] = deepcopy(dict(defaults))
    document["domain"] = {**document.get("domain", {}), **_domain(spec)}
    document["placement"] = spec.get("bcpTopology", "single-region")
    if owner := labels.get("openova.io/organization"):
        document.setdefault("organization", {})["slug"] = owner
    if "keycloakTopology" in spec:
        document["keycloak_topology"] = spec["keycloakTopology"]
    if spec.get("regions") and "clusters" not in document:
        document["regions"] = ["/".join(filter(None, (each.get("provider"), each["code"]))) for each in spec["regions"]]
    if "provider" in spec and "clusters" not in document:
        document.setdefault("cluster_defaults", {})["provider"] = spec["provider"]
    try:
        return ParseDict(document, pb.SovereignSpec())
    except ParseError as error:
        raise Unacceptable("DefaultsInvalid", f"sovereign_defaults is no SovereignSpec: {error}"[:1000]) from error


def _domain(spec: Mapping[str, Any]) -> dict[str, Any]:
    mode, fqdn = spec.get("domainMode", "pool"), spec["fqdn"]
    if mode != "pool":
        return {"mode": mode, "fqdn": fqdn}
    named = [each["name"] for each in spec.get("parentDomains", ()) if each["role"] == "primary"]
    pool = named[0] if named else fqdn.partition(".")[2]
    label = fqdn.removesuffix(f".{pool}")
    if label == fqdn or "." in label:
        raise Unacceptable("FqdnOutsidePool", f"{fqdn} is not one label below {pool}")
    return {"mode": mode, "pool": pool, "label": label}


def _demand_same(one: Object, held: pb.Sovereign) -> None:
    """Raises Unacceptable for an object that means another Sovereign."""
    given, id = one["spec"].get("deploymentId", ""), deployment_of(held)
    if given and given != id:
        raise Unacceptable("DeploymentForeign", f"{held.name} is deployment {id}, not {given}")
    fqdn = held.fqdn or _fqdn_of(held.spec.domain)
    if one["spec"]["fqdn"] != fqdn:
        raise Unacceptable("FqdnForeign", f"{held.name} is served as {fqdn}, which never changes")


def _fqdn_of(domain: pb.Domain) -> str:
    return domain.fqdn or f"{domain.label}.{domain.pool}"


def status_of(held: pb.Sovereign, now: datetime) -> dict[str, Any]:
    """What was observed of it."""
    placed = held.spec.placement or "single-region"
    usual = {0: "primary"} if placed == "active-hotstandby" else {}
    codes = list(dict.fromkeys(each.region for each in held.clusters))
    role = "active" if placed == "active-active" else "standby" if placed == "active-hotstandby" else "primary"
    return {
        "ready": held.state == _State.STATE_ACTIVE and held.health == _Health.HEALTH_HEALTHY,
        "regionCount": len(codes),
        "regions": [
            {
                "code": code,
                "role": usual.get(number, role),
                "ready": all(c.health == _Health.HEALTH_HEALTHY for c in held.clusters if c.region == code),
                "lastReconciledAt": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
            for number, code in enumerate(codes)
        ],
        "phase": phase_of(held),
    }


def phase_of(held: pb.Sovereign) -> str:
    """Its phase, one word for state and health."""
    handed_off = any(one.type == "HandedOff" and one.status == 1 for one in held.conditions)
    if held.state == _State.STATE_DRAFT:
        return "Pending"
    if held.state == _State.STATE_PROVISIONING:
        return "Bootstrapping"
    if held.state == _State.STATE_UPDATING and not handed_off and held.spec.hand_off:
        return "CutoverInProgress"
    if held.health != _Health.HEALTH_HEALTHY or held.state in (_State.STATE_FAILED, _State.STATE_DESTROYING):
        return "Degraded"
    return "Sovereign" if handed_off else "Ready"
