"""ZoneService: values that prove names to certificate issuers (RFC 8555, section 8.4)."""

from collections.abc import Awaitable, Callable

from catalyst.pooldomain.v1 import service_pb2
from catalyst_mesh import Caller, Context, caller
from catalyst_mesh.calls import RoleDenied
from catalyst_sdk import Decision, Violation
from catalyst_sdk.dns_rules import check_name

from catalyst_pool_domain_manager.domain import hosting, refusals, zone_refusals
from catalyst_pool_domain_manager.domain.allocations import COMMITTED
from catalyst_pool_domain_manager.domain.record_sets import Challenge
from catalyst_pool_domain_manager.store import Store

from .standing import AGENT, OPERATORS, may_govern
from .zone_life import ZoneLife
from .zone_views import View, viewed


class ZoneChallenges(ZoneLife):
    """One value at a time; values of others at the name stay. The keeper of zones carries many of them by one change."""

    async def PresentChallenge(
        self, request: service_pb2.PresentChallengeRequest, context: Context
    ) -> service_pb2.PresentChallengeResponse:
        step = _wish(request.fqdn, request.value, caller(context), wanted=True)
        return await self._work.run(
            step, answer=lambda w: service_pb2.PresentChallengeResponse(zone=f"zones/{w.zone}", revision=w.revision)
        )

    async def CleanUpChallenge(
        self, request: service_pb2.CleanUpChallengeRequest, context: Context
    ) -> service_pb2.CleanUpChallengeResponse:
        step = _wish(request.fqdn, request.value, caller(context), wanted=False)
        return await self._work.run(
            step, answer=lambda w: service_pb2.CleanUpChallengeResponse(zone=f"zones/{w.zone}", revision=w.revision)
        )


def _wish(fqdn: str, value: str, me: Caller, *, wanted: bool) -> Callable[[Store], Awaitable[Decision[Challenge]]]:
    """Wishes a value, or wishes it away. Raises RecordsRefused."""
    name = fqdn.lower().rstrip(".") + "."
    if fault := check_name(name) or _value_fault(value):
        raise zone_refusals.RecordsRefused((Violation("fqdn", fault, "record"),))

    async def step(tx: Store) -> Decision[Challenge]:
        view = await _zone_of(tx, name, me)
        zone = await tx.hold_zone(view.domain) if view.zone else None
        if zone is not None and any(w.records and w.type == "CNAME" for w in await tx.wishes_at(zone.domain, name)):
            raise zone_refusals.RecordsRefused((Violation("fqdn", f"{name} is an alias", "record"),))
        # The zone of an allocation shows the number of its own wish only.
        revision = zone.revision + 1 if zone else view.allocation.generation if view.allocation else 0
        return Decision(Challenge(view.domain, name, value, wanted, revision=revision))

    return step


async def _zone_of(tx: Store, name: str, me: Caller) -> View:
    """The zone of ours with the longest suffix, where the caller may prove names in it. Raises ZoneNotFound, RoleDenied."""
    labels = name.rstrip(".").split(".")
    for n in range(len(labels) - 1):
        domain = ".".join(labels[n:])
        if await tx.zone(domain) is None and await tx.pool(domain) is None and not await _is_child(tx, domain):
            continue
        if await _is_inside(tx, name, domain, me):
            return _kept(View(domain, zone=await tx.zone(domain)))
        try:
            view = await viewed(tx, f"zones/{domain}", me)
        except refusals.ZoneNotFound:
            break
        owner = view.zone.owner if view.zone else view.allocation.owner if view.allocation else ""
        org = owner.removeprefix("organizations/")
        if me.is_service(AGENT) or me.has_role(*OPERATORS) or me.has_role("org-admin", org=org):
            return _kept(view)
        raise RoleDenied(subject=me.subject, resource=f"zones/{domain}")
    # The same words whether a stranger's zone is there or none: which one it is, is nobody's business.
    raise refusals.ZoneNotFound(name=f"zones/{name.rstrip('.')}")


def _kept(view: View) -> View:
    """The zone, where somebody here can write a value into it. Raises ZoneNotKept."""
    if view.zone is None and view.allocation is None:
        raise hosting.ZoneNotKept(name=f"zones/{view.domain}", keeper="whoever made it at its backend")
    return view


async def _is_inside(tx: Store, name: str, domain: str, me: Caller) -> bool:
    """Whether the caller holds the name inside of the zone of the pool `domain` that is to be proved."""
    label = name.removesuffix(f".{domain}.").rpartition(".")[2]
    a = await tx.lock(domain, label) if label else None
    return a is not None and a.inside and a.state in COMMITTED and may_govern(a.owner, me)


async def _is_child(tx: Store, domain: str) -> bool:
    label, _, above = domain.partition(".")
    a = await tx.lock(above, label) if await tx.pool(above) else None
    return a is not None and bool(a.zone_told)


def _value_fault(value: str) -> str:
    return "" if value.isascii() and value.isprintable() else "a value is printable ASCII"
