"""What the steps of a name work on, and what each comes to."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from catalyst_sdk import Permanent
from catalyst_sdk.dns import DnsBackend, ZoneState

from catalyst_pool_domain_manager.domain import conditions as c
from catalyst_pool_domain_manager.domain import zones
from catalyst_pool_domain_manager.domain.allocations import Allocation
from catalyst_pool_domain_manager.domain.conditions import Condition
from catalyst_pool_domain_manager.domain.pools import Pool

from .abilities import Abilities
from .lately import Lately
from .parents import Parents
from .polled import Poll
from .servers import Fault, Servers


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step came to.

    finished   it holds: go on with the next
    facts      what is told about the zone: a class of `zones`, serial, revision
    rest       seconds before the next step
    lasts      False: it costs little to do it again, so it is written only together with the step that comes next
    child      the allocation's zone as the step has left it, for the next step in the same breath
    """

    finished: bool
    conditions: tuple[Condition, ...] = ()
    facts: tuple[tuple[type[zones.ZoneFact], int, int], ...] = ()
    rest: float = 0.0
    lasts: bool = True
    child: ZoneState | None = None


Step = Callable[["Site"], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Site:
    """Everything a step works on."""

    a: Allocation
    pool: Pool
    backend: DnsBackend
    servers: Servers
    parents: Parents
    abilities: Abilities
    lately: Lately
    poll: Poll
    known: ZoneState | None = None
    """The allocation's zone, where the step before has just read it."""

    async def parent(self, *, fresh: bool = False) -> ZoneState:
        """The pool's zone, some seconds old unless it has to be `fresh`. Raises Permanent("ZONE_ABSENT")."""
        state = await self.lately.zone(self.backend, self.pool.backend, self.pool.zone, fresh=fresh)
        if state is None:
            raise Permanent("ZONE_ABSENT", f"the backend has no zone {self.pool.zone}")
        return state

    async def can(self) -> zones.Can:
        """What the server can do with traffic policies; only who has some needs to know."""
        return await self.abilities.of(self.pool.backend) if self.a.traffic else zones.NOTHING

    async def child(self) -> ZoneState | None:
        """The allocation's zone, where it is ours. Raises Permanent("FOREIGN_ZONE") where it is another's."""
        if self.known is not None:
            return self.known
        state, is_foreign = await self.found()
        if is_foreign:
            raise Permanent("FOREIGN_ZONE", f"the zone {self.a.zone} carries the mark of somebody else")
        return state

    async def found(self) -> tuple[ZoneState | None, bool]:
        """The allocation's zone, None where it is not ours; and whether somebody else's is there."""
        state = await self.backend.get_zone(zone=self.a.zone)
        is_foreign = state is not None and state.owner != self.a.mark
        return (None if is_foreign else state), is_foreign


def not_yet(kind: str, faults: Sequence[Fault]) -> Condition:
    """The condition that some servers keep from being true."""
    first = faults[0]
    return c.unknown(kind, first.verdict.capitalize(), f"{first.server}: {first.detail} ({len(faults)} in all)")
