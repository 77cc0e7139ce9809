"""From the outbox to JetStream.

Invariants
  nothing lost     a row is marked only after the stream has acknowledged its event;
  order            events of one aggregate are published in the order of their outbox numbers, never past one that failed;
  one publisher    one replica relays at a time; a second publish of an event (a crash between acknowledgement and mark)
                   carries the same Nats-Msg-Id, which the stream drops within its window, and consumers after it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import groupby
from typing import Any
from urllib.parse import quote

from nats.errors import Error as NatsError
from nats.js.errors import NoStreamResponseError
from sqlalchemy import MetaData, Table, delete, func, select, update

from .bus import Bus
from .database import Database, is_outage
from .leases import Leases
from .logs import get_logger
from .metrics import ChassisMetrics
from .telemetry import span
from .waits import unless

BATCH = 256
POLL = 0.3
"""Seconds between two looks at the outbox where nobody woke the relay."""
KEEP = timedelta(days=7)


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
    ) -> None:
        self._service = service
        self._db = db
        self._t: Table = metadata.tables["outbox"]
        self._bus = bus
        self._leases = leases
        self._wake = wake
        self._metrics = metrics
        self._log = get_logger("relay")

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until `stop`."""
        while await self._leases.held("relay", stop) is not None and not stop.is_set():
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
                await self._rest(stop)
        await self._leases.release("relay")

    async def _rest(self, stop: asyncio.Event) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(unless(stop, self._wake.wait()), POLL)

    async def _publish_batch(self) -> int:
        rows = await self._pending()
        self._metrics.outbox_pending.set(len(rows))
        if not rows:
            return 0
        await self._bus.ensure_stream(self._service)
        by_aggregate = sorted(rows, key=lambda row: (row["aggregate"], row["number"]))
        groups = [list(group) for _, group in groupby(by_aggregate, key=lambda row: row["aggregate"])]
        sent = await asyncio.gather(*(self._publish_in_order(group) for group in groups))
        numbers = [number for group in sent for number in group]
        await self._mark(numbers)
        self._metrics.outbox_published.inc(len(numbers))
        return len(numbers)

    async def _pending(self) -> Sequence[Mapping[str, Any]]:
        query = select(self._t).where(self._t.c.published_at.is_(None)).order_by(self._t.c.number).limit(BATCH)
        async with self._db.read() as sql:
            return [dict(row) for row in (await sql.execute(query)).mappings()]

    async def _publish_in_order(self, rows: Sequence[Mapping[str, Any]]) -> list[int]:
        js = await self._bus.jetstream()
        done: list[int] = []
        for row in rows:
            try:
                with span(f"publish {row['subject']}", "PRODUCER", row["traceparent"]) as sent:
                    trace = sent.traceparent if sent else row["traceparent"]
                    await js.publish(
                        row["subject"], row["body"], headers=headers(self._service, {**row, "traceparent": trace})
                    )
            except NoStreamResponseError:
                self._bus.forget_streams()
                break
            except (NatsError, OSError, TimeoutError):
                break
            done.append(row["number"])
        return done

    async def _mark(self, numbers: list[int]) -> None:
        if not numbers:
            return
        async with self._db.begin() as sql:
            now = await self._db.now(sql)
            await sql.execute(update(self._t).where(self._t.c.number.in_(numbers)).values(published_at=now))

    async def sweep(self) -> int:
        """Forget what was published longer than seven days ago; how many rows."""
        async with self._db.begin() as sql:
            old = self._t.c.published_at < await self._db.now(sql) - KEEP
            return (await sql.execute(delete(self._t).where(old))).rowcount

    async def pending(self) -> int:
        """How many events wait."""
        async with self._db.read() as sql:
            query = select(func.count()).select_from(self._t).where(self._t.c.published_at.is_(None))
            return int((await sql.execute(query)).scalar_one())


def headers(service: str, row: Mapping[str, Any]) -> dict[str, str]:
    """CloudEvents 1.0 attributes in NATS headers (binary mode), percent-encoded."""
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
        "Nats-Msg-Id": row["event_id"],
        "traceparent": row["traceparent"],
    }
    return {key: quote(str(value), safe=" /:;,.+-_@*=") for key, value in attributes.items()}
