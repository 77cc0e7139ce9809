"""Where journal tests run: a database, a clock that is moved by hand, engines on it, and a world that has effects."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar

from catalyst_mesh import Database, ManualClock
from catalyst_mesh.journal import Context, Engine, EventView, Kind, RunView, Step, journal_tables
from catalyst_testkit import eventually
from sqlalchemy import BigInteger, ColumnElement, MetaData, bindparam

D = TypeVar("D", bound=Database)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LEASE = timedelta(seconds=15)
SECOND = timedelta(seconds=1)


class World:
    """What steps make. Counts how often, so that a doubled effect is seen."""

    def __init__(self) -> None:
        self.there: set[str] = set()
        self.made: Counter[str] = Counter()
        self.removed: list[str] = []
        self.asked: Counter[str] = Counter()

    def make(self, name: str) -> dict[str, str]:
        self.there.add(name)
        self.made[name] += 1
        return {"made": name}

    def remove(self, name: str) -> None:
        if name in self.there:
            self.there.discard(name)
            self.removed.append(name)

    def found(self, name: str) -> dict[str, str] | None:
        return {"made": name} if name in self.there else None

    def step(self, name: str, *needs: str, checked: bool = True, undoable: bool = True, **rest: Any) -> Step:
        """A step that makes the thing called `name`."""

        async def run(_ctx: Context) -> dict[str, str]:
            return self.make(name)

        async def check(_ctx: Context) -> dict[str, str] | None:
            return self.found(name)

        async def undo(_ctx: Context) -> None:
            self.remove(name)

        own = {"run": run, "check": check if checked else None, "undo": undo if undoable else None}
        return Step(name, needs=needs, **(own | rest))


class Bench:
    """A database and engines on it. Time stands still until `clock` is moved."""

    def __init__(self, url: str, db: Database) -> None:
        self.url = url
        self.db = db
        self.clock = ManualClock(NOON)
        self._opened: list[Database] = []

    @classmethod
    async def open(cls, url: str) -> "Bench":
        metadata = MetaData()
        journal_tables(metadata)
        return cls(url, await Database.open(url, metadata=metadata))

    async def close(self) -> None:
        for db in (*self._opened, self.db):
            await db.close()

    async def another_database(self, of: type[D] = Database) -> D:  # type: ignore[assignment]  # the default of D
        """Connections of their own to the same database, as another replica has."""
        opened = await of.open(self.url)
        self.closes(opened)
        return opened  # type: ignore[return-value]  # open() makes what it is called on

    def closes(self, db: Database) -> None:
        """Close `db` with this bench."""
        self._opened.append(db)

    def engine(self, *kinds: Kind, db: Database | None = None, **others: Any) -> Engine:
        options: dict[str, Any] = {"clock": self.clock, "lease": LEASE, "lease_now": self.lease_now, "rng": Random(7)}
        options |= others
        return Engine(db or self.db, kinds=kinds, **options)

    def lease_now(self) -> ColumnElement[int]:
        # Asked for its value at each execution, so that a statement may be kept.
        return bindparam(None, callable_=lambda: int(self.clock.now().timestamp() * 1000), type_=BigInteger)

    def pass_lease(self) -> None:
        self.clock.advance(LEASE + SECOND)


def kind_of(*steps: Step, name: str = "build", **rest: Any) -> Kind:
    """A kind whose graph is always these steps."""

    def graph(_input: Mapping[str, Any]) -> Iterable[Step]:
        return steps

    return Kind(name, graph, **rest)


async def begin(engine: Engine, *, kind: str = "build", subject: str = "sovereigns/acme", key: str = "k") -> str:
    return (await engine.start(kind, subject=subject, key=key, input={"size": 3}, by="users/ada")).id


async def carry(bench: Bench, engine: Engine, run: str, signals: Mapping[str, Any] | None = None) -> RunView:
    """Carry `run` to its end, or to where nothing but a person or a signal helps; waits are passed by moving the clock."""
    unsent = dict(signals or {})
    for _ in range(500):
        while await engine.turn():
            pass
        seen = await engine.status(run)
        if seen.state.ended or seen.state in {"paused", "stuck"}:
            return seen
        if seen.wake_at is not None:
            bench.clock.advance(max(seen.wake_at - bench.clock.now(), timedelta(milliseconds=1)))
        elif unsent:
            name = next(iter(unsent))
            await engine.signal(run, name, unsent.pop(name))
        else:
            return seen
    raise AssertionError(f"{run} comes to no end: {seen}")


async def holds(check: Callable[[], Awaitable[bool]], within: float = 30) -> None:
    """Wait until `check` says yes."""
    await eventually(check, within=within)  # type: ignore[arg-type]  # its T is what the awaitable gives


async def reaches(engine: Engine, run: str, state: str, within: float = 30) -> RunView:
    """Wait until `run` is in `state`."""

    async def there() -> bool:
        return (await engine.status(run)).state == state

    await holds(there, within)
    return await engine.status(run)


@asynccontextmanager
async def working(*engines: Engine) -> AsyncIterator[asyncio.Event]:
    """Engines at work during the block; set the event to stop them earlier."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for engine in engines:
            group.create_task(engine.run(stop))
        try:
            yield stop
        finally:
            stop.set()


async def states(engine: Engine, run: str) -> dict[str, str]:
    return {step.name: str(step.state) for step in await engine.steps(run)}


async def events(engine: Engine, run: str) -> list[EventView]:
    """All events; asserts that their numbers have no gap."""
    found = [event async for event in engine.events(run)]
    assert [event.seq for event in found] == list(range(1, len(found) + 1)), "gap in the numbers of events"
    assert found[-1].seq == (await engine.status(run)).seq
    return found


async def codes(engine: Engine, run: str, prefix: str = "") -> list[str]:
    told = ((event.code, event.step) for event in await events(engine, run))
    return [f"{code} {step}".strip() for code, step in told if code.startswith(prefix)]
