"""Regions, each with its production agent, over cells, links and clocks that fail by a drawn plan; the whole truth is known.

Invariants, looked at whenever a record is committed, an effect arrives, and 40 times a second of true time
  I1 OneAuthority, also of sites that would take a write · I2 EpochUnique · I3 EffectMonotone · I4 GrantBeforePromote
  I5 FenceBeforeGive · I6 NoAckedLoss · I9 FrozenInert · I12 DNSSafe · I13 NoAutoFailback · I16 StandbyNeverTriggers
  I17 DeadlineRespected · I14 Liveness, once everything is healed
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, TypeVar

from catalyst_continuum.domain import ballot, record, telling
from catalyst_continuum.domain.antiflap import Bounds
from catalyst_continuum.domain.duty import Duty
from catalyst_continuum.domain.record import Lease
from catalyst_continuum.domain.record import State as Record
from catalyst_continuum.domain.runs import Run
from catalyst_continuum.domain.timing import Profile
from catalyst_continuum.workers.agent import Agent
from catalyst_continuum.workers.memory import Remembered
from catalyst_continuum.workers.register import Register
from catalyst_continuum.workers.steps.scene import Hands
from catalyst_sdk import Temporary
from catalyst_sdk.continuum import DatabaseView, DemotionToken
from catalyst_sdk.witness import CellIdentity, Swap

from .machines import Machines, Process
from .sites import Effectors, GateFencer, Names, NameServer, Site

T = TypeVar("T")
REGIONS = ("sb-east-rtz-dev", "sb-west-rtz-dev", "sb-north-rtz-dev")
SLOT = "demo/shop"
TIMES = Profile(ttl=10, renew=2, op=1, fence=3, poll=0.5, drift=0.1)
CELLS = ("cell-1", "cell-2", "cell-3")
FREE = Bounds(min_interval=0.0, most=1_000_000)
RATES = (0.9, 0.95, 1.0, 1.05, 1.1)


class Broken(Exception):
    """An invariant does not hold."""


class Disk(dict[str, Remembered]):
    """What a region's machine keeps over the death of its agent."""

    def read(self, slot: str) -> Remembered:
        return self.get(slot, Remembered())

    def keep(self, slot: str, what: Remembered) -> None:
        self[slot] = what


class World:
    """agents  Agent, or a copy of it with a bug in it
    rates   of the regions' clocks; none: drawn
    bounds  of anti-flap; usually none, so that much moves
    busy    seconds that each message takes at least and at most; none: hardly any, and now and then long"""

    def __init__(
        self,
        seed: int,
        regions: int = 2,
        agents: type[Agent] = Agent,
        rates: Sequence[float] = (),
        bounds: Bounds = FREE,
        busy: tuple[float, float] | None = None,
        **duty: Any,
    ) -> None:
        self.random = Random(seed)
        self.loop = Machines()
        self.regions = REGIONS[:regions]
        self.cells: dict[str, bytes] = {}
        self.is_down: set[str] = set()
        self.cut: set[tuple[str, str]] = set()
        self.loss = 0.0
        self.names = [NameServer("ns-1"), NameServer("ns-2")]
        self.committed: list[tuple[float, Lease]] = []
        self.acked: set[int] = set()
        self.faults = 0
        self.trail: list[str] = []
        self.runs: dict[str, Run] = {}
        self.agents: dict[str, Agent] = {}
        self.processes: dict[str, Process] = {}
        self.on_trace: Callable[[str, str, str], None] | None = None
        self.acknowledged_at = 0.0
        self.has_relays = False
        self.forced: set[int] = set()
        """Epochs that people have made by force."""
        self.told: list[tuple[str, str, Mapping[str, str]]] = []
        """What agents told: region, kind, evidence."""
        self.may_split = False
        """Whether people took the risk that two regions write."""
        self.given: dict[int, str] = {}
        """Regions that people gave an epoch without a majority of cells."""
        self.proved: set[tuple[str, int]] = set()
        """Regions and epochs in which a canary came through."""
        self._broken = ""
        self._type = agents
        self._ballots: dict[ballot.Ballot, set[str]] = {}
        self.disks = {region: Disk() for region in self.regions}
        self._lives = 0
        self._duty = duty
        self._bounds = bounds
        self.busy = busy
        clocks = {region: (self.random.choice(RATES), self.random.uniform(0, 1e6)) for region in self.regions}
        clocks |= {region: (rate, 0.0) for region, rate in zip(self.regions, rates, strict=False)}
        self.machines = {region: self.loop.process(f"machine {region}", *clocks[region]) for region in self.regions}
        self.sites = {region: Site(region, self.machines[region]) for region in self.regions}
        self.loop.outside(0.0, self._watch)
        self.loop.outside(0.1, self._replicate)
        self.loop.outside(0.1, self._client, 0)

    def start(self, region: str) -> None:
        """A new life of a region's agent, on the same machine."""
        self._lives += 1
        machine = self.machines[region]
        process = self.loop.process(f"{region} life {self._lives}", machine.rate, machine.offset)
        self.processes[region] = process
        process.start(self._live(region, process, f"{self._lives:06x}-x"))

    async def _live(self, region: str, process: Process, proposer: str) -> None:
        hands = Effectors(self, region, lambda: agent.may_write())
        register = Register(Cells(self, region), proposer, lambda: process.clock().boot)

        def trace(event: str, *, effect: str = "", **told: Any) -> None:
            self._traced(region, event, effect, told)

        def tell(kind: str, *, why: str = "", evidence: Mapping[str, str] | None = None) -> None:
            telling.of_agent(kind, region, why, evidence or {})
            self.told.append((region, kind, evidence or {}))

        agent = self._type(
            Duty(SLOT, region, self.regions, TIMES, **self._duty), register=register,
            hands=Hands(hands, Names(self, region, hands), [GateFencer(hands)], self._feed(region)),
            peers={other: Line(self, region, other) for other in self.regions if other != region},
            memory=self.disks[region], clock=process.clock, trace=trace, tell=tell,
            book=lambda run: self.runs.update({f"{region} {run.id}": run}),
            relays=[
                Register(Cells(self, region, other), f"{proposer}{n}", lambda: process.clock().boot)
                for n, other in enumerate(self.regions) if other != region and self.has_relays
            ],
            moves=lambda: ((), self.acknowledged_at), bounds=self._bounds,
        )  # fmt: skip
        self.agents[region] = agent
        await agent.run(asyncio.Event())

    def _feed(self, region: str) -> Callable[[Any], None]:
        def feed(authority: Any) -> None:
            self.sites[region].deadline = authority.until if authority is not None else 0.0

        return feed

    def _traced(self, region: str, event: str, effect: str, told: Mapping[str, Any]) -> None:
        at = f"{self.loop.time():8.3f} {region[3:8]} {event} {effect} {told}"
        self.trail.append(at)
        if self.on_trace is not None:
            self.on_trace(region, event, effect)

    def run_for(self, seconds: float) -> None:
        """Let the world go on. Raises Broken."""

        until = self.loop.time() + seconds
        while self.loop.time() < until and not self._broken:
            self.loop.run_until_complete(asyncio.sleep(min(1.0, until - self.loop.time())))
        if self._broken:
            raise Broken(self._broken)

    def until(self, holds: Callable[[], bool], within: float, what: str) -> None:
        """Let the world go on until something holds. Raises Broken where that takes longer."""
        began = self.loop.time()
        while not holds():
            if self.loop.time() - began > within:
                raise Broken(f"I14: {what} does not hold after {within} s")
            self.run_for(0.1)

    def end(self) -> None:
        self.loop.end()

    def hit(self, what: str) -> None:
        self._broken = self._broken or f"{what} at {self.loop.time():.3f}"

    # The network

    async def ask(self, one: str, other: str, serve: Callable[[], T], within: float) -> T:
        """Ask something of another machine. Raises OSError where no answer comes in time; it may have been done."""
        answer: asyncio.Future[T] = self.loop.create_future()

        def arrive() -> None:
            if self._is_lost(one, other):
                return
            told = serve()
            self.loop.outside(self._latency(), back, told)

        def back(told: T) -> None:
            if not answer.done() and not self._is_lost(other, one):
                answer.set_result(told)

        self.loop.outside(self._latency(), arrive)
        if self.random.random() < 0.01:
            self.loop.outside(self._latency() * 20, arrive)  # a message that comes twice, the second time late
        self.loop.outside(within, lambda: answer.done() or answer.set_exception(OSError("no answer")))
        return await answer

    def _latency(self) -> float:
        if self.busy is not None:
            return self.random.uniform(*self.busy)
        return self.random.uniform(0.001, 0.03) if self.random.random() > 0.01 else self.random.uniform(0.1, 3)

    def _is_lost(self, one: str, other: str) -> bool:
        return (one, other) in self.cut or bool({one, other} & self.is_down) or self.random.random() < self.loss

    # The cells

    def swap(self, cell: str, old: bytes | None, new: bytes) -> Swap:
        if self.cells.get(cell) != old:
            return Swap.MISMATCH
        self.cells[cell] = new
        state = ballot.read(new)
        if state.has_value:
            have = self._ballots.setdefault(state.accepted, set())
            have.add(cell)
            if len(have) == 2:
                self._commit(record.read(state.value))
        return Swap.APPLIED

    def _commit(self, lease: Lease) -> None:
        before = self.committed[-1][1] if self.committed else None
        if before is not None and lease.seq > before.seq:
            self._judge(before, lease)
        if before is None or lease.seq > before.seq:
            self.committed.append((self.loop.time(), lease))
            self.trail.append(f"{self.loop.time():8.3f} == {record.write(lease)}")

    def _judge(self, before: Lease, lease: Lease) -> None:
        if lease.epoch not in (before.epoch, before.epoch + 1):
            self.hit(f"I2: epoch {before.epoch} is followed by {lease.epoch}")
        if lease.epoch == before.epoch and lease.holder not in (before.holder, ""):
            self.hit(f"I2: epoch {lease.epoch} of {before.holder} is {lease.holder}'s")
        if before.state is Record.FROZEN and (lease.epoch, lease.holder) != (before.epoch, before.holder):
            self.hit("I9: a frozen slot moved")
        site = self.sites.get(before.holder)
        gives = lease.state is Record.HANDOFF or (before.holder and not lease.holder)
        if gives and site is not None and site.role.value == "primary" and site.epoch > site.fenced:
            self.hit(f"I5: {before.holder} gives the slot away and takes writes")
        stolen = lease.holder not in ("", before.holder) and before.state is not Record.FREE
        taken = before.state is Record.HANDOFF and before.next == lease.holder
        if stolen and not taken and lease.epoch not in self.forced:
            still = self.loop.time() - self.committed[-1][0]
            if still < TIMES.ttl / 1.1 - 0.001:
                self.hit(f"I16: stolen {still:.2f} s after the record moved")

    def holder_of(self, epoch: int) -> str:
        found = (lease.holder for _, lease in self.committed if lease.epoch == epoch and lease.holder)
        return next(found, self.given.get(epoch, ""))

    def promoted(self, region: str, epoch: int) -> None:
        if self.holder_of(epoch) != region:
            self.hit(f"I4: {region} is promoted in epoch {epoch}, which is {self.holder_of(epoch) or 'nobody'}'s")

    def named(self, region: str, epoch: int) -> None:
        if self.holder_of(epoch) != region:
            self.hit(f"I12: the name leads to {region} in epoch {epoch}")
        if (region, epoch) not in self.proved:
            self.hit(f"order: the name leads to {region} in epoch {epoch}, where no write has come through yet")

    # What goes on by itself

    def _watch(self) -> None:
        able = [
            region for region, agent in self.agents.items()
            if not self.processes[region].is_dead and agent.standing.may(self.processes[region].clock())
        ]  # fmt: skip
        if len(able) > 1 and not self.may_split:
            self.hit(f"I1: authority in {' and '.join(able)}")
        taking = [region for region, site in self.sites.items() if site.is_open]
        if len(taking) > 1 and not self.may_split:
            self.hit(f"I1: writes are taken in {' and '.join(taking)}")
        self.loop.outside(0.025, self._watch)

    def _replicate(self) -> None:
        for site in self.sites.values():
            primary = self.sites.get(site.follows)
            if primary is None or not (site.is_up and primary.is_up) or site.is_broken or primary.is_broken:
                continue
            if (
                primary.role.value == "primary"
                and site.epoch <= primary.epoch
                and self._reaches(site.region, primary.region)
            ):
                site.rows, site.timeline = list(primary.rows), primary.timeline
        self.loop.outside(0.05, self._replicate)

    def _reaches(self, one: str, other: str) -> bool:
        return (one, other) not in self.cut and (other, one) not in self.cut and not {one, other} & self.is_down

    def _client(self, n: int) -> None:
        """Write one row wherever it is taken; it is acknowledged once every synchronous standby has it."""
        for site in self.sites.values():
            if not site.is_open:
                continue
            site.rows.append(n)
            standbys = [self.sites[region] for region in site.sync]
            if all(self._has(site, standby, n) for standby in standbys):
                self.acked.add(n)
        self.loop.outside(0.1, self._client, n + 1)

    def _has(self, primary: Site, standby: Site, n: int) -> bool:
        follows = (
            standby.follows == primary.region and standby.role.value == "replica" and standby.epoch <= primary.epoch
        )
        if not (follows and standby.is_up and self._reaches(primary.region, standby.region)):
            return False
        standby.rows = list(primary.rows)
        primary.kept.add(standby.region)
        return True

    @property
    def leader(self) -> str:
        """The region whose agent leads, and whose site takes writes; empty: none."""
        for region, agent in self.agents.items():
            is_alive = not self.processes[region].is_frozen
            if is_alive and agent.standing.state.value == "leading" and self.sites[region].is_open:
                return region
        return ""


class Cells:
    """The cells as one process reaches them, itself or through another region."""

    def __init__(self, world: World, region: str, through: str = "") -> None:
        self._world = world
        self._region = through or region
        self._asks = region if through else ""

    def cells(self) -> tuple[str, ...]:
        return CELLS

    async def read(self, *, cell: str, slot: str) -> bytes | None:
        try:
            await self._reach()
            return await self._world.ask(self._region, cell, lambda: self._world.cells.get(cell), TIMES.op)
        except OSError as error:
            raise Temporary("no answer") from error

    async def swap(self, *, cell: str, slot: str, old: bytes | None, new: bytes) -> Swap:
        try:
            await self._reach()
            return await self._world.ask(self._region, cell, lambda: self._world.swap(cell, old, new), TIMES.op)
        except OSError:
            return Swap.UNKNOWN

    async def _reach(self) -> None:
        if self._asks:
            await self._world.ask(self._asks, self._region, lambda: True, TIMES.op)

    async def identity(self, *, cell: str) -> CellIdentity:
        return CellIdentity(cell, 1)


class Line:
    """The agent of another region, as one reaches it. One that is frozen or dead does not answer."""

    def __init__(self, world: World, region: str, other: str) -> None:
        self._world = world
        self._region = region
        self._other = other

    async def hold_off(self, *, slot: str, region: str, epoch: int, seconds: float) -> bool | None:
        return await self._ask(lambda agent: agent.hold_off(region=region, epoch=epoch, seconds=seconds))

    async def report(self, *, slot: str, view: DatabaseView, fresh: bool = False) -> DatabaseView | None:
        def tell(agent: Agent) -> DatabaseView:
            if fresh:  # here the answer does not wait for it
                self._world.processes[self._other].start(agent.look_again())
            return agent.report(view)

        return await self._ask(tell)

    async def deliver(self, *, slot: str, run: str, token: DemotionToken) -> bool:
        def take(agent: Agent) -> bool:
            agent.take_token(run, token)
            return True

        return await self._ask(take) is True

    async def _ask(self, call: Callable[[Agent], T]) -> T | None:
        def serve() -> T | None:
            process = self._world.processes.get(self._other)
            agent = self._world.agents.get(self._other)
            return call(agent) if agent is not None and process is not None and not process.is_frozen else None

        try:
            return await self._world.ask(self._region, self._other, serve, TIMES.op)
        except OSError:
            return None
