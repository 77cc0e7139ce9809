"""What the steps of a run act upon, and with; and the one way in which an effect is made."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from catalyst_sdk import PluginFailure
from catalyst_sdk.continuum import DemotionToken, Fencer, Promoter, Traffic

from catalyst_continuum.domain.authority import Authority
from catalyst_continuum.domain.duty import Duty
from catalyst_continuum.domain.lease import Fence
from catalyst_continuum.domain.runs import Run
from catalyst_continuum.workers.memory import Memory
from catalyst_continuum.workers.observe import Peer, Sight
from catalyst_continuum.workers.rights import Rights
from catalyst_continuum.workers.standing import AuthorityOver, Clock, Standing, Trace

T = TypeVar("T")


class Tell(Protocol):
    """Where happenings go: the outbox, or a spool on disk. Never waits, never fails."""

    def __call__(self, kind: str, *, why: str = "", evidence: Mapping[str, str] | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Hands:
    """What an agent acts with in its region.

    fencers   beside the promoter's own: the gateway, the dead man's switch, the mesh, of this and of other regions
    dead_man  is told until when there is authority (None: there is none), at each change; it may not wait
    """

    promoter: Promoter
    traffic: Traffic
    fencers: Sequence[Fencer] = ()
    dead_man: Callable[[Authority | None], None] | None = None

    def all_fencers(self, *, local: bool) -> list[Fencer]:
        """The fencers, the lowest rung first."""
        found = [fencer for fencer in (*self.promoter.fencers(), *self.fencers) if fencer.local is local]
        return sorted(found, key=lambda fencer: fencer.level)


@dataclass(slots=True)
class Scene:
    """One slot, here and now, for the steps of one run.

    precheck   what stands in the way of a run, as sentences; none: it may go on
    """

    duty: Duty
    hands: Hands
    rights: Rights
    sight: Sight
    standing: Standing
    memory: Memory
    clock: Clock
    peers: Mapping[str, Peer]
    trace: Trace
    tell: Tell
    precheck: Callable[[Run], Awaitable[Sequence[str]]]
    run: Run
    token: DemotionToken | None = None
    proof: Fence | None = None
    waited_until: float | None = None
    offering_since: float | None = None
    reprotecting_since: float | None = None
    attempted: frozenset[str] = frozenset()
    flaws: tuple[str, ...] = ()
    _beside: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def epoch(self) -> int:
        """In which this region acts."""
        return self.standing.epoch

    @property
    def region(self) -> str:
        return self.duty.region

    async def effect(self, what: str, doing: Callable[[], Awaitable[T]], *, expected: float = 0.0) -> T:
        """Make an effect that needs authority. Raises AuthorityOver: it was not begun, or what it says is not believed.

        An effect that goes on when the authority ends is the effector's to refuse, by its epoch.
        """
        if not self.standing.may(self.clock(), expected):
            self.trace("refused", epoch=self.epoch, effect=what)
            raise AuthorityOver(what)
        epoch = self.epoch
        self.trace("begun", epoch=epoch, deadline=self._until(), effect=what)
        answer = await doing()
        if not self.standing.may(self.clock()) or self.epoch != epoch:
            self.trace("late", epoch=epoch, effect=what)
            raise AuthorityOver(what)
        self.trace("done", epoch=epoch, effect=what)
        return answer

    def refused(self, effector: str) -> None:
        """An effector says that it knows a newer epoch."""
        self.trace("refused", epoch=self.epoch, effect=effector)
        newest = self.sight.lease.epoch if self.sight.lease is not None else 0
        self.tell("effect.rejected", evidence={"effector": effector, "stale": str(self.epoch), "stored": str(newest)})

    def beside(self, work: Coroutine[None, None, None]) -> None:
        """Begin what no step waits for; it ends with the run at the latest."""
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def end(self) -> None:
        """Leave off what was begun beside the steps."""
        under_way = list(self._beside)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def unfence(self) -> None:
        """Let this region's writers go on, in the epoch that it holds; the lowest rung first."""
        was_fenced = self.standing.proof is not None
        for fencer in self.hands.all_fencers(local=True):
            await self.effect(
                f"unfence-{fencer.level}",
                lambda fencer=fencer: fencer.unfence(region=self.region, epoch=self.epoch, run=self.run.id),  # type: ignore[misc]  # a default that mypy does not infer
            )
        self.standing.proof = None
        if was_fenced:
            self.tell("region.unfenced")
        self.sight.forget_database()

    async def fence_remote(self, budget: float) -> None:
        """Try to stop the old holder's writers from here. Time covers a claim; this only makes it shorter."""
        fencers = self.hands.all_fencers(local=False)
        if self.run.source in self.duty.others:
            await asyncio.gather(*(self._try(fencer, self.run.source, budget) for fencer in fencers))

    async def _try(self, fencer: Fencer, region: str, budget: float) -> None:
        try:
            async with asyncio.timeout(budget):
                proof = await fencer.fence(region=region, epoch=self.epoch - 1, run=self.run.id, budget=budget)
        except (PluginFailure, TimeoutError):
            proof = None
        self.trace("remote-fence", epoch=self.epoch - 1, effect=f"{region} {'proved' if proof else 'unproved'}")

    def _until(self) -> float | None:
        return self.standing.authority.until if self.standing.authority is not None else None
