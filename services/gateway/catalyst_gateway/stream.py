"""Server-sent events (HTML Living Standard, section 9.2): the mesh's events, and streams of single methods."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

import grpc
from catalyst_mesh import Work
from catalyst_mesh.errors import explain

from .store import Store
from .transcode import to_json

HEARTBEAT = 15.0
"""Seconds without an event after which a comment keeps the connection alive."""
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_POLL = 0.5
_BATCH = 500


class Feed:
    """`/v1/stream`: everything that happened in the mesh after a moment, then what happens."""

    def __init__(self, work: Work[Store], wake: asyncio.Condition) -> None:
        self._work = work
        self._wake = wake

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
        while True:
            async with self._work.reading() as tx:
                newest = await tx.last()
                rows = await tx.after(number, topics, _BATCH)
            for row in rows:
                number = row["number"]
                yield frame(_body(row), event=row["subject"], id=f"{incarnation}:{number}")
            if len(rows) < _BATCH:
                number = max(number, newest)  # what came besides was not asked for
            if not rows and not await self._woken(number):
                yield b": still here\n\n"

    async def _woken(self, number: int) -> bool:
        """Wait until something came after `number`; False once the heartbeat is due."""
        for _ in range(int(HEARTBEAT / _POLL)):
            async with self._wake:
                # Another replica's projector cannot wake this one, so look now and then.
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), _POLL)
            async with self._work.reading() as tx:
                if await tx.last() > number:
                    return True
        return False


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
