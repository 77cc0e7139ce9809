"""Runtime facts of Environments, `ws.<env>.{k8s,flux,git,crossplane}.…`: each Environment is a partition.

Invariants
  one owner   a partition is followed by one replica at a time, under a lease of its own whose fence guards each commit;
  shared      a replica that follows many waits longer before it asks for one more, so that several share them;
  a copy      what is kept is copied to the bucket `ws-<env>-state` after the commit, by compare-and-set: a reader of the
              bucket never sees an older word about a thing after a newer one.
"""

import asyncio
from functools import partial

from catalyst_mesh import Bus, Lease, Leases, Work, get_logger
from catalyst_mesh.envelopes import told_of
from catalyst_mesh.follower import Follower
from catalyst_mesh.waits import rest
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from .copies import Copies
from .store import Store
from .things import Fact, FactUnreadable, of_runtime
from .unread import give_up, is_gone

LOOK = 5.0
"""Seconds between two looks for Environments that are new."""
SHARE = 0.1
"""Seconds that a replica waits for each partition that it follows before it asks for another."""


class Workspaces:
    """Follows the partitions that are this replica's."""

    def __init__(self, *, work: Work[Store], bus: Bus, leases: Leases, look: float = LOOK) -> None:
        self._work = work
        self._bus = bus
        self._leases = leases
        self._look = look
        self._copies = Copies(bus)
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._held: set[str] = set()
        self._log = get_logger("workspaces")

    async def run(self, stop: asyncio.Event) -> None:
        """Look for Environments and follow each, until `stop`."""
        try:
            while not stop.is_set():
                for environment in await self._environments():
                    task = self._asking.get(environment)
                    if task is None or task.done():
                        self._asking[environment] = asyncio.create_task(self._ask_for(environment, stop))
                await rest(stop, self._look)
        finally:
            for task in self._asking.values():
                if not stop.is_set():
                    task.cancel()
            await asyncio.gather(*self._asking.values(), return_exceptions=True)

    async def _environments(self) -> list[str]:
        """Environments of which something was told; while NATS is away, those that are known."""
        try:
            js = await self._bus.jetstream()
            info = await js.stream_info(await self._bus.ensure_workspaces(), subjects_filter="ws.>")
        except (NatsError, OSError, TimeoutError) as error:
            self._log.debug("bus away", error=repr(error))
            self._bus.forget_streams()
            return []
        return sorted({subject.split(".")[1] for subject in info.state.subjects or {}})

    async def _ask_for(self, environment: str, stop: asyncio.Event) -> None:
        await rest(stop, SHARE * len(self._held))
        await self._leases.keep(f"workspace/{environment}", stop, partial(self._work_on, environment, stop))

    async def _work_on(self, environment: str, stop: asyncio.Event, lease: Lease) -> None:
        self._held.add(environment)
        try:
            async with self._work.reading() as tx:
                known = await tx.facts_of(environment)
            await self._copies.put(environment, known)  # what its predecessor may have left out
            follower = Follower(
                f"ws/{environment}", self._bus.ensure_workspaces, partial(self._keep, environment, lease),
                work=self._work, bus=self._bus, subject=f"ws.{environment}.>",
            )  # fmt: skip
            await follower.run(stop)
        finally:
            self._held.discard(environment)

    async def _keep(self, environment: str, lease: Lease, life: str, messages: list[Msg]) -> None:
        facts: list[tuple[str, Fact]] = []
        unread: list[tuple[Msg, FactUnreadable]] = []
        for message in messages:
            try:
                fact = _fact(message)
            except FactUnreadable as error:  # one bad word of a source holds nothing up
                unread.append((message, error))
                self._log.warning("fact unreadable", subject=message.subject, error=str(error))
            else:
                facts += [(_id(message), fact)] if fact is not None else []
        await give_up(self._bus, unread)

        async def step(tx: Store) -> list[Fact]:
            await lease.guard(tx.sql)
            await tx.take_turn()
            changed = await tx.tell_runtime(facts)
            await tx.stand_at(f"ws/{environment}", life, messages[-1].metadata.sequence.stream)
            return changed

        await self._copies.put(environment, await self._work.again(step))


def _fact(message: Msg) -> Fact | None:
    """What it says. Raises FactUnreadable."""
    return of_runtime(
        message.subject,
        message.data,
        time=told_of(message).time,
        is_gone=is_gone(message),
        sequence=message.metadata.sequence.stream,
    )


def _id(message: Msg) -> str:
    return told_of(message).event_id
