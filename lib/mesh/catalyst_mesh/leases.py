"""Leases on work that one replica does at a time: rows with a fencing number.

Invariants
  one holder   at any moment by the database's clock at most one replica holds a lease that has not ended;
  fences grow  `fence` rises with each change of holder, so that an effect can refuse a former holder;
  early stop   a holder takes its lease for lost one fifth before the database does, counted on the monotonic clock from
               before it asked; what it does under the lease is cancelled then;
  no late word a transaction that `guard` has passed is committed before anybody else holds the lease, or not at all.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar
from uuid import uuid4

from sqlalchemy import ColumnElement, MetaData, Table, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from .database import Database, is_outage
from .logs import get_logger
from .metrics import ChassisMetrics
from .ready import Ready
from .waits import ended, rest

TTL = timedelta(seconds=10)
TRUSTED = 0.8
"""Share of its life in which a holder believes in a lease."""
PAUSE = 0.5
"""Seconds until work goes on that the database was away for."""
T = TypeVar("T")


class LeaseLost(Exception):
    """This replica may not go on: its lease is over, or so near its end that another may have it."""

    def __init__(self, lease: str) -> None:
        self.lease = lease
        super().__init__(f"the lease {lease} may be another replica's by now")


class Lease:
    """A lease in the hands of this replica, for as long as it may believe so."""

    def __init__(self, leases: "Leases", name: str, fence: int, asked: float) -> None:
        self.name = name
        self.fence = fence
        self._leases = leases
        self._asked = asked

    @property
    def left(self) -> float:
        """Seconds until its end, as this replica counts."""
        return self._asked + self._leases.ttl.total_seconds() - self._leases.monotonic()

    @property
    def trusted(self) -> bool:
        """Whether this replica may still act under it."""
        return self.doubt_in > 0

    @property
    def doubt_in(self) -> float:
        """Seconds until it may no longer be trusted."""
        return self.left - self._leases.ttl.total_seconds() * (1 - TRUSTED)

    def check(self) -> None:
        """Before an effect outside of the database. Raises LeaseLost."""
        if not self.trusted:
            raise LeaseLost(self.name)

    async def guard(self, sql: AsyncConnection) -> None:
        """First in a transaction: nobody takes the lease over until it ends. Raises LeaseLost."""
        self.check()
        await self._leases.guard(sql, self)

    def renewed(self, asked: float) -> None:
        """It was renewed by a statement that was sent at `asked`, on the monotonic clock."""
        self._asked = max(self._asked, asked)


class Leases:
    """The leases of one replica of a daemon.

    replica    name of this replica; empty: drawn, and never drawn again
    ttl        how long others wait for a replica that is not heard of
    metrics    where it is told which leases are held
    monotonic  this machine's steady clock, for tests that move it
    """

    def __init__(
        self,
        db: Database,
        metadata: MetaData,
        *,
        replica: str = "",
        ttl: timedelta = TTL,
        metrics: ChassisMetrics | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._t: Table = metadata.tables["lease"]
        self._metrics = metrics
        self._log = get_logger("leases")
        self.replica = replica or uuid4().hex[:12]
        self.ttl = ttl
        self.monotonic = monotonic
        t = self._t.c
        mine = (
            (t.name == bindparam("at_name")) & (t.holder == bindparam("at_holder")) & (t.fence == bindparam("at_fence"))
        )
        # FOR KEY SHARE keeps off a takeover's FOR UPDATE, but neither other guards nor a renewal's plain UPDATE.
        held = select(t.fence).where(mine)
        self._guard = Ready(held.with_for_update(read=True, key_share=True) if db.has_row_locks else held)
        self._move = Ready(update(self._t).where(mine).values(until=bindparam("to_until", type_=t.until.type)))

    async def keep(self, name: str, stop: asyncio.Event, work: Callable[[Lease], Awaitable[None]]) -> None:
        """Do `work` whenever this replica holds the lease, until `stop`; then give the lease back.

        work   ends by itself at `stop`. It is cancelled when the lease is lost, and begun anew with the next one; likewise
               where the database was away, once that is back
        """
        while not stop.is_set():
            lease = await self.held(name, stop)
            if lease is None:
                return
            try:
                await self._under(lease, work)
            except LeaseLost:
                continue
            except Exception as error:
                if not is_outage(error):
                    raise
                await rest(stop, PAUSE)

    async def attempt(self, name: str, work: Callable[[Lease], Awaitable[T]]) -> T | None:
        """Do `work` once, if the lease can be had now; None if another replica has it. Raises LeaseLost."""
        lease = await self.take(name)
        return None if lease is None else await self._under(lease, work)

    async def take(self, name: str) -> Lease | None:
        """Take or renew the lease; None while another replica holds it. Nobody renews or releases it for the caller."""
        asked = self.monotonic()
        fence = await self.acquire(name)
        return None if fence is None else Lease(self, name, fence, asked)

    async def acquire(self, name: str) -> int | None:
        """Take or renew the lease; its fence, or None while another replica holds it."""
        try:
            async with self._db.begin() as sql:
                now = await self._db.now(sql)
                query = select(self._t).where(self._t.c.name == name)
                row = (
                    (await sql.execute(query.with_for_update() if self._db.has_row_locks else query))
                    .mappings()
                    .one_or_none()
                )
                if row is None:
                    await sql.execute(
                        insert(self._t).values(name=name, holder=self.replica, fence=1, until=now + self.ttl)
                    )
                    return 1
                if row["holder"] != self.replica and row["until"] > now:
                    return None
                fence: int = int(row["fence"]) + (row["holder"] != self.replica)
                values = {"holder": self.replica, "fence": fence, "until": now + self.ttl}
                await sql.execute(update(self._t).where(self._t.c.name == name).values(values))
                return fence
        except IntegrityError:  # another replica was the first to insert
            return None

    async def guard(self, sql: AsyncConnection, lease: Lease) -> None:
        """Raises LeaseLost where another has taken `lease` over; who wants to waits for the end of this transaction."""
        if await self._guard.row(sql, self._at(lease)) is None:
            raise LeaseLost(lease.name)

    def is_ours(self, name: str) -> ColumnElement[bool]:
        """For a statement that is sent anyway: nobody has taken the lease over since this replica got it with `:fence`."""
        mine = (self._t.c.name == name) & (self._t.c.holder == self.replica) & (self._t.c.fence == bindparam("fence"))
        return select(self._t.c.fence).where(mine).exists()

    async def renew(self, lease: Lease) -> bool:
        """Move the end of a lease that is held; False where another has it."""
        asked = self.monotonic()
        async with self._db.begin(urgent=True) as sql:
            until = await self._db.now(sql) + self.ttl
            changed = await self._move.count(sql, {**self._at(lease), "to_until": until})
        if changed:
            lease.renewed(asked)
        return bool(changed)

    async def release(self, name: str) -> None:
        """Give the lease back, so that another replica need not wait for its end."""
        with suppress(Exception):
            async with self._db.begin() as sql:
                mine = (self._t.c.name == name) & (self._t.c.holder == self.replica)
                # The row stays: its fence must go on growing.
                await sql.execute(update(self._t).where(mine).values(until=await self._db.now(sql)))

    async def held(self, name: str, stop: asyncio.Event) -> Lease | None:
        """Wait until this replica holds the lease; None when `stop` came first. Nobody renews it for the caller."""
        while not stop.is_set():
            lease = None
            try:
                lease = await self.take(name)
            except Exception as error:
                if not is_outage(error):
                    raise
            if lease is not None:
                return lease
            await rest(stop, self.ttl.total_seconds() / 3)
        return None

    async def _under(self, lease: Lease, work: Callable[[Lease], Awaitable[T]]) -> T:
        """What `work` comes to while the lease is renewed beside it. Raises LeaseLost, once `work` has stopped."""
        self._tell(lease, held=True)
        doing = asyncio.ensure_future(work(lease))
        renewing, doubting = (asyncio.create_task(loop) for loop in (self._renew_often(lease), _doubt(lease)))
        try:
            await asyncio.wait({doing, renewing, doubting}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                self._log.warning("lease lost", lease=lease.name, fence=lease.fence)
                await ended(doing)
                raise LeaseLost(lease.name)
            return doing.result()
        finally:
            for task in (doing, doubting, renewing):
                await ended(task)
            self._tell(lease, held=False)
            if lease.trusted:
                await self.release(lease.name)

    async def _renew_often(self, lease: Lease) -> None:
        """Renew at a third of the life, sooner after a failure; returns when another has the lease."""
        third = self.ttl.total_seconds() / 3
        pause = third
        while True:
            await asyncio.sleep(pause)
            try:
                if not await self.renew(lease):
                    return
                pause = third
            except Exception as error:
                if not is_outage(error):
                    self._log.warning("lease not renewed", lease=lease.name, exc_info=error)
                pause = third / 10

    def _at(self, lease: Lease) -> dict[str, object]:
        return {"at_name": lease.name, "at_holder": self.replica, "at_fence": lease.fence}

    def _tell(self, lease: Lease, *, held: bool) -> None:
        if self._metrics is not None:
            kind = lease.name.partition("/")[0]
            self._metrics.lease_held.labels(kind).set(held)
            self._metrics.lease_epoch.labels(kind).set(lease.fence)


async def _doubt(lease: Lease) -> None:
    """Return when the lease can be trusted no longer. Apart from renewing, which may hang with the database."""
    while (seconds := lease.doubt_in) > 0:  # noqa: ASYNC110 - each renewal moves the moment
        await asyncio.sleep(seconds)
