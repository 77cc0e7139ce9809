"""Server-sent events (HTML Living Standard, section 9.2): the mesh's events, and streams of single methods."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
from catalyst_mesh import Caller, Work
from catalyst_mesh.database import is_outage
from catalyst_mesh.errors import Explained, explain
from catalyst_mesh.logs import get_logger
from catalyst_mesh.readers import Reader
from catalyst_mesh.waits import heard
from catalyst_sdk import Refused

from .pending import Pending, Word
from .store import Store, stream_event
from .transcode import to_json

HEARTBEAT = 15.0
"""Seconds without an event after which a comment keeps the connection alive."""
RECHECK = 4.0
"""Seconds between two questions whether a browser may still hear what it hears: what it lost ends within five."""
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_BATCH = 500
_AWAY = 0.5
"""Seconds until a database that was away is asked again."""
_QUIET = b": still here\n\n"
Who = Callable[[], Awaitable[Caller]]
"""Who is at the other end, as of now. Raises Refused where nobody is any more, or where nobody can say so."""
Wanted = Callable[[Word], bool]


class Feed:
    """`/v1/stream`: what happened in the mesh after a moment, then what happens, as far as it is the listener's to hear.

    Whoever is behind reads the store by pages of its own. Whoever has caught up waits for words that one task reads once
    for all browsers of this replica: after a ring of the bell, which says that something was kept here or by another
    replica, and, as a ring may be lost, now and then without one.
    """

    def __init__(self, work: Work[Store], *, heartbeat: float = HEARTBEAT, recheck: float = RECHECK) -> None:
        self._work = work
        self._heartbeat = heartbeat
        self._recheck = recheck
        self._listeners: dict[Pending, Wanted] = {}
        self._following: asyncio.Task[None] | None = None
        self._reads = asyncio.Event()
        self._log = get_logger("stream")

    async def events(self, last_event_id: str, topics: str, who: Who) -> AsyncIterator[bytes]:
        """Frames for one browser.

        last_event_id   `<incarnation>:<number>` of the last frame that arrived; empty: from now on; `0`: from the start
        topics          beginnings of the subjects that are wanted, commas between them; empty: all
        who             asked at once and every few seconds; the stream ends where the answer changes
        """
        reader = Reader.of(await who())
        async with self._work.reading() as tx:
            incarnation, newest, oldest = await tx.incarnation(), await tx.last(), await tx.first()
        number, known = _resume(last_event_id, incarnation, newest, oldest)
        if not known:
            yield reset(incarnation, newest)
        ending = asyncio.ensure_future(self._until_it_changes(who, reader))
        try:
            async for words in self._words(number, topics, _wanted(topics, reader), ending):
                for word in words:
                    yield word
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)

    async def _words(
        self, number: int, topics: str, wanted: Wanted, ending: "asyncio.Future[str]"
    ) -> AsyncIterator[list[bytes]]:
        """Frames as they come, a comment where none comes for long, and a last word where there will be no more."""
        behind = True
        while behind and not ending.done():
            number, frames, behind = await self._page(number, topics, wanted)
            yield frames
        async with self._listening(wanted) as pending:
            behind = True  # what was kept since the last page, and was not told yet to who listens
            while behind and not ending.done():
                number, frames, behind = await self._page(number, topics, wanted)
                yield frames
            async for words in self._fresh(pending, ending):
                yield [w.frame for w in words if w.number > number] or [_QUIET]
                number = max([number, *(w.number for w in words)])
            if pending.is_given_up:
                async with self._work.reading() as tx:
                    yield [reset(await tx.incarnation(), await tx.last())]
                return
        yield [frame({"reason": ending.result()}, event="ended")]

    async def _fresh(self, pending: Pending, ending: "asyncio.Future[str]") -> AsyncIterator[list[Word]]:
        """What waits, as soon as it does; nothing after a quiet time. Ends where the listener is given up or may not hear."""
        while not ending.done():
            filled = asyncio.ensure_future(pending.filled.wait())
            either: set[asyncio.Future[Any]] = {filled, ending}
            try:
                await asyncio.wait(either, timeout=self._heartbeat, return_when=asyncio.FIRST_COMPLETED)
            finally:
                filled.cancel()
            if pending.is_given_up:
                return
            if not ending.done():
                yield pending.take()

    async def _until_it_changes(self, who: Who, reader: Reader) -> str:
        """Why the stream ends: whoever listens is nobody any more, or somebody who may hear something else."""
        while True:
            await asyncio.sleep(self._recheck)
            try:
                if Reader.of(await who()) != reader:
                    return "ROLES_CHANGED"
            except Refused as refusal:
                return refusal.reason

    async def _page(self, number: int, topics: str, wanted: Wanted) -> tuple[int, list[bytes], bool]:
        """The next page of the store: up to where, the frames of it, and whether there may be more."""
        number, incarnation, rows = await self._next(number, topics)
        words = [_word(row, incarnation) for row in rows]
        return number, [word.frame for word in words if wanted(word)], len(rows) == _BATCH

    async def _next(self, number: int, topics: str) -> tuple[int, str, Sequence[Mapping[str, Any]]]:
        """What came after `number`, and from where to look on."""
        async with self._work.reading() as tx:
            newest = await tx.last() if topics else 0
            incarnation, rows = await tx.incarnation(), await tx.after(number, _prefixes(topics), _BATCH)
        if len(rows) < _BATCH:
            number = max(number, newest)  # what came besides was not asked for
        return max([number, *(row["number"] for row in rows)]), incarnation, rows

    @asynccontextmanager
    async def _listening(self, wanted: Wanted) -> AsyncIterator[Pending]:
        """What is kept from now on waits in it; what was kept before is found by whoever looks now."""
        pending = Pending()
        self._listeners[pending] = wanted
        if self._following is None or self._following.done():
            self._reads = asyncio.Event()
            self._following = asyncio.create_task(self._follow(self._reads))
        try:
            await self._reads.wait()
            yield pending
        finally:
            del self._listeners[pending]
            if not self._listeners and self._following is not None:
                self._following.cancel()
                self._following = None

    async def _follow(self, reads: asyncio.Event) -> None:
        """Read what is kept, once for all who listen. Where it cannot go on they are told to begin anew.

        reads   set once it is known from where on it reads
        """
        head: int | None = None
        try:
            with self._work.bell.listening(stream_event.name) as bell:
                while True:
                    bell.clear()  # before the look: what is kept during it rings again
                    try:
                        head, is_all = await self._look(head)
                    except Exception as error:
                        if not is_outage(error):
                            raise
                        self._log.debug("database away", error=repr(error))
                        await asyncio.sleep(_AWAY)
                        continue
                    reads.set()
                    if is_all:
                        await heard(bell, self._work.bell.patience)
        except Exception as error:
            self._log.error("bug", exc_info=error)
            for pending in self._listeners:
                pending.give_up()
        finally:  # cancelled, it leaves the others alone: who listens by then came after it, and has another one to read
            reads.set()

    async def _look(self, head: int | None) -> tuple[int, bool]:
        """Tell what came after `head`; the new head, and whether that was all."""
        async with self._work.reading() as tx:
            if head is None:
                return await tx.last(), False
            rows = await tx.after(head, (), _BATCH)
            incarnation = await tx.incarnation() if rows else ""
        now = asyncio.get_running_loop().time()
        for word in (_word(row, incarnation) for row in rows):
            for pending, wanted in self._listeners.items():
                if wanted(word):
                    pending.put(word, now)
        return max([head, *(row["number"] for row in rows)]), len(rows) < _BATCH


def _prefixes(topics: str) -> tuple[str, ...]:
    return tuple(filter(None, (topic.strip() for topic in topics.split(","))))


def _wanted(topics: str, reader: Reader) -> Wanted:
    prefixes = _prefixes(topics) or ("",)
    return lambda word: word.subject.startswith(prefixes) and reader.may_hear(word.subject, word.organization)


def _word(row: Mapping[str, Any], incarnation: str) -> Word:
    told = frame(_body(row), event=row["subject"], id=f"{incarnation}:{row['number']}")
    return Word(row["number"], row["subject"], row["aggregate"], row["organization"], told)


def _resume(last_event_id: str, incarnation: str, newest: int, oldest: int) -> tuple[int, bool]:
    """Where to go on, and whether the client's place is known here and all that followed it is kept."""
    if not last_event_id:
        return newest, True
    if last_event_id == "0":
        return 0, True
    origin, _, number = last_event_id.partition(":")
    is_ours = origin == incarnation and number.isdecimal() and number.isascii() and len(number) < 20
    if is_ours and oldest <= int(number) + 1 and int(number) <= newest:
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
        yield refused(explain(error))
    finally:
        call.cancel()


def reset(incarnation: str, number: int) -> bytes:
    """The frame that says: take a new snapshot, and go on from here."""
    return frame({"incarnation": incarnation, "number": number}, event="reset", id=f"{incarnation}:{number}")


def refused(why: Explained) -> bytes:
    """The last frame of a stream that is refused after it had begun: what a problem says, without its title."""
    violations = [{"field": v.field, "description": v.description, "rule": v.rule} for v in why.violations]
    told = {"code": why.code, "reason": why.reason, "message": why.message, "violations": violations}
    return frame(told, event="error")


def frame(data: Mapping[str, Any], *, event: str = "", id: str = "") -> bytes:
    """One frame."""
    return _frame(json.dumps(data), event=event, id=id)


def _frame(data: str, *, event: str, id: str) -> bytes:
    lines = [f"id: {id}"] if id else []
    lines += [f"event: {event}"] if event else []
    return ("\n".join([*lines, f"data: {data}"]) + "\n\n").encode()
