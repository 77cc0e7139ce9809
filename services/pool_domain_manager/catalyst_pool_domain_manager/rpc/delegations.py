"""DelegationService: from the look at the present delegation to the run that moves it, and the one that takes it back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from catalyst.pooldomain.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Caller, Context, InvalidRequest, Work, caller
from catalyst_mesh.journal import Engine, RunInProgress
from catalyst_sdk import Decision, Permanent, PluginFailure, Temporary, Violation
from catalyst_sdk.dns import Capability, DnsBackend, ZoneState
from catalyst_sdk.registrar import Access, RegistrarInfo, Target, delegation_target
from google.longrunning import operations_pb2

from catalyst_pool_domain_manager.domain import (
    delegations,
    identity,
    moves,
    plans,
    record_sets,
    refusals,
    registrars,
    zone_refusals,
)
from catalyst_pool_domain_manager.domain.delegations import Delegation, Parent
from catalyst_pool_domain_manager.domain.dnssec import DISABLE, ROLL
from catalyst_pool_domain_manager.domain.hosting import Zone
from catalyst_pool_domain_manager.domain.moves import Sight
from catalyst_pool_domain_manager.domain.plans import DELEGATION_PLAN, Plan, PlanNotFound
from catalyst_pool_domain_manager.domain.registrars import (
    RegistrarRefused,
    RegistrarUnable,
    RegistrarUnavailable,
    registrar_name,
)
from catalyst_pool_domain_manager.domain.server_sets import GlueRequired, ServersRefused
from catalyst_pool_domain_manager.kept.delegations import target_in, target_out
from catalyst_pool_domain_manager.store import Store
from catalyst_pool_domain_manager.workers import signers
from catalyst_pool_domain_manager.workers.applying import new_id
from catalyst_pool_domain_manager.workers.doors import BY_HAND, Door
from catalyst_pool_domain_manager.workers.flips import FLIP, Flipping
from catalyst_pool_domain_manager.workers.moving import Moving, ns_lives, own_ds, own_keys
from catalyst_pool_domain_manager.workers.registry import Registry
from catalyst_pool_domain_manager.workers.servers import Fault, rrset
from catalyst_pool_domain_manager.workers.worlds import state_at

from .delegation_messages import from_ds, from_glue, of_child, to_delegation
from .operations import started
from .plan_messages import to_plan
from .registrar_calls import Registrars
from .standing import demand_account
from .zone_views import governed, viewed

_SUFFIX = "/delegation"


@dataclass(frozen=True, slots=True)
class DelegationTools:
    """What the methods work with."""

    work: Work[Store]
    moving: Moving
    flipping: Flipping
    engine: Engine
    registrars: Registrars
    registry: Registry
    private_suffix: Callable[[str], str | None]
    key: bytes
    """From which the nonces of challenges are made."""


class DelegationService(service_pb2_grpc.DelegationServiceServicer):
    """The cut above a zone: shown, planned, moved by a run, taken back."""

    def __init__(self, tools: DelegationTools) -> None:
        self._t = tools
        self._work = tools.work

    async def GetDelegation(
        self, request: service_pb2.GetDelegationRequest, context: Context
    ) -> resources_pb2.Delegation:
        async with self._work.reading() as tx:
            view = await viewed(tx, request.name.removesuffix(_SUFFIX), caller(context))
            if view.zone is not None:
                return to_delegation(await _of(tx, view.zone), tx.now)
            if view.allocation is not None:
                return of_child(view.allocation)
        return resources_pb2.Delegation(
            name=request.name, parent=resources_pb2.Delegation.PARENT_MANUAL, state=resources_pb2.Delegation.STATE_NONE
        )

    async def PlanDelegation(
        self, request: service_pb2.PlanDelegationRequest, context: Context
    ) -> resources_pb2.Plan:  # fmt: skip
        me, name = caller(context), request.name.removesuffix(_SUFFIX)
        async with self._work.reading() as tx:
            zone = (await governed(tx, name, me)).kept
            account = request.registrar_account or await _of_pool(tx, zone)
            await demand_account(tx, account, zone.owner, me)
        door = await self._t.moving.doors.open(account, zone.domain)
        self._demand_possible(door.info, zone, account)
        target, sight = await self._seen(request.target, zone, door)
        safety = moves.judge(zone, target, sight)
        parent = Parent.REGISTRAR if account else Parent.MANUAL

        async def step(tx: Store) -> Decision[Plan]:
            fresh = (await governed(tx, name, me)).kept
            # Which from now on cannot be deleted.
            await demand_account(tx, account, fresh.owner, me, lock=True)
            plan = moves.made(
                fresh, target, sight, safety, id=new_id(tx.now), parent=str(parent), account=account,
                actor=me.subject, now=tx.now, stored=_stored(target, sight),
            )  # fmt: skip
            told = delegations.plan(
                await _of(tx, fresh, lock=True), plan=plan.id, until=plan.expires_at, parent=parent,
                account=account, now=tx.now,
            )  # fmt: skip
            if not request.validate_only:
                await tx.save_delegation(told.state)
            return Decision(plan, told.events)

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=lambda plan: to_plan(plan, plan.created_at))

    async def ApplyDelegation(
        self, request: service_pb2.ApplyDelegationRequest, context: Context
    ) -> operations_pb2.Operation:
        me, name, force = caller(context), request.name.removesuffix(_SUFFIX), frozenset(request.force)
        if not request.plan.startswith(f"{name}/plans/"):
            raise PlanNotFound(name=request.plan)
        await self._demand_keys_stay(name, me)

        async def step(tx: Store) -> Decision[Plan]:
            zone = (await governed(tx, name, me)).kept
            d = await _of(tx, zone, lock=True)
            delegations.demand_fresh(d, request.etag)
            plan = await _plan(tx, zone, request.plan)
            plans.demand_applicable(plan, request.hash, force, tx.now)
            delegations.demand_still(d)
            return Decision(plan if request.validate_only else await self._begun(tx, zone, d, plan, me))

        if request.validate_only:
            return await self._work.rehearse(step, answer=lambda _: operations_pb2.Operation())
        answer = await self._work.run(step, answer=lambda plan: started(plan.run, request.name, plan.applied_at))
        self._t.engine.wake()
        return answer

    async def RollbackDelegation(
        self, request: service_pb2.RollbackDelegationRequest, context: Context
    ) -> operations_pb2.Operation:
        me, name = caller(context), request.name.removesuffix(_SUFFIX)
        if not request.reason.strip():
            raise refusals.ReasonMissing

        async def step(tx: Store) -> Decision[Delegation]:
            zone = (await governed(tx, name, me)).kept
            d = await _of(tx, zone, lock=True)
            delegations.demand_fresh(d, request.etag)
            if d.state is delegations.State.ROLLING_BACK:
                return Decision(d)
            back = delegations.roll_back(d, reason=request.reason, automatic=False, run="", now=tx.now)
            if request.validate_only:
                return Decision(back)
            return Decision(
                await self._t.flipping.go_back(tx, d, request.reason, automatic=False, by=me.subject)
            )  # fmt: skip

        if request.validate_only:
            return await self._work.rehearse(step, answer=lambda _: operations_pb2.Operation())
        answer = await self._work.run(step, answer=lambda d: started(d.run, d.name, d.updated_at))
        self._t.engine.wake()
        return answer

    async def CloseRollbackWindow(
        self, request: service_pb2.CloseRollbackWindowRequest, context: Context
    ) -> resources_pb2.Delegation:
        me, name = caller(context), request.name.removesuffix(_SUFFIX)

        async def step(tx: Store) -> Decision[Delegation]:
            zone = (await governed(tx, name, me)).kept
            before = await _of(tx, zone, lock=True)
            after = delegations.close(before, request.etag, tx.now)
            if after is not before:
                await ns_lives(tx, zone.domain, record_sets.NS_TTL)
            return Decision(after)

        return await self._work.run(step, answer=lambda d: to_delegation(d, d.updated_at))

    async def _demand_keys_stay(self, name: str, me: Caller) -> None:
        """No exchange of keys is under way; one that begins just now is waited for by the run. Raises RunInProgress."""
        async with self._work.reading() as tx:
            await governed(tx, name, me)
        for run in (await self._t.engine.list(subject=name, live=True, size=1)).runs:
            if run.kind in (ROLL, DISABLE):
                raise RunInProgress(subject=name, run=run.id)

    async def _begun(self, tx: Store, zone: Zone, d: Delegation, plan: Plan, me: Caller) -> Plan:
        """The plan with the run that carries it out, begun in this transaction. Raises RunInProgress."""
        about = {"zone": zone.domain, "plan": plan.id, "joint": bool(plan.extra.get("others"))}
        run = await self._t.engine.start_in(
            tx.sql, FLIP, subject=d.name, key=f"{zone.uid}/{plan.id}", input=about, by=me.subject
        )
        target = target_out(plan.extra["after"])
        moved = delegations.begin(
            d, plan=plan.id, parent=Parent(plan.extra["parent"]), account=plan.extra["account"], target=target,
            run=run.id, now=tx.now,
        )  # fmt: skip
        await tx.save_delegation(moved)
        return plans.begun(plan, run.id, tx.now)

    def _demand_possible(self, info: RegistrarInfo, zone: Zone, account: str) -> None:
        """Somebody can have registered the domain, and the registrar can move it. Raises InvalidRequest, RegistrarUnable."""
        own = identity.registrable(zone.domain, self._t.private_suffix)
        if not own:
            raise InvalidRequest((Violation("name", f"{zone.domain} is a public suffix, and nobody's own", "suffix"),))
        needed = "set_ns" if own == zone.domain else "subdomains"
        if account and needed not in info.capabilities:
            can = "set_ns" in info.capabilities
            what = f"{zone.domain} lies in {own}, and it changes registered domains only" if can else (
                "it takes no name servers of others" + ("; delegate a subdomain instead" if info.name == "cloudflare" else "")
            )  # fmt: skip
            raise RegistrarUnable(registrar=info.display_name, detail=what)

    async def _seen(self, wish: resources_pb2.DelegationRecords, zone: Zone, door: Door) -> tuple[Target, Sight]:
        """What a plan stands on. Raises ServersRefused, GlueRequired, what the registrar refuses, ForeignZone."""
        state = await state_at(self._t.moving.backends, zone.backend, zone.origin)
        if state is not None and state.owner != zone.mark:
            raise zone_refusals.ForeignZone(name=zone.name, backend=zone.backend)
        async with self._work.reading() as tx:
            newest = await tx.imports_before(zone.domain, None, 1)
            desired = record_sets.desired(await tx.wishes_of(zone.domain), ())
        target = _target(zone, wish, door.info)
        target = Target(target.ns, target.ds, target.glue, own_keys(state) if state else ())
        named = desired.get((zone.origin, "NS"))
        await self._demand_servers(zone, target, named.records if named else ())
        registrar = registrar_name(door.info.name)
        access = await self._t.registrars.validate(registrar, credential=door.credential, domain=zone.domain)
        _demand_access(registrar.removeprefix("registrars/"), access)
        shown = await self._t.registrars.delegation(registrar, credential=door.credential, domain=zone.domain)
        registered = await self._unlocked_at(zone)
        nonce = identity.nonce(self._t.key, zone.uid)
        proven = door.info.name != BY_HAND or not shown.ns or await self._is_proven(zone, shown.ns, nonce)
        sight = Sight(
            shown, own_ds(state) if state else (), door.can_write_ds, door.info.display_name, proven, nonce,
            newest[0].record_sets if newest else None, desired, registered=registered,
        )  # fmt: skip
        return target, await self._with_signers(zone, target, sight, state)

    async def _with_signers(self, zone: Zone, target: Target, sight: Sight, state: ZoneState | None) -> Sight:
        """With what is known of a move during which both hosts sign; where that cannot be, as it was."""
        foreign = set(sight.shown.ds) - set(sight.own_ds)
        is_moving = set(sight.shown.ns) != set(target.ns)
        if state is None or len(state.keys) != 1 or not (foreign and target.ds and is_moving and sight.can_write_ds):
            return sight
        own = [key.dnskey for key in state.keys]
        if {ds.algorithm for ds in foreign} != {key.algorithm for key in state.keys}:
            return sight
        backend: DnsBackend = await self._t.moving.backends.get(zone.backend)
        try:
            if Capability.SHARED_KEYS not in await backend.probe():
                return sight
            old = await self._t.moving.cuts.servers_of(sight.shown.ns, sight.shown.glue)
            found = await signers.others(old, zone.origin, sight.shown.ds, own)
        except PluginFailure:  # the move that needs no answer of the old host is always possible
            return sight
        return replace(sight, others=found, to_share=tuple(own))

    async def _demand_servers(self, zone: Zone, target: Target, named: Sequence[str]) -> None:
        """The zone itself names these servers, and each can be found. Raises ServersRefused."""
        if set(named) != set(target.ns):
            text = f"the zone itself names {', '.join(named)}; parent and zone have to say the same"
            raise ServersRefused((Violation("target.ns", text, "mismatch"),))
        polled = await self._t.moving.new_servers(zone, target)
        lost = []
        for name in polled.names:
            try:
                polled.servers.address(name)
            except (LookupError, ValueError):
                lost.append(Violation("target.ns", f"no address of {name} is found", "unresolvable"))
        if lost:
            raise ServersRefused(tuple(lost))

    async def _is_proven(self, zone: Zone, ns: Sequence[str], nonce: str) -> bool:
        """Whether a server that has the domain today shows the challenge."""
        old = await self._t.moving.cuts.servers_of(ns)
        name = f"{identity.CHALLENGE}.{zone.origin}"
        for server in old.names:
            answer = await old.servers.ask(server, name, "TXT")
            if not isinstance(answer, Fault):
                return any(text.strings == (nonce.encode(),) for text in rrset(answer, name, "TXT") or ())
        return False

    async def _unlocked_at(self, zone: Zone) -> str:
        """The registrar by the registry's word, which forbids no change; one that does not answer says nothing. Raises
        DomainLocked."""
        try:
            about = await self._t.registry.about(identity.registrable(zone.domain, self._t.private_suffix))
        except Temporary:
            return ""
        if stopping := sorted(identity.STOPPING & about.statuses):
            raise moves.DomainLocked(domain=zone.domain, locks=", ".join(stopping))
        return about.registrar


def _target(zone: Zone, wish: resources_pb2.DelegationRecords, info: RegistrarInfo) -> Target:
    """The wish in order. Raises ServersRefused, GlueRequired."""
    try:
        return delegation_target(
            zone.origin, wish.ns, ds=from_ds(wish), glue=from_glue(wish), min_ns=max(2, info.min_ns), max_ns=info.max_ns
        )  # fmt: skip
    except Permanent as refused:
        if refused.reason == "GLUE_REQUIRED":
            raise GlueRequired(host=refused.metadata.get("host", ""), zone=zone.origin) from refused
        raise ServersRefused((Violation("target.ns", refused.message, "host"),)) from refused


def _demand_access(registrar: str, access: Access) -> None:
    """Raises RegistrarRefused, RegistrarUnavailable, with the first thing that stands in the way."""
    if access.valid and access.can_read and access.can_write_ns:
        return
    reason = registrars.reason_of(access.obstacles[0].reason) if access.obstacles else "REGISTRAR_PERMISSION_MISSING"
    text = access.obstacles[0].detail if access.obstacles else "the account may not change the domain"
    if reason not in RegistrarRefused.reasons:
        raise RegistrarUnavailable("REGISTRAR_UNAVAILABLE", registrar, text)
    action = access.obstacles[0].user_action if access.obstacles else ""
    code = access.obstacles[0].provider_code if access.obstacles else ""
    raise RegistrarRefused(reason, registrar, Permanent(reason, text, provider_code=code, user_action=action))


async def _of_pool(tx: Store, zone: Zone) -> str:
    """The account by which the delegation of a pool's own zone is changed; empty: a person changes it."""
    pool = await tx.pool(zone.domain)
    return pool.registrar_account if pool else ""


async def _of(tx: Store, zone: Zone, *, lock: bool = False) -> Delegation:
    """The delegation of this life of the zone; what an earlier zone of the name had is over."""
    known = await tx.delegation(zone.domain, lock=lock)
    if known is None:
        return delegations.none_yet(zone.domain, zone.uid, zone.owner, zone.created_at)
    return known if known.uid == zone.uid else delegations.reborn(known, zone.uid, zone.owner, zone.created_at)


async def _plan(tx: Store, zone: Zone, name: str) -> Plan:
    plan = await tx.plan(zone.domain, name.rpartition("/")[2])
    if plan is None or plan.kind != DELEGATION_PLAN:
        raise PlanNotFound(name=name)
    return plan


def _stored(target: Target, sight: Sight) -> dict[str, object]:
    shown = sight.shown
    return {"before": target_in(Target(shown.ns, shown.ds, shown.glue)), "after": target_in(target)}
