"""Which zone a name means, whose it is, and what a caller may do with it.

Three kinds of zones answer under `zones/`: those that are kept here, the zones of pools that somebody else made, and the zones
of allocations. A stranger's zone is as absent as one that never was.
"""

from dataclasses import dataclass

from catalyst_mesh import Caller
from catalyst_mesh.calls import RoleDenied

from catalyst_pool_domain_manager.domain import refusals
from catalyst_pool_domain_manager.domain.allocations import Allocation
from catalyst_pool_domain_manager.domain.backends import resource_of
from catalyst_pool_domain_manager.domain.hosting import Kind, Zone, ZoneNotKept
from catalyst_pool_domain_manager.domain.pools import Pool
from catalyst_pool_domain_manager.store import Store

from .standing import OPERATORS, may_see, sees_all


@dataclass(frozen=True, slots=True)
class View:
    """A zone of one of the three kinds."""

    domain: str
    zone: Zone | None = None
    pool: Pool | None = None
    allocation: Allocation | None = None

    @property
    def origin(self) -> str:
        """The zone's own name, with the final dot."""
        return f"{self.domain}."

    @property
    def backend(self) -> str:
        """Resource name of the backend that holds it."""
        if self.zone is not None:
            return self.zone.backend
        assert self.pool is not None, "a zone that is not kept is a pool's, or that of a name in a pool"
        return resource_of(self.pool.backend)

    @property
    def kept(self) -> Zone:
        """The zone, where its wish stands here. Raises ZoneNotKept with who changes it."""
        if self.zone is not None:
            return self.zone
        keeper = self.allocation.name if self.allocation else "whoever made it at its backend"
        raise ZoneNotKept(name=f"zones/{self.domain}", keeper=keeper)


async def viewed(tx: Store, name: str, me: Caller) -> View:
    """The zone, where the caller may know of it. Raises ZoneNotFound."""
    domain = name.removeprefix("zones/")
    label, _, above = domain.partition(".")
    zone, pool = await tx.zone(domain), await tx.pool(domain)
    if zone is not None and (sees_all(me) or (zone.kind is Kind.BYO and may_see(zone.owner, me))):
        return View(domain, zone=zone, pool=pool)
    if pool is not None and zone is None and sees_all(me):
        return View(domain, pool=pool)
    parent = await tx.pool(above)
    a = await tx.lock(above, label) if parent else None
    if parent is not None and a is not None and a.zone_told and may_see(a.owner, me):
        return View(domain, pool=parent, allocation=a)
    raise refusals.ZoneNotFound(name=name)


def may_keep(kind: Kind, owner: str, me: Caller) -> bool:
    """Whether the caller may make, change and delete such a zone."""
    org = owner.removeprefix("organizations/")
    if kind is Kind.BYO and (me.is_service("provisioner") or me.has_role("org-admin", org=org)):
        return True
    return me.has_role(*OPERATORS)


async def governed(tx: Store, name: str, me: Caller) -> View:
    """The zone, where the caller may change it. Raises ZoneNotFound, RoleDenied."""
    view = await viewed(tx, name, me)
    zone = view.zone
    if not (may_keep(zone.kind, zone.owner, me) if zone else me.has_role(*OPERATORS)):
        raise RoleDenied(subject=me.subject, resource=name)
    return view
