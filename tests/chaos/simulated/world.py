"""A small mesh in one loop: two replicas that hand out names, two that hear of it, and callers who repeat what got lost.

Real are the decisions, stores and methods of the pool-domain manager, the unit of work, outbox, relay, leases, consumer and
inbox. Faked are the clock, the network with the broker behind it, and the order of things: all of it comes from one seed.
The replicas of a daemon share one `Database`, whose write transactions take turns as SQLite has it.
"""

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from catalyst.pooldomain.v1 import events_pb2, service_pb2
from catalyst_mesh import (
    ROW_NUMBER,
    Caller,
    ChassisMetrics,
    Database,
    Handled,
    Leases,
    Transaction,
    Work,
    chassis_tables,
)
from catalyst_mesh.calls import Call, enter
from catalyst_mesh.consumer import Consumer
from catalyst_mesh.relay import Relay
from catalyst_mesh.replays import Chosen, Replays
from catalyst_pool_domain_manager.domain.pools import Pool, Ttls
from catalyst_pool_domain_manager.events import EMITTED
from catalyst_pool_domain_manager.rpc.allocations import AllocationService
from catalyst_pool_domain_manager.rpc.limits import Limits
from catalyst_pool_domain_manager.store import Store
from catalyst_pool_domain_manager.store import metadata as names_tables
from catalyst_sdk import Refused
from catalyst_sdk.dns import Capability
from google.protobuf.duration_pb2 import Duration
from prometheus_client import CollectorRegistry
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, insert, select

from .. import guarantees
from .broker import HOP, Broker, Link, SimulatedBus
from .loop import NOON, SeededLoop, hesitate

POOL = "omani.works"
LABELS = ("acme", "bell")
OWNERS = ("organizations/one", "organizations/two")
BACK_OFF = (0.05, 0.1, 0.2, 0.3, 0.5, 0.5, 0.5)
RESERVE = "ReserveAllocation"
FACTS = {RESERVE: "reserved", "RenewAllocation": "renewed", "ReleaseAllocation": "freed"}
TROUBLE = 1.5
"""Seconds of virtual time in which things go wrong."""
ME = Caller("provisioner", service="provisioner", everywhere=True)
HEARD = {
    "reserved": events_pb2.AllocationReserved, "renewed": events_pb2.AllocationRenewed,
    "expired": events_pb2.AllocationExpired, "freed": events_pb2.AllocationFreed,
}  # fmt: skip

hearer_tables = MetaData()
effects = Table(
    "effect", hearer_tables,
    Column("number", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("aggregate", Text, nullable=False), Column("version", BigInteger, nullable=False),
)  # fmt: skip
chassis_tables(hearer_tables)
outbox, changes = (names_tables.tables[name] for name in ("outbox", "allocation_history"))


class Death(BaseException):
    """The process ends here; nobody may catch it."""


class Doom:
    """Failpoints whose moment the seed chooses."""

    def __init__(self, world: "World", link: Link) -> None:
        self._world, self._link = world, link

    def hit(self, point: str) -> None:
        if self._world.chance.random() < self._world.doom:
            self._world.note(f"death at {point}")
            self._link.is_dead = True  # what is said on the way out, where an exception goes, is not said by the dead
            raise Death


@dataclass
class Process:
    """One replica. Its tasks are cut off where they stand when it dies."""

    name: str
    link: Link
    service: AllocationService | None = None
    tasks: set["asyncio.Task[Any]"] = field(default_factory=set)

    @property
    def is_alive(self) -> bool:
        return not self.link.is_dead

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Do `work` for as long as the process lives."""
        task = asyncio.create_task(self._lived(work))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def _lived(self, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await work
        except Death:
            self.kill()
            raise asyncio.CancelledError from None

    def kill(self) -> None:
        """kill -9."""
        self.link.is_dead = True
        for task in self.tasks:
            task.cancel()


@dataclass
class Command:
    """One call, and what the caller was told of it in the end."""

    method: str
    request: Any
    request_id: str
    answer: Any = None
    refusal: str = ""

    @property
    def told(self) -> str:
        """`done`, the reason of a refusal, or that nobody said anything."""
        return "done" if self.answer is not None else self.refusal or "no answer"


@dataclass(frozen=True)
class Parts:
    """What of the chassis is put together; a test puts a broken part in its place and must see that broken."""

    work: type[Work[Store]] = Work
    relay: type[Relay] = Relay
    consumer: type[Consumer] = Consumer


class World:
    """Everything of one seed."""

    def __init__(
        self,
        loop: SeededLoop,
        names: Database,
        hearers: Database,
        parts: Parts,
    ) -> None:
        self.loop = loop
        self.chance: random.Random = loop.chance
        self.names, self.hearers = names, hearers
        self.broker = Broker()
        self.metrics = ChassisMetrics(CollectorRegistry())
        self.history: list[str] = []
        self.commands: list[Command] = []
        self.processes: dict[str, Process] = {}
        self.doom = 0.0
        self.failing = 0.0
        self.loss = 0.0
        self.wiped = False
        self._parts = parts

    def note(self, what: str) -> None:
        """Remember what happened."""
        self.history.append(f"{self.loop.time():.6f} {what}")

    # Processes

    def start(self, name: str) -> None:
        """Start a replica, or start it again."""
        self.note(f"start {name}")
        link = Link(self.broker)
        link.loss = self.loss
        process = self.processes[name] = Process(name, link)
        (self._start_names if name.startswith("names") else self._start_hearer)(process)

    def _start_names(self, process: Process) -> None:
        work = self._work()
        work.failpoints = Doom(self, process.link)  # type: ignore[assignment]
        process.service = AllocationService(work, b"key", Limits(clock=self.loop.time), _resolves_nowhere, _can_nothing)
        leases = Leases(
            self.names, names_tables, replica=f"{process.name}-{len(self.history)}", ttl=timedelta(seconds=2),
            monotonic=self.loop.time,
        )  # fmt: skip
        relay = self._parts.relay(
            "pooldomain", db=self.names, metadata=names_tables, bus=SimulatedBus(process.link), leases=leases,
            wake=work.committed, metrics=self.metrics, failpoints=Doom(self, process.link),  # type: ignore[arg-type]
        )  # fmt: skip
        process.spawn(relay.run(asyncio.Event()))

    def _work(self) -> Work[Store]:
        return self._parts.work(self.names, Store, metadata=names_tables, emitted=EMITTED)

    def _start_hearer(self, process: Process) -> None:
        work: Work[Transaction] = Work(self.hearers, Transaction, metadata=hearer_tables)
        consumer = self._parts.consumer(
            "hearer", "pooldomain",
            handled=[Handled(f"catalyst.v1.pooldomain.allocation.{n}", m, self._hear) for n, m in HEARD.items()],
            work=work, metadata=hearer_tables, bus=SimulatedBus(process.link), metrics=self.metrics,
            back_off=BACK_OFF, ack_wait=1.5, failpoints=Doom(self, process.link),  # type: ignore[arg-type]
        )  # fmt: skip
        process.spawn(consumer.run(asyncio.Event()))

    async def _hear(self, tx: Transaction, message: Any, told: Any) -> None:
        row = {"aggregate": message.allocation, "version": message.version}
        await tx.sql.execute(insert(effects).values(row))
        if told.attempt < 4 and self.chance.random() < self.failing:
            raise ZeroDivisionError
        self.note(f"heard {message.allocation}@{message.version}")

    # Trouble

    async def trouble(self) -> None:
        """Some faults, each at its moment; all is well again afterwards."""
        kinds = [self._dies, self._is_cut_off, self._broker_is_away]
        faults: list[Callable[[], Awaitable[None]]] = [
            self.chance.choice(kinds) for _ in range(self.chance.randint(1, 4))
        ]
        if self.chance.random() < 0.15:
            faults.append(self._broker_is_wiped)
        self.doom, self.failing, self.loss = (self.chance.choice((0.0, p)) for p in (0.02, 0.2, 0.05))
        self._set_loss()
        self.note(f"trouble: {[fault.__name__ for fault in faults]} {self.doom} {self.failing} {self.loss}")
        watch = asyncio.create_task(self._started_again())
        await asyncio.gather(*(self._at_some_time(fault) for fault in faults))
        await asyncio.sleep(max(0.0, TROUBLE - self.loop.time()))
        self.doom = self.failing = self.loss = 0.0
        self._set_loss()
        while not all(process.is_alive for process in self.processes.values()):  # noqa: ASYNC110 - time is only counted
            await asyncio.sleep(0.1)
        watch.cancel()
        self.note("all is well")

    async def _at_some_time(self, fault: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(self.chance.uniform(0, TROUBLE * 0.7))
        self.note(fault.__name__)
        await fault()

    def _set_loss(self) -> None:
        for process in self.processes.values():
            process.link.loss = self.loss

    async def _dies(self) -> None:
        self.chance.choice(list(self.processes.values())).kill()

    async def _is_cut_off(self) -> None:
        link = self.chance.choice(list(self.processes.values())).link
        link.is_cut = True
        await asyncio.sleep(self.chance.uniform(0.1, 2))
        link.is_cut = False

    async def _broker_is_away(self) -> None:
        self.broker.is_away = True
        await asyncio.sleep(self.chance.uniform(0.1, 2))
        self.broker.is_away = False

    async def _broker_is_wiped(self) -> None:
        self.wiped = True
        self.broker.wipe()

    async def _started_again(self) -> None:
        """What a supervisor does: who died comes back after a while."""
        while True:
            await asyncio.sleep(self.chance.uniform(0.1, 0.5))
            for name, process in list(self.processes.items()):
                if not process.is_alive and not process.tasks:
                    self.start(name)

    # Callers

    async def caller(self) -> None:
        """Reserve names and do something with them, one call after the other."""
        for _ in range(self.chance.randint(1, 2)):
            await hesitate(0.3)
            parent, label = f"pools/{POOL}", self.chance.choice(LABELS)
            ttl = Duration(seconds=self.chance.randint(1, 2))
            wish = service_pb2.ReserveAllocationRequest(
                parent=parent, label=label, owner=self.chance.choice(OWNERS), ttl=ttl
            )
            reserved = await self.called(RESERVE, wish)
            token = reserved.answer.reservation_token if reserved.answer else "rsv_unknown"
            name = f"{parent}/allocations/{label}"
            if self.chance.random() < 0.5:
                await hesitate(0.3)
                await self.called("RenewAllocation", service_pb2.RenewAllocationRequest(
                    name=name, reservation_token=token, ttl=ttl
                ))  # fmt: skip
            elif reserved.answer and self.chance.random() < 0.5:
                await self.called("ReleaseAllocation", service_pb2.ReleaseAllocationRequest(
                    name=name, reservation_token=token, reason="done"
                ))  # fmt: skip

    async def called(self, method: str, request: Any) -> Command:
        """Call, again with the same `request_id` where no answer came, by turns at both replicas."""
        command = Command(method, request, str(UUID(int=self.chance.getrandbits(128), version=4)))
        self.commands.append(command)
        first = self.chance.randrange(2)
        for attempt in range(8):
            if await self._answered(self.processes[f"names-{(first + attempt) % 2}"], command):
                break
            await asyncio.sleep(0.25)
        self.note(f"{method} {request.name if method != RESERVE else request.label}: {command.told}")
        return command

    async def _answered(self, process: Process, command: Command) -> bool:
        """Whether one try brought an answer, which may be a refusal. Without one it may have had its effect."""
        if not await self._arrives(process):
            return False
        serving = process.spawn(self._serve(process, command))
        await asyncio.wait({serving}, timeout=1)
        if not serving.done():
            serving.cancel()  # the caller's deadline is the server's
            return False
        if serving.cancelled() or not await self._arrives(process):
            return False
        command.answer, command.refusal = serving.result()
        return True

    async def _arrives(self, process: Process) -> bool:
        await hesitate(HOP)
        if process.is_alive and self.chance.random() >= self.loss:
            return True
        await asyncio.sleep(1 if process.is_alive else 0)
        return False

    async def _serve(self, process: Process, command: Command) -> tuple[Any, str]:
        body = hashlib.sha256(command.request.SerializeToString(deterministic=True)).digest()
        enter(Call(f"/pooldomain/{command.method}", ME, command.request_id, body))
        try:
            return await getattr(process.service, command.method)(command.request, None), ""
        except Refused as refused:
            return None, refused.reason

    # The whole story

    async def play(self) -> None:
        """From the first call until everything that was told has been heard. Raises TimeoutError where that never comes."""
        async with self._work().transaction() as tx:
            await tx.save(_pool())
        for name in ("names-0", "names-1", "hearer-0", "hearer-1"):
            self.start(name)
        await asyncio.gather(self.trouble(), *(self.caller() for _ in range(2)))
        await self._quiet()
        if self.wiped:
            self.note("replay")
            await Replays(self.names, names_tables).mark(Chosen(NOON), validate_only=False)
            await self._quiet()

    async def end(self) -> None:
        """Nothing of this seed goes on."""
        for process in self.processes.values():
            process.kill()
        await asyncio.gather(*(t for p in self.processes.values() for t in p.tasks), return_exceptions=True)
        await self.broker.end()

    async def _quiet(self) -> None:
        async with asyncio.timeout(60):
            # In this order: what was published while the outbox was looked at is not heard yet.
            while await self._waiting() or not self._all_is_heard():  # noqa: ASYNC110 - time is only counted
                await asyncio.sleep(0.2)

    def _all_is_heard(self) -> bool:
        # After a wipe nobody has heard anything before the consumer was made again.
        made = [(stream, durable) for stream in self.broker.streams.values() for durable in stream.durables.values()]
        return bool(made) and not any(durable.open(stream) for stream, durable in made)

    async def _waiting(self) -> bool:
        query = select(outbox.c.number).where(outbox.c.published_at.is_(None)).limit(1)
        async with self.names.read() as sql:
            return (await sql.execute(query)).first() is not None

    async def broken(self) -> dict[str, str]:
        """The invariants that do not hold, each with a witness."""
        async with self.names.read() as sql:
            told = (await sql.execute(select(outbox).order_by(outbox.c.number))).mappings().all()
            kept = (await sql.execute(select(changes).order_by(changes.c.number))).mappings().all()
        async with self.hearers.read() as sql:
            heard = (await sql.execute(select(effects).order_by(effects.c.number))).mappings().all()
        events = [(row["aggregate"], row["version"]) for row in told]
        found = guarantees.broken(
            guarantees.History(events, [(row["aggregate"], row["version"]) for row in heard], followed=events)
        )
        if self.wiped:
            # What the broker lost is heard at last, but behind its successors.
            found.pop("ordered", None)
        elif gaps := sum(sample.value for metric in self.metrics.inbox_gaps.collect() for sample in metric.samples
                         if sample.name.endswith("_total")):  # fmt: skip
            found["no false gap"] = f"{gaps:g} gaps where nothing was lost"
        return found | dict(self._of_commands(kept)) | dict(_of_names(events, kept))

    def _of_commands(self, kept: Sequence[Any]) -> Iterator[tuple[str, str]]:
        facts = Counter((row["request_id"], row["event"].rpartition(".")[2]) for row in kept)
        for command in self.commands:
            count = facts[command.request_id, FACTS[command.method]]
            if count > 1 or (command.answer is not None and count != 1) or (command.refusal and count):
                yield "one event for each acknowledged command", f"{command.method} {command.told}: {count} events"


def _of_names(events: Sequence[guarantees.Event], kept: Sequence[Any]) -> Iterator[tuple[str, str]]:
    changed = [(f"pools/{row['pool']}/allocations/{row['label']}", row["version"]) for row in kept]
    if changed != events:
        yield "one fact for each change", f"{changed} are not {events}"
    last: Counter[str] = Counter()
    for name, version in changed:
        if version != last[name] + 1:
            yield "no lost update", f"{name}@{version} after {last[name]}"
        last[name] = version
    holders: dict[str, str] = {}
    for row in kept:
        if (
            row["event"].endswith(("reserved", "renewed"))
            and holders.setdefault(row["label"], row["uid"]) != row["uid"]
        ):
            yield "one holder", f"{row['label']} is {row['uid']}'s while it is {holders[row['label']]}'s"
        elif row["event"].endswith(("expired", "freed")):
            holders.pop(row["label"], None)


async def _resolves_nowhere(_pool: Pool, _name: str) -> bool:
    return False


async def _can_nothing(_plugin: str) -> frozenset[Capability]:
    return frozenset()


def _pool() -> Pool:
    return Pool(
        POOL, ("sovereign",), "none", (), Ttls(), timedelta(seconds=60), timedelta(0), False, NOON, NOON, "pool"
    )  # fmt: skip
