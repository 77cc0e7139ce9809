"""What can be known before a move: everybody who knows something is asked, all at once, and nothing is changed anywhere.

Who does not answer in time leaves a fact unknown, and holds up nobody.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from catalyst_sdk import PluginFailure
from catalyst_sdk.continuum import DatabaseView, Traffic, TrafficView

from catalyst_continuum.domain import gaps
from catalyst_continuum.domain.checks import Facts
from catalyst_continuum.domain.record import Lease, State

from .outcomes import CellView, Committed, Outcome
from .traffic.authority import Authority, Readiness

PATIENCE = 1.0
"""Seconds that one of them has; a plan is made in less than two."""
Databases = Callable[[str], Awaitable[DatabaseView | None]]
Versions = Callable[[str], Awaitable[str | None]]
Fact = TypeVar("Fact")


async def _silent(region: str) -> None:
    """Nobody knows."""


@dataclass(frozen=True)
class Survey:
    """Whom to ask about one slot.

    glance       its record, as a majority shows it, read without a write
    cells        how the cells were at that
    members      all regions of the slot
    renew        R
    databases    what a region's database says of itself; None: no database moves
    authorities  servers that take updates of the names' zone
    fronts       addresses by region, and the port at which a region serves; None: it is not known
    version      of this daemon; `versions`: of another region's
    stable       seconds for which a region has had every write without a break
    """

    glance: Callable[[], Awaitable[Outcome]]
    cells: Callable[[], Sequence[CellView]]
    members: Sequence[str]
    renew: float
    databases: Databases | None = None
    traffic: Traffic | None = None
    authorities: Sequence[Authority] = ()
    fronts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    port: int | None = None
    version: str = ""
    stable: Callable[[str], float | None] = lambda region: None
    versions: Versions = _silent

    async def look(self, known: Facts) -> Facts:
        """What is `known` of the slot already, and what is found about a move from its source to its target."""
        async with asyncio.TaskGroup() as group:
            lease_ = group.create_task(self._lease())
            primary, standby = (group.create_task(self._database(one)) for one in (known.source, known.target))
            view, ready_ = group.create_task(_in_time(self._traffic())), group.create_task(self._ready())
            fronts = group.create_task(self._fronts(known.target))
            version = group.create_task(_in_time(self.versions(known.target)))
        lease, ready = lease_.result(), ready_.result()
        cells = self.cells()
        offsets = sorted((one.offset for one in ready.values() if one.offset is not None), key=abs)
        seen = replace(
            known, cells={cell.name: cell.reachable for cell in cells},
            quarantined=frozenset(cell.name for cell in cells if cell.quarantined), versions=(self.version, version.result()),
            traffic=view.result(),
            writable={name: one.takes for name, one in ready.items()} or _writers(view.result()), fronts=fronts.result(),
            clocks=len(self.authorities), offset=offsets[0] if offsets else None,
            stable=self.stable(known.target),
        )  # fmt: skip
        seen = self._with_databases(seen, primary.result(), standby.result())
        return self._with_lease(seen, lease, standby.result())

    def _with_databases(self, f: Facts, primary: DatabaseView | None, standby: DatabaseView | None) -> Facts:
        if self.databases is None:
            return f
        return replace(
            f, databases={f.source: primary, f.target: standby}, lag=gaps.lag(primary, standby),
            same_history=gaps.same_history(primary, standby), reverses=gaps.reverses(primary, standby),
        )  # fmt: skip

    def _with_lease(self, f: Facts, lease: Lease | None, standby: DatabaseView | None) -> Facts:
        if lease is None:
            return f
        return replace(
            f, holder=lease.holder, epoch=lease.epoch, frozen=lease.state is State.FROZEN,
            keeps_all=gaps.keeps_all(lease, self.members), loss=gaps.loss(lease, standby, self.renew),
            loss_bytes=gaps.loss_bytes(lease, standby), run=f.run or lease.run,
        )  # fmt: skip

    async def _lease(self) -> Lease | None:
        outcome = await self.glance()
        return outcome.lease if isinstance(outcome, Committed) else None

    async def _database(self, region: str) -> DatabaseView | None:
        return await _in_time(self.databases(region)) if self.databases is not None else None

    async def _traffic(self) -> TrafficView | None:
        return await self.traffic.observe() if self.traffic is not None else None

    async def _ready(self) -> Mapping[str, Readiness]:
        told = await asyncio.gather(*(_in_time(one.readiness()) for one in self.authorities))
        return {one.name: ready or Readiness(takes=None) for one, ready in zip(self.authorities, told, strict=True)}

    async def _fronts(self, region: str) -> Mapping[str, bool | None] | None:
        addresses, port = self.fronts.get(region, ()), self.port
        if port is None:
            return None
        answers = await asyncio.gather(*(_connects(address, port) for address in addresses))
        return dict(zip(addresses, answers, strict=True))


def _writers(view: TrafficView | None) -> Mapping[str, bool | None]:
    """Where somebody else writes the zone: whether it answers."""
    return {one.authority: True if one.answers else None for one in view.authorities} if view is not None else {}


async def _in_time(question: Awaitable[Fact]) -> Fact | None:
    try:
        async with asyncio.timeout(PATIENCE):
            return await question
    except (PluginFailure, TimeoutError):
        return None


async def _connects(address: str, port: int) -> bool:
    """Whether somebody listens there; who does not answer at all is as little use as who refuses."""
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
