"""The loop of one replica: claims runs fairly, keeps their leases, notices what others ask of them, drains at the end.

Invariants
  limits       never more runs and steps under way than this replica and their kinds allow;
  early stop   what may have been lost to another replica is cancelled before its lease ends;
  contained    a run whose carrying breaks rests and gets stuck in the end; the others go on.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

from ..clocks import Clock
from ..database import Database, is_outage
from ..telemetry import DONE, WAITING, reconciling
from ..waits import heard
from . import forward
from .bells import Bells
from .claims import Claims
from .driver import Driver, Slots
from .failures import Fenced
from .graph import Kind
from .hold import Hold
from .states import Flow, RunState
from .store import Store

IDLE = 3
"""Times as seldom a replica looks around that holds no run."""
REST_AFTER_BUG = timedelta(seconds=30)
DRAIN_GRACE = 10.0
"""Seconds that calls under way are awaited when the replica stops."""


class Worker:
    """Everything that one replica does with runs; `claims.owner` is its name."""

    def __init__(
        self,
        db: Database,
        store: Store,
        kinds: Mapping[str, Kind],
        claims: Claims,
        *,
        clock: Clock,
        bells: Bells,
        concurrency: int,
        runs: int,
        poll: float,
        rng: Random,
        log: Any,
    ) -> None:
        self._db = db
        self._store = store
        self._kinds = kinds
        self._claims = claims
        self._clock = clock
        self._bells = bells
        self._replica_slots = asyncio.Semaphore(concurrency)
        self._kind_slots = {name: asyncio.Semaphore(kind.limits.steps) for name, kind in kinds.items()}
        self._most_runs = runs
        self._poll = poll
        self._rng = rng
        self._log = log
        self._drivers: dict[str, Driver] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failing = False
        self.nudge = asyncio.Event()
        """Set when there may be something to claim, or a held run has news."""

    async def run(self, stop: asyncio.Event, grace: float = DRAIN_GRACE) -> None:
        """Work until `stop`; then end what is under way, at most for `grace` seconds, and let all runs go."""
        async with asyncio.TaskGroup() as group:
            keepers = [group.create_task(loop) for loop in (self._keep_leases(), self._give_up_in_time())]
            watch = group.create_task(self._nudge_at(stop))
            while not stop.is_set():
                self.nudge.clear()
                await self._look_around(group)
                await heard(self.nudge, self._poll if self._drivers else self._idle())
            watch.cancel()
            await self._drain(grace)
            for keeper in keepers:
                keeper.cancel()

    def _idle(self) -> float:
        """Seconds until the next look where nothing is held: asked of this replica it rings, and what sleeps says until when."""
        longest = IDLE * self._poll
        if self._claims.next_wake is None:
            return longest
        return min(longest, max(self._poll, (self._claims.next_wake - self._clock.now()).total_seconds()))

    async def turn(self) -> int:
        """Claim what is due now and carry it to where it ends or waits; how many runs that were. No lease is renewed
        by itself meanwhile: for tests and for tools that do one thing."""
        async with asyncio.TaskGroup() as group:
            return await self._claim(group, linger=timedelta())

    async def _look_around(self, group: asyncio.TaskGroup) -> None:
        try:
            await self._notice()
            await self._claim(group, linger=timedelta(seconds=4 * self._poll))
            self._failing = False
        except Exception as error:  # the loop of a worker: it outlives whatever happens to one round
            if not self._failing:
                self._warn("journal round failed", error)
            self._failing = True

    def _warn(self, event: str, error: Exception) -> None:
        """An outage needs no traceback: where we noticed it says nothing."""
        outage = is_outage(error)
        self._log.warning(event, outage=outage, **{"error": repr(error)} if outage else {"exc_info": error})

    async def _notice(self) -> None:
        """Have the holders look whose runs were changed by others."""
        if not self._drivers:
            return
        numbers = await self._claims.numbers()
        for run_id, driver in self._drivers.items():
            known = driver.hold.flow.run.seq
            if numbers.get(run_id, known + 1) > known:
                driver.look()

    async def _claim(self, group: asyncio.TaskGroup, linger: timedelta) -> int:
        claimed = 0
        while len(self._drivers) < self._most_runs:
            asked = self._store.terms.monotonic()
            flow = await self._claims.take(self._clock.now(), kinds=self._open_kinds(), but=self._drivers.keys())
            if flow is None:
                break
            claimed += 1
            self._bells.ring(flow.run.id)
            if flow.run.owner == self._claims.owner:
                self._take(group, flow, asked, linger)
            else:
                self._alert(flow)
        return claimed

    def _open_kinds(self) -> list[str]:
        under_way = Counter(driver.hold.flow.run.kind for driver in self._drivers.values())
        return [name for name, kind in self._kinds.items() if under_way[name] < kind.limits.runs]

    def _take(self, group: asyncio.TaskGroup, flow: Flow, asked: float, linger: timedelta) -> None:
        run_id, kind = flow.run.id, self._kinds[flow.run.kind]
        hold = Hold(self._db, self._store, flow, clock=self._clock, bells=self._bells, asked=asked)
        slots = Slots(self._replica_slots, self._kind_slots[kind.name], kind.limits.steps_per_run)
        self._drivers[run_id] = driver = Driver(hold, kind, slots, rng=self._rng, linger=linger)
        self._tasks[run_id] = group.create_task(self._carry(driver, kind), name=f"journal/{run_id}")

    async def _carry(self, driver: Driver, kind: Kind) -> None:
        run_id = driver.hold.run_id
        try:
            with reconciling("run") as one:
                await driver.drive()
                one.result = DONE if driver.hold.flow.run.state.ended else WAITING
        except Exception as error:  # as above
            if not is_outage(error):
                self._log.error("journal run broke", run=run_id, kind=kind.name, exc_info=error)
            await self._set_down(driver, kind)
        finally:
            del self._drivers[run_id], self._tasks[run_id]
            self.nudge.set()

    async def _set_down(self, driver: Driver, kind: Kind) -> None:
        with suppress(Exception, Fenced):  # if even this is impossible, the lease ends by itself
            flow = await driver.hold.apply(partial(forward.back_off, rest=REST_AFTER_BUG, most=kind.takeovers))
            if flow.run.state is RunState.STUCK:
                self._alert(flow)

    def _alert(self, flow: Flow) -> None:
        """A person is needed; each run says so once, because nobody takes up a stuck one."""
        self._log.error("journal run stuck", run=flow.run.id, kind=flow.run.kind, takeovers=flow.run.takeovers)

    async def _keep_leases(self) -> None:
        """Renew all leases at a third of their time."""
        pause = self._store.terms.ttl.total_seconds() / 3
        while True:
            asked = self._store.terms.monotonic()
            held = {r: driver.hold.fence for r, driver in self._drivers.items() if driver.hold.trusted}
            try:
                ours = await self._claims.renew(held)
            except Exception as error:  # as above
                self._warn("journal leases not renewed", error)
            else:
                for driver in (self._drivers[run_id] for run_id in held if run_id in self._drivers):
                    driver.hold.renewed(asked) if driver.hold.run_id in ours else driver.look()
            await asyncio.sleep(pause)

    async def _give_up_in_time(self) -> None:
        """Cancel what may have been lost. Apart from renewing, which may hang with the database."""
        while True:
            for run_id, driver in self._drivers.items():
                if not driver.hold.trusted:
                    self._tasks[run_id].cancel("its lease may be over")
            await asyncio.sleep(self._store.terms.ttl.total_seconds() / 20)

    async def _nudge_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.nudge.set()

    async def _drain(self, grace: float) -> None:
        for driver in self._drivers.values():
            driver.stop()
        if self._tasks:
            _, late = await asyncio.wait(list(self._tasks.values()), timeout=grace)
            if late:
                for driver in self._drivers.values():
                    driver.interrupt()
                await asyncio.wait(late)
