"""How a server comes to pull from a primary: follow, go back to where the histories part, copy anew.

PostgreSQL tells histories apart by their timelines. Two servers that were promoted from one history without knowing of each other
give their timelines the same number, and then one would take the other's log for the rest of its own. So each epoch has a row in
the database, with the position at which it began, and a standby pulls only from a primary whose rows begin as its own do.
"""

from itertools import zip_longest

from catalyst_sdk import Temporary
from catalyst_sdk.continuum import Follow, FollowState

from .place import Configured, Place
from .questions import Facts, Line, Turn, lsn
from .server import Server


class Following:
    """The steps of one server towards its primary."""

    def __init__(self, configured: Configured, line: Line) -> None:
        self._c = configured
        self._line = line

    async def approach(
        self, server: Server, place: Place, source: Place, epoch: int, *, destroy: bool
    ) -> FollowState:  # fmt: skip - one call
        """One step. Raises Temporary where a step did not succeed."""
        await self._stop_writing(server, place)
        try:
            theirs = await self._line.facts(source)
        except Temporary as error:
            return FollowState(Follow.CATCHING_UP, error.message)
        if theirs.standby or theirs.epoch < epoch:
            return FollowState(Follow.CATCHING_UP, f"{source.region} is not the primary of epoch {epoch} yet")
        if not server.has_data:
            return await self._cloned(server, place, source)
        # A copy that is not pulling yet starts alone: whether it may pull is looked at first.
        await server.start(None if server.is_running else {})
        ours = await self._line.facts(place)
        if why := parted(server, ours, theirs):
            return await self._given_up(server, place, source, why, ours, theirs) if destroy else _blocked(server, why)
        server.part("")
        await server.start({"primary_conninfo": self._line.source(source, place.region)})
        if ours.pulls != (source.port, theirs.timeline):
            return FollowState(Follow.CATCHING_UP, f"{place.region} does not pull from {source.region} yet")
        if ours.replayed < theirs.received:
            return FollowState(Follow.CATCHING_UP, f"at {lsn(ours.replayed)} of {lsn(theirs.received)}")
        return FollowState(Follow.FOLLOWING)

    async def _stop_writing(self, server: Server, place: Place) -> None:
        """Whoever is to follow takes no write from now on, whether there is somebody to follow or not."""
        if not (server.has_data and server.is_running):
            return
        try:
            if (await self._line.facts(place)).standby:
                return
        except Temporary:
            pass  # nobody knows what it does
        await server.stop()

    async def _given_up(
        self, server: Server, place: Place, source: Place, why: str, ours: Facts, theirs: Facts
    ) -> FollowState:  # fmt: skip - one call
        # Where timelines have one number and are two, a rewind would see no difference.
        rewinds = ours.system == theirs.system and ours.timeline != theirs.timeline
        if rewinds and await self._rewound(server, place, source):
            return FollowState(Follow.REWOUND, why)
        return await self._cloned(server, place, source)

    async def _rewound(self, server: Server, place: Place, source: Place) -> bool:
        # A server that was promoted just now tells its new timeline to others only after its next checkpoint.
        async with self._line.to(source) as sql:
            await sql.execute("CHECKPOINT", timeout=60)
        if not await server.rewind(self._line.source(source)):
            return False
        await server.start({"primary_conninfo": self._line.source(source, place.region)})
        return True

    async def _cloned(self, server: Server, place: Place, source: Place) -> FollowState:
        await server.clone(self._line.source(source))
        await server.start({"primary_conninfo": self._line.source(source, place.region)})
        return FollowState(Follow.CLONED, f"everything was copied from {source.region}")


def _blocked(server: Server, why: str) -> FollowState:
    server.part(why)
    return FollowState(Follow.BLOCKED, why)


def parted(server: Server, ours: Facts, theirs: Facts) -> str:
    """What is here and not in the primary's history; empty: nothing."""
    if ours.system != theirs.system:
        return "it is a copy of another database"
    turns = ours.turns
    intent = server.intended(ours.timeline)
    if intent is not None and intent[0] not in dict(turns):
        turns = (*turns, intent)
    shared = common(turns, ours.received, theirs.turns, theirs.received)
    return (
        f"{ours.received - shared} bytes of log after {lsn(shared)} are not the primary's"
        if ours.received > shared
        else ""
    )


def common(ours: tuple[Turn, ...], our_end: int, theirs: tuple[Turn, ...], their_end: int) -> int:
    """The last position that two logs share. One epoch has one writer, so that logs that begin it at one place agree in it."""
    for mine, other in zip_longest(ours, theirs):
        if mine != other:
            return min(mine[1] if mine else our_end, other[1] if other else their_end)
    return max(our_end, their_end)
