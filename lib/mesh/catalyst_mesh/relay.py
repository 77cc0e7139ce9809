"""From the outbox to JetStream.

Invariants
  nothing lost     a row is marked only after the stream has acknowledged its event;
  order            events of one aggregate are published in the order of their outbox numbers, never past one that failed;
  one publisher    one replica relays at a time: whose lease it is, is read with each batch, and nothing is published past
                   its end. A second publish of an event (a crash between acknowledgement and mark) carries the same
                   Nats-Msg-Id, which the stream drops within its window, and consumers after it;
  alone            an event that cannot be published (too large, say) holds up its own aggregate and no other;
  bounded          at most 256 acknowledgements are in flight;
  a replay is sent an event that was asked for again carries a Nats-Msg-Id of its own, so that the window does not drop
                   it, and its old id, so that consumers do.
"""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js.errors import NoStreamResponseError
from sqlalchemy import MetaData, Table, bindparam, case, func, select, update

from .bus import Bus
from .chains import NUMBER, PREVIOUS, chains, written
from .database import Database, is_outage
from .envelopes import encoded
from .failpoints import Failpoints
from .leases import Leases
from .logs import get_logger
from .metrics import ChassisMetrics
from .ready import Ready
from .telemetry import span
from .waits import rung

BATCH = 256
"""Rows of one look at the outbox, and so the most acknowledgements in flight: one for each aggregate among them."""
POLL = 1.0
"""Seconds between two looks at the outbox where nobody woke the relay, unless the daemon says otherwise."""
MEASURED = 2.0
"""Seconds between two counts of a backlog that does not fit into one batch."""


class Relay:
    """The publisher of one daemon."""

    def __init__(
        self,
        service: str,
        *,
        db: Database,
        metadata: MetaData,
        bus: Bus,
        leases: Leases,
        wake: asyncio.Event,
        metrics: ChassisMetrics,
        failpoints: Failpoints | None = None,
        poll: float = POLL,
    ) -> None:
        self._service = service
        self._db = db
        self._t: Table = metadata.tables["outbox"]
        self._bus = bus
        self._leases = leases
        self._wake = wake
        self._metrics = metrics
        self._failpoints = failpoints
        self._poll = poll
        self._log = get_logger("relay")
        waits = self._t.c.published_at.is_(None)
        self._next = Ready(
            select(self._t, leases.is_ours("relay").label("is_ours"))
            .where(waits)
            .order_by(self._t.c.number)
            .limit(BATCH)
        )
        # A replay that was asked for meanwhile is not fulfilled by what was sent before it.
        sent = self._t.c.number.in_(bindparam("numbers", expanding=True)) & (self._t.c.replays == bindparam("sent"))
        self._marked = update(self._t).where(sent).values(published_at=bindparam("at"))
        self._until = 0.0
        """Until when the lease is surely ours, on the monotonic clock by which leases are counted."""
        self._fence: int | None = None
        self._measured = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until `stop`."""
        while await self._leads(stop):
            self._wake.clear()  # before the look, so that a commit during it wakes the rest
            try:
                published = await self._publish_batch()
            except (NatsError, OSError, TimeoutError) as error:
                self._log.debug("bus away", error=repr(error))
                self._bus.forget_streams()
                published = 0
            except Exception as error:
                if not is_outage(error):
                    self._log.error("relay failed", exc_info=error)
                published = 0
            if published < BATCH:
                await rung(stop, self._wake, self._poll)
        await self._leases.release("relay")

    async def _leads(self, stop: asyncio.Event) -> bool:
        """Wait until the lease is ours; False when `stop` came first. Far from its end nobody is asked."""
        if not stop.is_set() and self._leases.monotonic() < self._until - self._leases.ttl.total_seconds() / 2:
            return True
        lease = await self._leases.held("relay", stop)
        if lease is None:
            return False
        self._fence, self._until = lease.fence, self._leases.monotonic() + lease.left
        return not stop.is_set()

    async def _publish_batch(self) -> int:
        rows, is_ours = await self._pending()
        done: Sequence[Mapping[str, Any]] = ()
        try:
            if is_ours:
                done = await self._publish(rows)
            else:
                self._until = 0.0  # another had the lease meanwhile, so what was read may be old
        finally:
            await self._measure(rows, done)  # last, as nobody who waits for an event is to wait for a count
        return len(done)

    async def _publish(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Publish and mark; those that were published."""
        if not rows:
            return ()
        await self._bus.ensure_stream(self._service)
        by_aggregate = sorted(rows, key=lambda row: (row["aggregate"], row["number"]))
        groups = [list(group) for _, group in groupby(by_aggregate, key=lambda row: row["aggregate"])]
        sent = await asyncio.gather(*(self._publish_in_order(group) for group in groups))
        done = [row for group in sent for row in group]
        if self._failpoints and done:
            self._failpoints.hit("relay.published")
        await self._mark(done)
        if self._failpoints and done:
            self._failpoints.hit("relay.marked")
        self._metrics.outbox_published.inc(len(done))
        return done

    async def _pending(self) -> tuple[list[dict[str, Any]], bool]:
        """The first events that wait, and whether the lease was ours without a break until they were read."""
        async with self._db.read() as sql:
            # The lease is only looked at: to renew it would be one more commit on each event's way.
            rows = await self._next.rows(sql, {"fence": self._fence})
            earlier = await chains(sql, self._t, rows) if rows else {}
        is_ours = all(row["is_ours"] for row in rows)
        return [{**row, "previous": earlier[row["number"]]} for row in rows], is_ours

    async def _publish_in_order(self, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        js = await self._bus.jetstream()
        done: list[Mapping[str, Any]] = []
        for row in rows:
            if self._leases.monotonic() >= self._until:
                break  # another replica may be publishing what comes next
            try:
                with span(f"publish {row['subject']}", "PRODUCER", row["traceparent"]) as sent:
                    trace = sent.traceparent if sent else row["traceparent"]
                    await js.publish(
                        row["subject"], row["body"], headers=headers(self._service, {**row, "traceparent": trace})
                    )
            except NoStreamResponseError:
                self._bus.forget_streams()
                break
            except MaxPayloadError as error:
                self._hold_up(row, error)
                break
            except (NatsError, OSError, TimeoutError):
                break
            except Exception as error:
                self._hold_up(row, error)
                break
            done.append(row)
        return done

    def _hold_up(self, row: Mapping[str, Any], error: Exception) -> None:
        """An event that no later try will publish holds up its aggregate, and nothing beside it."""
        self._log.error("event cannot be published", subject=row["subject"], aggregate=row["aggregate"], exc_info=error)

    async def _mark(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if not rows:
            return
        async with self._db.begin() as sql:
            now = await self._db.now(sql)
            for replays, group in groupby(sorted(rows, key=lambda row: row["replays"]), key=lambda row: row["replays"]):
                numbers = [row["number"] for row in group]
                await sql.execute(self._marked, {"numbers": numbers, "sent": replays, "at": now})

    async def _measure(self, rows: Sequence[Mapping[str, Any]], done: Sequence[Mapping[str, Any]]) -> None:
        """Tell how much still waits of what was seen, and since when; a long backlog is not counted at every look."""
        if len(rows) == BATCH and self._leases.monotonic() < self._measured + MEASURED:
            return
        self._measured = self._leases.monotonic()
        count, age = await self._backlog() if len(done) < len(rows) or len(rows) == BATCH else (0, 0.0)
        self._metrics.outbox_pending.set(count)
        self._metrics.outbox_oldest.set(age)

    async def _backlog(self) -> tuple[int, float]:
        """How many events wait, and for how many seconds the oldest of those that were never sent."""
        t = self._t
        # What is sent again is old on purpose: only what was never sent is late.
        since = func.min(case((t.c.replays == 0, t.c.created_at)))
        async with self._db.read() as sql:
            now = await self._db.now(sql)
            query = select(func.count(), since).where(t.c.published_at.is_(None))
            count, oldest = (await sql.execute(query)).one()
        return count, (now - oldest).total_seconds() if oldest else 0.0

    async def pending(self) -> int:
        """How many events wait."""
        async with self._db.read() as sql:
            query = select(func.count()).select_from(self._t).where(self._t.c.published_at.is_(None))
            return int((await sql.execute(query)).scalar_one())


def headers(service: str, row: Mapping[str, Any]) -> dict[str, str]:
    """The headers of an outbox row with its chain, `previous`."""
    attributes = {
        "ce-specversion": "1.0",
        "ce-id": row["event_id"],
        "ce-type": row["subject"],
        "ce-source": f"/catalyst/{service}",
        "ce-subject": row["aggregate"],
        "ce-time": row["created_at"].isoformat().replace("+00:00", "Z"),
        "ce-datacontenttype": "application/protobuf",
        "ce-dataschema": row["schema"],
        "ce-version": str(row["version"]),
        NUMBER: str(row["number"]),
        PREVIOUS: written(row["previous"]),
        "Nats-Msg-Id": f"{row['event_id']}/{row['replays']}" if row["replays"] else row["event_id"],
        "traceparent": row["traceparent"],
    }
    return encoded(attributes)
