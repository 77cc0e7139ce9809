"""The promoter: what becomes of which server, in which epoch.

Each call that changes a server is for the one on this machine; of the others it only asks. What it knows of epochs is on disk
before a server is touched. A server that runs as primary in an epoch that is not the newest is stopped before anything else.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import asyncpg
from catalyst_sdk import Permanent, PluginFailure, Temporary
from catalyst_sdk.continuum import (
    DatabaseView,
    DemotionToken,
    Effect,
    FenceProof,
    Fencer,
    FenceView,
    Follow,
    FollowState,
    Rehearsed,
    Role,
    WriteProbe,
)
from catalyst_sdk.deadman import boottime
from catalyst_sdk.epochs import Epochs, StaleEpoch

from .following import Following
from .place import PROVIDER, Configured, Place
from .questions import TABLES, Facts, Line, lsn, number
from .rehearsal import Rehearsal
from .server import Server
from .standbys import Standbys

PROMOTE = 30
"""Seconds in which PostgreSQL has to end its recovery."""
ASKED, SPENT = 0.25, 0.9
"""Shares of a fence's budget: for asking whether the server writes at all; and of what is left then, for stopping it."""


class PostgresPromoter:
    """Follows `catalyst_sdk.continuum.Promoter`."""

    worst_case = 10.0

    def __init__(self, configured: Configured) -> None:
        self._c = configured
        self._line = Line(configured)
        self._servers = {p.region: Server(configured, p) for p in configured.places.values() if p.folder is not None}
        self._standbys = Standbys(self._line)
        self._following = Following(configured, self._line)
        self._rehearsing = asyncio.Lock()

    def server(self, region: str) -> Server:
        """The server of a region that is on this machine. Raises Permanent."""
        place = self._c.place(region)
        if region not in self._servers:
            raise Permanent("NOT_HERE", f"the server of {place.region} runs on another machine", provider=PROVIDER)
        return self._servers[region]

    def fencers(self) -> Sequence[Fencer]:
        """A server is stopped by its own machine."""
        return (ServerFencer(self),)

    async def observe(self, *, region: str) -> DatabaseView:
        """What the region's server says of itself."""
        began, place = boottime(), self._c.place(region)
        server = self._servers.get(region)
        epochs = server.epochs.read() if server is not None else None
        try:
            facts = await self._line.facts(place)
        except Temporary:
            stopped = server is not None and not server.is_running
            return DatabaseView(
                region,
                role=Role.STOPPED if stopped else None,
                writable=False if stopped else None,
                ready=False if stopped else None,
                age=boottime() - began,
            )  # fmt: skip - two a line
        sync = None if facts.standby else self._standbys.joined(server, facts)
        return DatabaseView(
            region,
            role=Role.REPLICA if facts.standby else Role.PRIMARY,
            writable=not facts.standby,
            ready=server is None or server.parted == "",
            system_id=facts.system,
            timeline=facts.timeline,
            received=lsn(facts.received),
            replayed=lsn(facts.replayed),
            committed_ms=facts.committed_ms,
            sync=sync,
            epoch=epochs.highest if epochs is not None else facts.epoch,
            age=boottime() - began,
            waiting=None if facts.standby else facts.waiting,
        )

    async def prepare(self, *, region: str, epoch: int) -> None:
        """Write out now what a stop would have to write out while nobody is served."""
        with suppress(Temporary):  # the stop takes longer then
            async with self._line.to(self._c.place(region)) as sql:
                await sql.execute("CHECKPOINT", timeout=60)

    async def demote(self, *, region: str, epoch: int, run: str) -> DemotionToken | Effect:
        """Stop the primary in peace. It has sent all of its log to whoever streamed then.

        Asked once more, it starts as a standby, and gives the log to whoever did not.
        """
        async with self._moving(region) as (server, epochs):
            try:
                now = epochs.heard(epoch)
            except StaleEpoch:
                return Effect.STALE_EPOCH
            if now.demoted == epoch:
                with suppress(Temporary):
                    if not server.is_running:
                        await server.start({})
                return DemotionToken(region, epoch, now.demoted_at)
            if not now.led:
                raise Permanent("NOT_PRIMARY", f"{region} has nothing to give up", provider=PROVIDER)
            server.epochs.keep(now)
            with suppress(Temporary):
                # Whoever ran out of time comes again, and must not begin with what is done.
                if not server.gave_up(epoch):
                    await server.stop()
                    server.give_up(epoch)
                self._standbys.forget(server)
                end = await self._end(server, self._c.place(region))
                if end is not None:
                    server.epochs.keep(now.gave_up(epoch, lsn(end)))
                    return DemotionToken(region, epoch, lsn(end))
            return Effect.UNKNOWN

    async def promote(self, *, region: str, epoch: int, run: str, token: DemotionToken | None) -> Effect:
        """End the recovery of the region's server, on a timeline of its own."""
        async with self._moving(region) as (server, epochs):
            try:
                now = epochs.promoted(epoch)
            except StaleEpoch:
                return Effect.STALE_EPOCH
            if now.fenced >= epoch:
                return Effect.UNKNOWN  # a server that is stopped by its fence is no primary before that is lifted
            if not server.has_data:
                raise Permanent("NOT_PROMOTABLE", f"{region} has no sound copy yet", provider=PROVIDER)
            try:
                return await self._promoted(server, self._c.place(region), now, number(token.lsn) if token else 0)
            except Temporary:
                return Effect.UNKNOWN

    async def probe_write(self, *, region: str, epoch: int) -> WriteProbe:
        """A canary, committed as every write is, and read back."""
        began, n = boottime(), secrets.randbits(62)
        insert = "INSERT INTO catalyst.canary (n, epoch) SELECT $1, max(epoch) FROM catalyst.epoch RETURNING epoch"
        try:
            async with self._line.to(self._c.place(region)) as sql:
                if await sql.fetchval("SELECT pg_is_in_recovery()"):
                    return WriteProbe(False, boottime() - began, f"{region} is a standby")
                found = await sql.fetchval(insert, n)
                kept = await sql.fetchval("SELECT count(*) FROM catalyst.canary WHERE n = $1", n)
        except Temporary as error:
            refused = error.provider_code == asyncpg.ReadOnlySQLTransactionError.sqlstate
            return WriteProbe(False if refused else None, boottime() - began, error.message)
        if found != epoch:
            return WriteProbe(False, boottime() - began, f"it was taken in epoch {found}")
        return WriteProbe(True if kept else None, boottime() - began)

    async def follow(self, *, region: str, primary: str, epoch: int, run: str, destroy: bool = False) -> FollowState:
        """One step nearer to following."""
        source = self._c.place(primary)
        async with self._moving(region) as (server, epochs):
            if primary == region or epochs.led == epoch:
                return FollowState(Follow.BLOCKED, f"{region} itself is the primary of epoch {epoch}")
            try:
                server.epochs.keep(epochs.followed(epoch))
            except StaleEpoch as stale:
                return FollowState(Follow.BLOCKED, f"{region}: {stale}")
            return await self._following.approach(server, self._c.place(region), source, epoch, destroy=destroy)

    async def set_sync(self, *, region: str, standbys: frozenset[str], epoch: int) -> Effect:
        """Wait for all of `standbys` before a commit is acknowledged."""
        if strange := standbys - set(self._c.places) | (standbys & {region}):
            raise Permanent("REGION_UNKNOWN", f"no other region of it: {', '.join(sorted(strange))}", provider=PROVIDER)
        async with self._moving(region) as (server, epochs):
            try:
                epochs.heard(epoch)
            except StaleEpoch:
                return Effect.STALE_EPOCH
            if epochs.led != epoch:
                raise Permanent("NOT_PRIMARY", f"{region} is not the primary of epoch {epoch}", provider=PROVIDER)
            try:
                await self._standbys.wait_for(server, self._c.place(region), standbys)
            except Temporary:
                return Effect.UNKNOWN
            return Effect.DONE

    async def rehearse(self, *, region: str, run: str) -> Rehearsed:
        """A promotion, tried on a copy of the region's standby; moves of the standby itself go on beside it."""
        async with self._rehearsing:
            return await Rehearsal(self._c, self._line, self._c.place(region)).run()

    async def fence(self, region: str, epoch: int, budget: float) -> str:
        """Stop the server where it writes in this epoch or an older one; what was seen. Raises PluginFailure.

        A server that hangs is asked for a part of the time only, so that enough is left to break it off.
        """
        until = boottime() + budget
        async with self._moving(region) as (server, epochs):
            server.epochs.keep(epochs.fence(epoch))
            if epoch < epochs.highest:
                return f"{region}: epoch {epochs.highest} is known, in which older ones do not write"
            if not await self._writes(server, region, within=budget * ASKED):
                return f"{region}: its server is a standby, or stopped"
            await server.stop(max(0.0, until - boottime()) * SPENT)
            return f"{region}: its server was stopped"

    async def unfence(self, region: str, epoch: int) -> Effect:
        """Lift the fence; a primary of this epoch writes again."""
        async with self._moving(region) as (server, epochs):
            try:
                now = epochs.unfence(epoch)
            except StaleEpoch:
                return Effect.STALE_EPOCH
            server.epochs.keep(now)
            try:
                if now == epochs and now.led == epoch and server.is_running and await self._writes(server, region):
                    return Effect.DONE  # no fence was up
                if now.led == epoch:
                    return await self._promoted(server, self._c.place(region), now, 0)
                if await self._writes(server, region):
                    await server.stop()  # of an older epoch
            except Temporary:
                return Effect.UNKNOWN
            return Effect.DONE

    async def _end(self, server: Server, place: Place) -> int | None:
        """Where the log of a server that was stopped ends; one that had to be broken off tells once it runs as a standby."""
        if not server.is_running and (end := await server.ended_at()) is not None:
            return end
        await server.start({})
        facts = await self._line.facts(place)
        return facts.replayed if facts.standby else None

    @asynccontextmanager
    async def _moving(self, region: str) -> AsyncIterator[tuple[Server, Epochs]]:
        """One move of a region at a time, and what is known of epochs when it begins."""
        server = self.server(region)
        async with server.lock:
            yield server, server.epochs.read()

    async def _promoted(self, server: Server, place: Place, now: Epochs, wanted: int) -> Effect:
        # Who leads is kept at the end: a promotion that was refused, or not ended, must not look as if it had been.
        server.epochs.keep(server.epochs.read().heard(now.highest))
        server.give_up(0)  # a demotion of this epoch that comes later stops it again
        await server.start()
        facts = await self._line.facts(place)
        if facts.standby:
            if facts.replayed < wanted:
                behind = f"{place.region} has replayed {lsn(facts.replayed)}, and {lsn(wanted)} was written"
                raise Permanent("NOT_CAUGHT_UP", behind, provider=PROVIDER)
            # The first write must not hang on a standby that is not there yet.
            self._standbys.forget(server)
            server.configure({})
            server.reload()
            server.intend(now.led, facts.timeline, facts.replayed)
            await self._end_recovery(place)
            server.guard()
        await self._begin(place, now.led)
        server.epochs.keep(now)
        return Effect.DONE

    async def _end_recovery(self, place: Place) -> None:
        async with self._line.to(place) as sql:
            if not await sql.fetchval("SELECT pg_promote(true, $1)", PROMOTE, timeout=PROMOTE + 5):
                raise Temporary(f"{place.region} is still in recovery", provider=PROVIDER)

    async def _begin(self, place: Place, epoch: int) -> None:
        """The epoch has a row of its own, which whoever writes can see."""
        at = lsn(await self._line.began(place))
        async with self._line.to(place) as sql, sql.transaction():
            await sql.execute("SET LOCAL synchronous_commit = local")
            await sql.execute(TABLES)
            mine = "INSERT INTO catalyst.epoch (epoch, region, at) VALUES ($1, $2, $3::text::pg_lsn) ON CONFLICT DO NOTHING"
            await sql.execute(mine, epoch, place.region, at)

    async def _writes(self, server: Server, region: str, within: float | None = None) -> bool:
        """Whether the server may take writes now, or in a moment; one that does not say is taken for one that does."""
        if not server.is_running:
            server.guard()
            return False
        try:
            async with asyncio.timeout(within):
                facts: Facts = await self._line.facts(self._c.place(region))
        except (Temporary, TimeoutError):
            return True
        return not facts.standby


class ServerFencer:
    """Stops the region's server: rung 1. It starts as a standby, whoever starts it, until it is promoted."""

    level = 1
    local = True
    worst_case = 5.0
    """It ends within any budget that leaves a moment for each signal, the last of which is SIGKILL; this has room to spare."""

    def __init__(self, promoter: PostgresPromoter) -> None:
        self._promoter = promoter

    async def fence(self, *, region: str, epoch: int, run: str, budget: float) -> FenceProof | None:
        """Stop writers of this epoch and of older ones."""
        with suppress(Temporary, TimeoutError):
            async with asyncio.timeout(budget):
                return FenceProof(self.level, boottime(), await self._promoter.fence(region, epoch, budget))
        return None

    async def unfence(self, *, region: str, epoch: int, run: str) -> Effect:
        """Let the region write again."""
        return await self._promoter.unfence(region, epoch)

    async def observe(self, *, region: str) -> FenceView:
        """Whether the fence is up."""
        try:
            epochs = self._promoter.server(region).epochs.read()
        except (PluginFailure, ValueError):
            return FenceView(None)
        return FenceView(bool(epochs.fenced), epochs.fenced or None)
