"""Parts of the toy daemon without the daemon: database, work, relay and consumer, each taken apart by a test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalyst.pooldomain.v1 import events_pb2
from catalyst_mesh import Bus, ChassisMetrics, Database, Handled, Leases, Sealer, Work
from catalyst_mesh.calls import Call, enter
from catalyst_mesh.consumer import Consumer
from catalyst_mesh.facts import Handler, Refresh
from catalyst_mesh.relay import Relay
from prometheus_client import CollectorRegistry
from sqlalchemy import select

from .toy import EMITTED, Name, Reserved, Store, hear, heard, metadata

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SUBJECT = "catalyst.v1.pooldomain.allocation.reserved"


@dataclass
class Bench:
    """One process' worth of the chassis on a database."""

    url: str
    db: Database
    work: Work[Store]
    metrics: ChassisMetrics = field(default_factory=lambda: ChassisMetrics(CollectorRegistry()))

    @classmethod
    async def open(cls, url: str, *, seal: Path | None = None) -> "Bench":
        """Open `url`; answers are kept sealed where `seal` names the file of a key."""
        db = await Database.open(url, metadata=metadata)
        sealer = Sealer.from_file(seal) if seal else None
        return cls(url, db, Work(db, Store, metadata=metadata, emitted=EMITTED, sealer=sealer))

    async def tell(self, *names: str) -> None:
        """Commit one fact for each `name@version`."""
        async with self.work.transaction() as tx:
            for name in names:
                aggregate, version = name.split("@")
                tx.emit(Reserved(Name(aggregate, "somebody", int(version))))

    async def rows(self, table: str) -> list[dict[str, Any]]:
        async with self.db.read() as sql:
            t = metadata.tables[table]
            return [dict(row) for row in (await sql.execute(select(t).order_by(*t.primary_key.columns))).mappings()]

    async def waiting(self) -> list[str]:
        """Events not marked as published, `name@version`, in their order."""
        return [f"{r['aggregate']}@{r['version']}" for r in await self.rows("outbox") if r["published_at"] is None]

    async def heard(self) -> list[str]:
        async with self.db.read() as sql:
            return [row.name for row in (await sql.execute(select(heard).order_by(heard.c.number))).all()]

    def relay(self, bus: Bus, leases: Leases | None = None) -> Relay:
        return Relay(
            "pooldomain", db=self.db, metadata=metadata, bus=bus, leases=leases or Leases(self.db, metadata),
            wake=self.work.committed, metrics=self.metrics,
        )  # fmt: skip

    def consumer(
        self,
        bus: Bus,
        handler: Handler = hear,
        *,
        subjects: tuple[str, ...] = (SUBJECT,),
        refresh: Refresh | None = None,
        service: str = "toy",
        **rest: Any,
    ) -> Consumer:
        handled = [Handled(subject, events_pb2.AllocationReserved, handler, refresh) for subject in subjects]
        return Consumer(
            service, "pooldomain", handled=handled, work=self.work, metadata=metadata, bus=bus, metrics=self.metrics,
            **{"back_off": (0.01,), **rest},
        )  # fmt: skip


def call(method: str = "a.v1.S/Reserve", subject: str = "ada", request_id: str = "", body: bytes = b"") -> None:
    """Make this task serve a call."""
    from catalyst_mesh import Caller

    enter(Call(method, Caller(subject), request_id, body))


@asynccontextmanager
async def going(*workers: Any) -> AsyncIterator[None]:
    """Run workers for the block and stop them as a daemon does."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(worker.run(stop)) for worker in workers]
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 60)
