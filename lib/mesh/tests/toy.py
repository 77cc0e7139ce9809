"""A whole daemon of one aggregate, small enough to read: what the chassis' own tests run, and those of `tests/chaos` as a
process of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from catalyst.pooldomain.v1 import events_pb2, resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import (
    SIGNED_IN,
    Bus,
    ChassisMetrics,
    Daemon,
    DaemonSettings,
    Database,
    Emitted,
    Handled,
    PluginHost,
    Sealer,
    Service,
    Transaction,
    Work,
    caller,
    chassis_tables,
    main,
    rows,
)
from catalyst_sdk import Code, Decision, Refused
from prometheus_client import CollectorRegistry
from pydantic_settings import SettingsConfigDict
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, insert, select

metadata = MetaData()
t = Table(
    "names",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
)  # fmt: skip - reads as a table
heard = Table("heard", metadata, Column("number", BigInteger, primary_key=True), Column("name", Text))
chassis_tables(metadata)


class ToySettings(DaemonSettings):
    model_config = SettingsConfigDict(env_prefix="CATALYST_PDM_")


@dataclass(frozen=True)
class Name:
    name: str
    owner: str
    version: int


@dataclass(frozen=True)
class Reserved:
    name: Name


class NameTaken(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "NAME_TAKEN", "{name} is held"


class Store(Transaction):
    async def lock(self, name: str) -> Name | None:
        query = select(t).where(t.c.name == name)
        row = (await self.sql.execute(query.with_for_update())).mappings().one_or_none()
        if row is None:
            return None
        self.seen(t, row)
        return Name(**row)

    async def save(self, state: Name) -> None:
        await self.take(t, {"name": state.name, "owner": state.owner, "version": state.version})


def reserve(held: Name | None, name: str, owner: str) -> Decision[Name]:
    if held and held.owner != owner:
        raise NameTaken(name=name)
    given = replace(held, version=held.version + 1) if held else Name(name, owner, 1)
    return Decision(given, (Reserved(given),))


class AllocationService(service_pb2_grpc.AllocationServiceServicer):
    def __init__(self, work: Work[Store]) -> None:
        self._work = work

    async def ReserveAllocation(self, request: Any, context: Any) -> Any:
        name = f"{request.parent}/allocations/{request.label}"

        async def step(tx: Store) -> Decision[Name]:
            return reserve(await tx.lock(name), name, request.owner)

        return await self._work.run(step, answer=to_response)

    async def GetAllocation(self, request: Any, context: Any) -> Any:
        raise ZeroDivisionError(f"secret-{request.name}")

    async def WatchAllocations(self, request: Any, context: Any) -> Any:
        yield service_pb2.WatchAllocationsResponse()
        raise NameTaken(name="acme") if caller().has_role("sovereign-admin") else ZeroDivisionError("secret")


def to_response(n: Name) -> service_pb2.ReserveAllocationResponse:
    return service_pb2.ReserveAllocationResponse(allocation=resources_pb2.Allocation(name=n.name, version=n.version))


EMITTED = (
    Emitted(
        "catalyst.v1.pooldomain.allocation.reserved",
        Reserved,
        lambda fact: events_pb2.AllocationReserved(allocation=fact.name.name, version=fact.name.version),
    ),
)


async def hear(tx: Store, message: Any, told: Any) -> Sequence[object] | None:
    number = (await tx.sql.execute(select(heard.c.number))).all()
    # Of two replicas that take the same number one decides anew.
    await tx.write(insert(heard).values(number=len(number) + 1, name=f"{message.allocation}@{message.version}"))
    return None


STREAMS = {"WatchAllocations": SIGNED_IN, "ListAllocations": SIGNED_IN}


async def compose(settings: ToySettings) -> Daemon:
    """A daemon that reserves names and listens to its own events."""
    db = await Database.open(settings.database_url, metadata=metadata)
    metrics = ChassisMetrics(CollectorRegistry())
    work = Work(db, Store, metadata=metadata, emitted=EMITTED, sealer=Sealer.from_file(settings.data_folder / "seal"))
    service = "catalyst.pooldomain.v1.AllocationService"
    return Daemon(
        "pooldomain",
        settings,
        db,
        metadata,
        work,
        services=[Service(AllocationService(work), service_pb2_grpc.add_AllocationServiceServicer_to_server, service)],
        access=rows(service, ReserveAllocation=SIGNED_IN, GetAllocation="sovereign-admin", **STREAMS),
        metrics=metrics,
        plugins=PluginHost(kinds=[], metrics=metrics),
        bus=Bus(settings.nats_url, "toy", settings.nats_token.get_secret_value()),
        handled=[Handled("catalyst.v1.pooldomain.allocation.reserved", events_pb2.AllocationReserved, hear)],
        ack_wait=3,  # tests kill it with events in its hands, and wait for these
    )


if __name__ == "__main__":
    main("pooldomain", ToySettings.load(), compose)
