"""Tables of continuum."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from catalyst_mesh import Transaction, UtcTime, chassis_tables
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    delete,
    false,
    func,
    insert,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from .domain.ballot import Acceptor, Ballot
from .domain.register import more
from .domain.runs import Run, written
from .domain.runs import read as read_run
from .domain.slots import Errand, Phase, Slot

metadata = MetaData()
slots = Table(
    "slot",
    metadata,
    Column("namespace", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("region", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("gone", Boolean, nullable=False),
    Column("seq", BigInteger, nullable=False, server_default="0"),
    Column("held_until", UtcTime),
    Column("uid", Text, nullable=False, server_default=""),
    Column("document", Text, nullable=False, server_default=""),
    Column("application", Text, nullable=False, server_default=""),
    Column("teller", Text, nullable=False, server_default=""),
    Column("has_standby", Boolean, nullable=False, server_default=false()),
    Column("generation", BigInteger, nullable=False, server_default="1"),
    Column("observed_generation", BigInteger, nullable=False, server_default="0"),
    Column("suspended", Boolean, nullable=False, server_default=false()),
    Column("frozen", Boolean, nullable=False, server_default=false()),
    Column("errand", Text, nullable=False, server_default=""),
    Column("acknowledged_at", UtcTime),
    Column("chain", Text, nullable=False, server_default=""),
    Column("drill", Text, nullable=False, server_default=""),
    Column("drilled_at", UtcTime),
    Column("left_cells", Text, nullable=False, server_default=""),
)  # fmt: skip - reads as a table
operations = Table(
    "operation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("answer", LargeBinary, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index("operation_made", "created_at"),
)  # fmt: skip - reads as a table
cell_memory = Table(
    "cell_memory",
    metadata,
    Column("slot", Text, primary_key=True),
    Column("cell", Text, primary_key=True),
    Column("promised", BigInteger, nullable=False),
    Column("promised_by", Text, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("accepted_by", Text, nullable=False),
)  # fmt: skip - reads as a table
observations = Table(
    "observation",
    metadata,
    # What the agent of a region knows of a slot, for whoever asks another replica.
    Column("namespace", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("region", Text, primary_key=True),
    Column("body", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
)  # fmt: skip - reads as a table
audit = Table(
    "audit",
    metadata,
    # A copy of what was told, which the outbox keeps for days only: the chain of each slot, from its first record on.
    Column("aggregate", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("schema", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)  # fmt: skip - reads as a table
runs = Table(
    "run",
    metadata,
    Column("namespace", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("body", Text, nullable=False),
    Column("is_over", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index("run_of_slot", "namespace", "name", "created_at"),
)  # fmt: skip - reads as a table
chassis_tables(metadata)

OPERATIONS_KEPT = timedelta(days=30)
"""How long an operation that is done can be asked for."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a cell showed at the most for a slot; `admitted`: this is so whatever was known before."""

    slot: str
    cell: str
    state: Acceptor
    admitted: bool = False


class Store(Transaction):
    """Slots, operations that are done, and what cells showed."""

    async def get(self, namespace: str, name: str, *, lock: bool = False) -> Slot | None:
        """The slot, gone ones too."""
        query = select(slots).where((slots.c.namespace == namespace) & (slots.c.name == name))
        row = (await self.sql.execute(query.with_for_update() if lock else query)).mappings().one_or_none()
        if row is None:
            return None
        self.seen(slots, row)
        return _slot(row)

    async def lock(self, namespace: str, name: str) -> Slot | None:
        """The slot, kept for this transaction until the commit."""
        return await self.get(namespace, name, lock=True)

    async def live(self, namespace: str = "", after: tuple[str, str] = ("", ""), limit: int = 1000) -> Sequence[Slot]:
        """Slots that are not gone and come after the one of `after` (namespace, name)."""
        place = (slots.c.namespace, slots.c.name)
        query = select(slots).where(slots.c.gone.is_(False), tuple_(*place) > after).order_by(*place).limit(limit)
        if namespace:
            query = query.where(slots.c.namespace == namespace)
        return [_slot(row) for row in (await self.sql.execute(query)).mappings()]

    async def kept(self) -> Sequence[Slot]:
        """Live slots without standby: their lease is all there is to look after."""
        query = select(slots).where(slots.c.gone.is_(False), slots.c.has_standby.is_(False))
        return [_slot(row) for row in (await self.sql.execute(query)).mappings()]

    async def led(self) -> Sequence[Slot]:
        """Live slots with standbys, which have an agent in each region; the eldest first."""
        query = select(slots).where(slots.c.gone.is_(False), slots.c.has_standby.is_(True)).order_by(slots.c.created_at)
        return [_slot(row) for row in (await self.sql.execute(query)).mappings()]

    async def errands(self) -> Sequence[Slot]:
        """Live slots that wait for something to be done in the register."""
        query = select(slots).where(slots.c.gone.is_(False), slots.c.errand != Errand.NONE)
        return [_slot(row) for row in (await self.sql.execute(query)).mappings()]

    async def relocating(self) -> Sequence[Slot]:
        """Live slots whose record is to move to other cells."""
        query = select(slots).where(slots.c.gone.is_(False), slots.c.left_cells != "")
        return [_slot(row) for row in (await self.sql.execute(query)).mappings()]

    async def save(self, state: Slot | Run) -> None:
        """Take the row from what was read to `state`. Raises LostRace where another wrote meanwhile."""
        if isinstance(state, Run):
            await self.put_run(state)
            return
        await self.take(slots, {c.name: getattr(state, c.name) for c in slots.c if c.name not in _RENEWED})

    async def noted(self, state: Slot) -> None:
        """Note what is no fact, under the slot's lock: the last number of the register, the last drill, what is to be done."""
        mine = (slots.c.namespace == state.namespace) & (slots.c.name == state.name)
        told = {
            "seq": state.seq, "errand": state.errand, "observed_generation": state.observed_generation,
            "drill": state.drill, "drilled_at": state.drilled_at, "left_cells": state.left_cells,
        }  # fmt: skip
        await self.sql.execute(update(slots).where(mine).values(told))

    async def renewed(self, slot: Slot, seq: int, until: datetime) -> None:
        """Note how long the lease gives authority. No fact: it changes every few seconds, so it has no version."""
        mine = (slots.c.namespace == slot.namespace) & (slots.c.name == slot.name)
        await self.sql.execute(update(slots).where(mine).values(seq=seq, held_until=until))

    async def observe(self, slot: Slot, region: str, body: str) -> None:
        """Replace what the agent of `region` knows of a slot; nothing is written where it is the same."""
        key = {"namespace": slot.namespace, "name": slot.name, "region": region}
        row = {**key, "body": body, "number": slot.version, "seen_at": self.now}
        put = (postgresql if self.has_row_locks else sqlite).insert(observations).values(row)
        changed = {name: put.excluded[name] for name in ("body", "number", "seen_at")}
        await self.sql.execute(put.on_conflict_do_update(index_elements=list(key), set_=changed))
        self.wrote.add(observations.name)

    async def observed(self, namespace: str, name: str) -> Mapping[str, tuple[str, datetime]]:
        """What the agents know, by region, and when that was."""
        t = observations
        query = select(t).where((t.c.namespace == namespace) & (t.c.name == name))
        return {row["region"]: (row["body"], row["seen_at"]) for row in (await self.sql.execute(query)).mappings()}

    async def unsent(self, resource: str) -> int:
        """How many events of a slot wait in the outbox."""
        outbox = metadata.tables["outbox"]
        mine = (outbox.c.aggregate == resource) & outbox.c.published_at.is_(None)
        return int((await self.sql.execute(select(func.count()).where(mine).select_from(outbox))).scalar_one())

    async def records(self, resource: str) -> Sequence[tuple[str, bytes]]:
        """What was told of a slot, in order: schema and body."""
        query = select(audit.c.schema, audit.c.body).where(audit.c.aggregate == resource).order_by(audit.c.version)
        return [(row.schema, row.body) for row in await self.sql.execute(query)]

    async def run(self, slot: str, id: str, *, lock: bool = False) -> Run | None:
        """A run of a slot, `<namespace>/<name>`."""
        namespace, _, name = slot.partition("/")
        query = select(runs).where((runs.c.namespace == namespace) & (runs.c.name == name) & (runs.c.id == id))
        row = (await self.sql.execute(query.with_for_update() if lock else query)).mappings().one_or_none()
        if row is None:
            return None
        self.seen(runs, row)
        return read_run(row["body"])

    async def put_run(self, run: Run) -> None:
        """Take the row of a run from what `run` read, or from nothing, to this. Raises LostRace."""
        namespace, _, name = run.slot.partition("/")
        await self.take(runs, {
            "namespace": namespace, "name": name, "id": run.id, "body": written(run), "is_over": run.state.is_over,
            "version": run.version, "created_at": datetime.fromtimestamp(run.created_at, UTC),
        })  # fmt: skip

    async def runs_of(self, slot: str, before: tuple[datetime, str] | None = None, limit: int = 1000) -> Sequence[Run]:
        """Runs of a slot, the newest first, older than `before`."""
        namespace, _, name = slot.partition("/")
        place = (runs.c.created_at, runs.c.id)
        query = select(runs.c.body).where((runs.c.namespace == namespace) & (runs.c.name == name))
        if before is not None:
            query = query.where(tuple_(*place) < before)
        rows = await self.sql.execute(query.order_by(*(column.desc() for column in place)).limit(limit))
        return [read_run(row.body) for row in rows]

    async def open_runs(self, slot: str) -> Sequence[Run]:
        """Runs of a slot that are not over."""
        namespace, _, name = slot.partition("/")
        mine = (runs.c.namespace == namespace) & (runs.c.name == name) & runs.c.is_over.is_(False)
        return [read_run(row.body) for row in await self.sql.execute(select(runs.c.body).where(mine))]

    async def run_by_id(self, id: str) -> Run | None:
        """A run by its id alone, which is drawn from 50 bits."""
        row = (await self.sql.execute(select(runs.c.body).where(runs.c.id == id))).first()
        return read_run(row.body) if row else None

    async def keep_operation(self, name: str, answer: bytes) -> None:
        """Keep an operation that is done; those of last month go."""
        await self.sql.execute(delete(operations).where(operations.c.created_at < self.now - OPERATIONS_KEPT))
        await self.write(insert(operations).values(name=name, answer=answer, created_at=self.now))

    async def operation(self, name: str) -> bytes | None:
        """An operation that was kept."""
        kept = await self.sql.execute(select(operations.c.answer).where(operations.c.name == name))
        return kept.scalar_one_or_none()

    async def remembered(self) -> Sequence[Remembered]:
        """What any replica saw of any cell."""
        return [_remembered(row) for row in (await self.sql.execute(select(cell_memory))).mappings()]

    async def remember(self, lines: Sequence[Remembered]) -> None:
        """Raise what is known of cells; no fact, so that it has no version, and nobody is told."""
        await self.alone("cell_memory")
        known = {(line.slot, line.cell): line.state for line in await self.remembered()}
        insert_new = (postgresql if self.has_row_locks else sqlite).insert
        rows = []
        for line in lines:
            before = known.get((line.slot, line.cell))
            state = line.state if before is None or line.admitted else more(before, line.state)
            rows.append(
                {"slot": line.slot, "cell": line.cell, "promised": state.promised.counter,
                 "promised_by": state.promised.proposer, "accepted": state.accepted.counter,
                 "accepted_by": state.accepted.proposer}
            )  # fmt: skip
        put = insert_new(cell_memory)
        changed = {name: put.excluded[name] for name in ("promised", "promised_by", "accepted", "accepted_by")}
        await self.sql.execute(put.on_conflict_do_update(index_elements=["slot", "cell"], set_=changed), rows)


_RENEWED = {"seq", "held_until"}


def _slot(row: Any) -> Slot:
    return Slot(**{**row, "phase": Phase(row["phase"]), "errand": Errand(row["errand"])})


def _remembered(row: Any) -> Remembered:
    state = Acceptor(Ballot(row["promised"], row["promised_by"]), Ballot(row["accepted"], row["accepted_by"]))
    return Remembered(row["slot"], row["cell"], state)
