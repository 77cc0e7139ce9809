"""Server-sent events (HTML Living Standard, section 9.2): the mesh's events, and streams of single methods."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import grpc
from catalyst_mesh import Work
from catalyst_mesh.errors import explain

from .store import Store, stream_event
from .transcode import to_json

HEARTBEAT = 15.0
"""Seconds without an event after which a comment keeps the connection alive."""
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_BATCH = 500


class Feed:
    """`/v1/stream`: everything that happened in the mesh after a moment, then what happens.

    A bell says that something was kept, here or by another replica. As a ring may be lost, each browser's events are looked
    for now and then without one.
    """

    def __init__(self, work: Work[Store], *, heartbeat: float = HEARTBEAT) -> None:
        self._work = work
        self._heartbeat = heartbeat

    async def events(self, last_event_id: str, topics: str) -> AsyncIterator[bytes]:
        """Frames for one browser.

        last_event_id   `<incarnation>:<number>` of the last frame that arrived; empty: from now on; `0`: from the start
        topics          beginning of the subjects that are wanted; empty: all
        """
        async with self._work.reading() as tx:
            incarnation, newest = await tx.incarnation(), await tx.last()
        number, known = _resume(last_event_id, incarnation, newest)
        if not known:
            yield frame({"incarnation": incarnation, "number": newest}, event="reset", id=f"{incarnation}:{newest}")
        clock = asyncio.get_running_loop().time
        spoken = clock()
        with self._work.bell.listening(stream_event.name) as heard:
            while True:
                heard.clear()  # before the look: what is kept during it rings again
                number, rows = await self._next(number, topics)
                for row in rows:
                    yield frame(_body(row), event=row["subject"], id=f"{incarnation}:{row['number']}")
                if rows:
                    spoken = clock()
                elif clock() >= spoken + self._heartbeat:
                    spoken = clock()
                    yield b": still here\n\n"
                if len(rows) < _BATCH:
                    await self._rung(heard)

    async def _next(self, number: int, topics: str) -> tuple[int, Sequence[Mapping[str, Any]]]:
        """What came after `number`, and from where to look on."""
        async with self._work.reading() as tx:
            newest = await tx.last() if topics else 0
            rows = await tx.after(number, topics, _BATCH)
        if len(rows) < _BATCH:
            number = max(number, newest)  # what came besides was not asked for
        return max([number, *(row["number"] for row in rows)]), rows

    async def _rung(self, heard: asyncio.Event) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(heard.wait(), min(self._work.bell.patience, self._heartbeat))


def _resume(last_event_id: str, incarnation: str, newest: int) -> tuple[int, bool]:
    """Where to go on, and whether the client's place is known here."""
    if not last_event_id:
        return newest, True
    if last_event_id == "0":
        return 0, True
    origin, _, number = last_event_id.partition(":")
    if origin == incarnation and number.isdigit() and int(number) <= newest:
        return int(number), True
    return newest, False


def _body(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "subject": row["subject"],
        "aggregate": row["aggregate"],
        "version": row["version"],
        "time": row["time"].isoformat().replace("+00:00", "Z"),
        "data": row["body"],
    }


async def frames(call: Any) -> AsyncIterator[bytes]:
    """The messages of a server-streaming call as frames; a refusal becomes a last frame `error`."""
    try:
        async for message in call:
            seq = getattr(message, "seq", 0)
            code = getattr(message, "code", "") or "message"
            yield _frame(to_json(message), event=code, id=str(seq) if seq else "")
    except grpc.aio.AioRpcError as error:
        why = explain(error)
        yield frame({"code": why.code, "reason": why.reason, "message": why.message}, event="error")
    finally:
        call.cancel()


def frame(data: Mapping[str, Any], *, event: str = "", id: str = "") -> bytes:
    """One frame."""
    return _frame(json.dumps(data), event=event, id=id)


def _frame(data: str, *, event: str, id: str) -> bytes:
    lines = [f"id: {id}"] if id else []
    lines += [f"event: {event}"] if event else []
    return ("\n".join([*lines, f"data: {data}"]) + "\n\n").encode()
