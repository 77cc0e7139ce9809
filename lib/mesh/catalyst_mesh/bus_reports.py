"""The NATS server as one daemon sees it: facts for `catalyst doctor`, which judges them."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from catalyst.mesh.v1 import resources_pb2
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError
from sqlalchemy import MetaData, Table, func, select

from .bus import Bus
from .database import Database
from .letters import BusUnavailable, Letters

PATIENCE = 2.0
"""Seconds for the answer of the monitoring address."""
MOST = 1024 * 1024
"""Bytes of it that are read."""
Report = resources_pb2.BusReport


class BusReports:
    """Asks the server, and the daemon's own outbox."""

    def __init__(
        self,
        daemon: str,
        *,
        bus: Bus,
        db: Database,
        metadata: MetaData,
        streams: Sequence[str],
        consumers: Sequence[tuple[str, str]],
        monitor_url: str,
    ) -> None:
        """`consumers` are names of the daemon's consumers with their streams."""
        self._daemon = daemon
        self._bus = bus
        self._db = db
        self._outbox: Table = metadata.tables["outbox"]
        self._streams = streams
        self._consumers = consumers
        self._monitor_url = monitor_url

    async def report(self, letters: Letters) -> Report:
        """What is so now. A server that does not answer is part of it."""
        made = Report(daemon=self._daemon, unpublished=await self._unpublished())
        made.sync_always = await sync_always(self._monitor_url)
        try:
            async with asyncio.timeout(PATIENCE):
                js = await self._bus.jetstream()
                made.connected, made.server_version = self._bus.is_connected, self._bus.server_version
                await js.account_info()
        except (ServiceUnavailableError, NotFoundError, APIError):
            made.jetstream = Report.TRUTH_NO
        except (NatsError, OSError, TimeoutError):
            pass
        else:
            made.jetstream = Report.TRUTH_YES
            with suppress(NatsError, OSError, TimeoutError, BusUnavailable):
                await self._streams_and_consumers(js, letters, made)
        return made

    async def _streams_and_consumers(self, js: JetStreamContext, letters: Letters, made: Report) -> None:
        for name in self._streams:
            with suppress(NotFoundError):
                stream = await js.stream_info(name)
                replicas = stream.config.num_replicas or 1
                made.streams.add(name=name, replicas=replicas, messages=stream.state.messages)
        dead = await letters.count() if self._consumers else {}
        for name, of in self._consumers:
            row = made.consumers.add(name=name, dead_letters=dead.get(name, 0))
            with suppress(NotFoundError):
                info = await js.consumer_info(of, name)
                row.exists, row.pending = True, info.num_pending or 0
                row.unacknowledged = info.num_ack_pending or 0

    async def _unpublished(self) -> int:
        query = select(func.count()).select_from(self._outbox).where(self._outbox.c.published_at.is_(None))
        async with self._db.read() as sql:
            return int((await sql.execute(query)).scalar_one())


async def sync_always(monitor_url: str) -> Any:
    """Whether the server syncs each write before it acknowledges, asked at `/varz` of its monitoring address."""
    if not monitor_url:
        return Report.TRUTH_UNSPECIFIED
    try:
        async with asyncio.timeout(PATIENCE):
            config = (await _varz(monitor_url))["jetstream"]["config"]
    except (OSError, TimeoutError, ValueError, KeyError, TypeError):
        return Report.TRUTH_UNSPECIFIED
    return Report.TRUTH_YES if config.get("sync_always") else Report.TRUTH_NO


async def _varz(monitor_url: str) -> Any:
    """One GET over HTTP/1.0: a client library for one question would cost each daemon some MiB."""
    place = urlsplit(monitor_url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port or 8222)
    try:
        writer.write(f"GET /varz HTTP/1.0\r\nHost: {place.netloc}\r\n\r\n".encode())
        await writer.drain()
        answer = await _all(reader)
    finally:
        writer.close()
    return json.loads(answer.partition(b"\r\n\r\n")[2])


async def _all(reader: asyncio.StreamReader) -> bytes:
    whole = b""
    while len(whole) < MOST and (piece := await reader.read(65536)):
        whole += piece
    return whole
