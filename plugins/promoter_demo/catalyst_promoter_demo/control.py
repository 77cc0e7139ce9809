"""The database's own port: how agents move it, and how standbys pull its log.

Every call has the token. 409 with the epoch that is known: the caller's is older, and nothing was changed. 412 with a reason:
this copy is not fit for it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import astuple

from .database import Database
from .standing import StaleEpoch, Unfit
from .stream import Stream
from .web import Answer, App, Request, Routes, number, text

MOST = 2000
"""Entries in one answer."""
LONGEST = 10.0
"""Seconds for which a standby may wait for the next entry."""


def application(database: Database, stream: Stream, secret: str) -> App:
    """What the port answers."""
    control = Control(database, stream)
    routes: Routes = {
        ("GET", "view"): control.view,
        ("GET", "log"): control.log,
        **{("POST", name): _moved(call) for name, call in control.moves.items()},
    }
    return App(routes, secret=secret, guarded=frozenset(path for _, path in routes))


class Control:
    """One handler a call."""

    def __init__(self, database: Database, stream: Stream) -> None:
        self._database = database
        self._stream = stream
        self.moves: dict[str, Callable[[Request], Awaitable[Answer]]] = {
            "promote": self._promote,
            "demote": self._demote,
            "follow": self._follow,
            "sync": self._sync,
            "fence": self._fence,
            "unfence": self._unfence,
        }

    async def view(self, _: Request) -> Answer:
        """What the database and its stream say of themselves."""
        return Answer(200, {**self._database.view(), "caught_up": self._stream.is_caught_up, "why": self._stream.why})

    async def log(self, request: Request) -> Answer:
        """What comes after a standby's last entry. By asking it confirms that everything before is on its disk."""
        after, at, epoch = (number(request.query, name) for name in ("after", "at", "epoch"))
        standby, patience = text(request.query, "region"), min(number(request.query, "wait", 0) / 1000, LONGEST)
        known = self._database.standing.epoch
        if epoch > known:
            return Answer(412, {"why": f"asked in epoch {epoch}, and {known} is known here", "reason": "NOT_YET"})
        if request.query.get("system") != self._database.standing.system_id:
            return Answer(412, {"why": "this is another database", "reason": "DIVERGED"})
        if self._database.epoch_at(after) != at:
            return Answer(412, {"why": f"there is no entry {after} of epoch {at} here", "reason": "DIVERGED"})
        self._database.confirm(standby, after)
        entries = await self._database.after(after, at, MOST, patience) or []
        s = self._database.standing
        told = {"epoch": s.epoch, "system_id": s.system_id, "end": self._database.end}
        return Answer(200, {**told, "entries": [astuple(entry) for entry in entries]})

    async def _promote(self, request: Request) -> Answer:
        self._database.promote(_epoch(request), number(request.body, "wanted", 0))
        return self._done()

    async def _demote(self, request: Request) -> Answer:
        return Answer(200, {"position": self._database.demote(_epoch(request))})

    async def _follow(self, request: Request) -> Answer:
        destroy = request.body.get("destroy") is True
        run, primary = text(request.body, "run", ""), text(request.body, "primary")
        self._demand_known({primary})
        self._database.follow(primary, _epoch(request))
        state, why = await self._stream.approach(destroy=destroy, run=run)
        return Answer(200, {"state": state, "why": why})

    async def _sync(self, request: Request) -> Answer:
        standbys = request.body.get("standbys")
        if not isinstance(standbys, list) or not all(isinstance(name, str) for name in standbys):
            return Answer(400, {"why": "standbys must be a list of regions"})
        self._demand_known(set(standbys))
        self._database.set_sync(frozenset(standbys), _epoch(request))
        return self._done()

    async def _fence(self, request: Request) -> Answer:
        self._database.fence(_epoch(request))
        return self._done()

    async def _unfence(self, request: Request) -> Answer:
        self._database.unfence(_epoch(request))
        return self._done()

    def _demand_known(self, regions: set[str]) -> None:
        if strange := sorted(regions - self._stream.peers):
            raise Unfit("REGION_UNKNOWN", f"no other region of this database: {', '.join(strange)}")

    def _done(self) -> Answer:
        s = self._database.standing
        return Answer(200, {"epoch": s.epoch, "end": self._database.end, "closed": self._database.closed})


def _epoch(request: Request) -> int:
    return number(request.body, "epoch")


def _moved(call: Callable[[Request], Awaitable[Answer]]) -> Callable[[Request], Awaitable[Answer]]:
    async def moved(request: Request) -> Answer:
        try:
            return await call(request)
        except StaleEpoch as stale:
            return Answer(409, {"why": str(stale), "epoch": stale.epoch})
        except Unfit as unfit:
            return Answer(412, {"why": str(unfit), "reason": unfit.reason})

    return moved
