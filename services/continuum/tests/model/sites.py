"""What agents act upon, in memory: a site with a database and a gateway in each region, and the name servers.

Each keeps the highest epoch that it was given and takes none below it. What is asked of it takes its time, and happens also where
whoever asked is frozen or dead by then.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from catalyst_sdk.continuum import (
    AuthorityView,
    CheckResult,
    DatabaseView,
    DemotionToken,
    DrainResult,
    Effect,
    FenceProof,
    Fencer,
    FenceView,
    Follow,
    FollowState,
    Role,
    TrafficPlan,
    TrafficView,
    Verdict,
    WriteProbe,
)

from .machines import Machines, Process

T = TypeVar("T")


@dataclass(eq=False)
class Site:
    """fenced       highest epoch in which nothing is written here any more
    demoted      the one in which it gave up for good
    gate_fenced  the same, of the gateway
    deadline     of the dead man's switch, by this machine's clock; 0: never fed
    rows         numbered writes
    sync, kept   regions that writes wait for, and those of them that had everything once since they do"""

    region: str
    machine: Process
    role: Role = Role.REPLICA
    epoch: int = 0
    timeline: int = 1
    fenced: int = 0
    demoted: int = 0
    gate_fenced: int = 0
    deadline: float = 0.0
    rows: list[int] = field(default_factory=list)
    sync: frozenset[str] = frozenset()
    kept: set[str] = field(default_factory=set)
    follows: str = ""
    is_up: bool = True
    is_broken: bool = False

    @property
    def is_open(self) -> bool:
        """Whether a write would be taken now, were there nobody to be asked."""
        is_alive = self.is_up and not self.is_broken and self.role is Role.PRIMARY and self.epoch > self.fenced
        return is_alive and self.epoch > self.gate_fenced and self.machine.clock().boot < self.deadline

    def view(self) -> DatabaseView:
        if not self.is_up or self.is_broken:
            return DatabaseView(self.region)
        lsn = f"0/{len(self.rows):x}"
        writable = self.role is Role.PRIMARY and self.epoch > self.fenced
        return DatabaseView(
            self.region, self.role, writable, ready=bool(self.follows) or self.role is Role.PRIMARY, timeline=self.timeline,
            received=lsn, replayed=lsn, sync=frozenset(self.kept), epoch=self.epoch or None,
        )  # fmt: skip


class Effectors:
    """The hands of one process in its region. `allowed` says whether it has authority; `hit` takes what is found wrong."""

    worst_case = 2.0

    def __init__(self, world: Any, region: str, allowed: Callable[[], bool]) -> None:
        self._world = world
        self._loop: Machines = world.loop
        self._site: Site = world.sites[region]
        self._region = region
        self._allowed = allowed

    def fencers(self) -> Sequence[Fencer]:
        return (DatabaseFencer(self),)

    async def observe(self, *, region: str) -> DatabaseView:
        return await self.slow(self._site.view, most=0.1)

    async def demote(self, *, region: str, epoch: int, run: str) -> DemotionToken | Effect:
        def demote() -> DemotionToken | Effect:
            site = self._site
            if not site.is_up or site.is_broken:
                return Effect.UNKNOWN
            if epoch < site.epoch:
                return Effect.STALE_EPOCH
            site.epoch, site.fenced, site.role = epoch, max(site.fenced, epoch), Role.REPLICA
            site.demoted = epoch
            return DemotionToken(region, epoch, f"0/{len(site.rows):x}")

        return await self.slow(demote)

    async def promote(self, *, region: str, epoch: int, run: str, token: DemotionToken | None) -> Effect:
        self._must("promote")

        def promote() -> Effect:
            site = self._site
            if epoch < site.epoch or epoch == site.demoted:
                return Effect.STALE_EPOCH
            if not site.is_up or site.is_broken:
                return Effect.UNKNOWN
            self._world.promoted(region, epoch)
            if site.role is not Role.PRIMARY:
                site.timeline += 1
            if epoch > site.epoch:
                site.sync, site.kept = frozenset(), set()
            site.epoch, site.role, site.follows = epoch, Role.PRIMARY, ""
            return Effect.DONE

        return await self.slow(promote, most=1.5)

    async def probe_write(self, *, region: str, epoch: int) -> WriteProbe:
        self._must("canary")

        def write() -> WriteProbe:
            is_kept = self._site.is_open and epoch == self._site.epoch
            if is_kept:
                self._world.proved.add((region, epoch))
            return WriteProbe(is_kept, 0.1)

        return await self.slow(write)

    async def follow(self, *, region: str, primary: str, epoch: int, run: str, destroy: bool = False) -> FollowState:
        def follow() -> FollowState:
            site = self._site
            if epoch < site.epoch or not site.is_up or site.is_broken:
                return FollowState(Follow.BLOCKED, "a newer epoch is here, or nothing")
            if set(site.rows) - set(self._world.sites[primary].rows):
                if not destroy:
                    site.epoch, site.role, site.follows = epoch, Role.REPLICA, ""
                    return FollowState(Follow.BLOCKED, "rows are here that the primary has not")
                site.rows = list(self._world.sites[primary].rows)
            site.epoch, site.role, site.follows = epoch, Role.REPLICA, primary
            return FollowState(Follow.FOLLOWING)

        return await self.slow(follow)

    async def set_sync(self, *, region: str, standbys: frozenset[str], epoch: int) -> Effect:
        self._must("sync")

        def set_sync() -> Effect:
            if epoch < self._site.epoch:
                return Effect.STALE_EPOCH
            if not self._site.is_up or self._site.is_broken:
                return Effect.UNKNOWN
            self._site.sync, self._site.kept = standbys, self._site.kept & standbys
            return Effect.DONE

        return await self.slow(set_sync)

    def must(self, what: str) -> None:
        self._must(what)

    def _must(self, what: str) -> None:
        if not self._allowed():
            self._world.hit(f"I17: {what} is begun in {self._region} without authority")

    async def slow(self, act: Callable[[], T], most: float = 0.4) -> T:
        """Something that happens a while after it was asked for, whatever becomes of whoever asked."""
        answer: asyncio.Future[T] = self._loop.create_future()

        def happen() -> None:
            told = act()
            self._loop.outside(0.01, lambda: answer.done() or answer.set_result(told))

        self._loop.outside(self._world.random.uniform(0.01, most), happen)
        return await answer

    @property
    def site(self) -> Site:
        return self._site


class DatabaseFencer:
    """Stops the database."""

    level, local, worst_case = 1, True, 1.0

    def __init__(self, hands: Effectors) -> None:
        self._hands = hands

    async def fence(self, *, region: str, epoch: int, run: str, budget: float) -> FenceProof | None:
        def fence() -> FenceProof:
            self._hands.site.fenced = max(self._hands.site.fenced, epoch)
            return FenceProof(self.level, 0.0, "stopped")

        return await self._hands.slow(fence, most=budget * 0.3)

    async def unfence(self, *, region: str, epoch: int, run: str) -> Effect:
        self._hands.must("unfence")

        def unfence() -> Effect:
            site = self._hands.site
            if epoch < max(site.fenced, site.epoch):
                return Effect.STALE_EPOCH
            site.fenced = epoch - 1
            return Effect.DONE

        return await self._hands.slow(unfence, most=0.1)

    async def observe(self, *, region: str) -> FenceView:
        return FenceView(self._hands.site.fenced >= self._hands.site.epoch)


class GateFencer(DatabaseFencer):
    """Shuts the gateway, which also has the dead man's switch."""

    level = 3

    async def fence(self, *, region: str, epoch: int, run: str, budget: float) -> FenceProof | None:
        def fence() -> FenceProof:
            self._hands.site.gate_fenced = max(self._hands.site.gate_fenced, epoch)
            return FenceProof(self.level, 0.0, "shut")

        return await self._hands.slow(fence, most=budget * 0.3)

    async def unfence(self, *, region: str, epoch: int, run: str) -> Effect:
        self._hands.must("unfence")

        def unfence() -> Effect:
            site = self._hands.site
            if epoch < max(site.gate_fenced, site.epoch):
                return Effect.STALE_EPOCH
            site.gate_fenced = epoch - 1
            return Effect.DONE

        return await self._hands.slow(unfence, most=0.1)


@dataclass(eq=False)
class NameServer:
    """One authority of the slot's name."""

    name: str
    epoch: int = 0
    holder: str = ""


class Names:
    """The name servers, as one process reaches them."""

    def __init__(self, world: Any, region: str, hands: Effectors) -> None:
        self._world = world
        self._region = region
        self._hands = hands

    async def observe(self) -> TrafficView:
        async def look(server: NameServer) -> AuthorityView:
            try:
                seen = await self._world.ask(self._region, server.name, lambda: server.epoch, 1.0)
            except OSError:
                return AuthorityView(server.name, "shop", None, answers=False)
            return AuthorityView(server.name, "shop", seen or None)

        return TrafficView(tuple(await asyncio.gather(*map(look, self._world.names))))

    def plan(self, *, holder: str) -> TrafficPlan:
        return TrafficPlan(holder, {"shop": (holder,)}, 10)

    async def apply(self, plan: TrafficPlan, *, epoch: int, run: str) -> Effect:
        self._hands.must("names")

        async def put(server: NameServer) -> Effect:
            def write() -> Effect:
                if epoch < server.epoch:
                    return Effect.STALE_EPOCH
                self._world.named(plan.holder, epoch)
                server.epoch, server.holder = epoch, plan.holder
                return Effect.DONE

            try:
                return await self._world.ask(self._region, server.name, write, 1.0)  # type: ignore[no-any-return]
            except OSError:
                return Effect.UNKNOWN

        told = await asyncio.gather(*map(put, self._world.names))
        return Effect.STALE_EPOCH if Effect.STALE_EPOCH in told else max(told, key=lambda one: one is Effect.UNKNOWN)

    async def set_ttl(self, *, ttl: int, epoch: int, run: str) -> Effect:
        return Effect.DONE

    async def drain(self, *, region: str, epoch: int, budget: float) -> DrainResult:
        return DrainResult(0, await self._hands.slow(lambda: 0.1))

    async def undrain(self, *, region: str, epoch: int) -> Effect:
        return Effect.DONE

    async def verify(self, plan: TrafficPlan, *, epoch: int) -> Sequence[CheckResult]:
        seen = await self.observe()
        return [CheckResult("authorities", Verdict.PASS if seen.is_at(epoch) else Verdict.BLOCK, "")]
