"""A standby's pulling of its primary's log, and the steps by which it comes to where it can.

The next question confirms the last answer: when it is asked, those entries are on disk here. A standby that was promoted, or
follows somebody else, asks no more, and so confirms nothing more to an old primary.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from . import standing as may
from .behind import Entry
from .database import Database

WAIT = 2.0
"""Seconds for which the primary may hold a question until there is something new."""
PAUSE = 0.2
"""Seconds between two tries where the primary does not answer."""
PATIENCE = 2.0
"""Seconds for an answer that need not be waited for."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another region's database."""

    region: str
    address: str


class Stream:
    """Pulls while the standing says whom to follow."""

    def __init__(self, database: Database, peers: Mapping[str, Peer], secret: str) -> None:
        self._database = database
        self._peers = peers
        self._http = httpx.AsyncClient(headers={"Authorization": f"Bearer {secret}"}, trust_env=False)
        self._heard_at: float | None = None
        self._theirs = 0
        self.why = ""
        """Why nothing is pulled, for people; empty: it is, or nobody is followed."""

    @property
    def peers(self) -> frozenset[str]:
        """Regions that this one knows."""
        return frozenset(self._peers)

    @property
    def is_caught_up(self) -> bool:
        """Whether the primary was heard of just now, and everything that it had then is here."""
        heard = self._heard_at is not None and time.monotonic() - self._heard_at < 2 * WAIT
        return heard and not self.why and self._database.end >= self._theirs

    async def run(self) -> None:
        """Pull, whoever is followed, until cancelled."""
        while True:
            following = self._database.standing.following
            if not following:
                self.why, self._heard_at = "", None
                await self._database.changed()
                continue
            pulling, moved = asyncio.create_task(self._pull(following)), asyncio.create_task(self._moved(following))
            try:
                await asyncio.wait({pulling, moved}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (pulling, moved):
                    task.cancel()
                await asyncio.gather(pulling, moved, return_exceptions=True)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def approach(self, *, destroy: bool, run: str) -> tuple[str, str]:
        """One step nearer to following: a state of `catalyst_sdk.continuum.Follow`, and why."""
        primary = self._database.standing.following
        theirs = await self._look(primary)
        if theirs is None:
            return "catching-up", f"{primary} does not answer"
        if theirs["led"] < self._database.standing.epoch:
            return "catching-up", f"{primary} is not the primary of epoch {self._database.standing.epoch} yet"
        if step := self._copied(theirs, destroy, run):
            return step
        done = self.is_caught_up and self._database.standing.is_whole(self._database.end)
        return ("following", "") if done else ("catching-up", self.why or f"at {self._database.end} of {theirs['end']}")

    def _copied(self, theirs: Mapping[str, Any], destroy: bool, run: str) -> tuple[str, str] | None:
        """Give up what is not the primary's, where that may be done; None: there is nothing to give up."""
        ours, end = self._database.standing, self._database.end
        state, after = "rewound", 0
        if ours.system_id == theirs["system_id"]:
            after = may.common(self._database.turns, end, [(e, at) for e, at in theirs["turns"]], theirs["end"])
            if after == end:
                return None
        else:
            state = "cloned"
        # An empty copy of nothing has nothing that could be lost.
        if not destroy and (ours.system_id or end):
            what = f"{end - after} entries after {after} are not in the history of {ours.following}"
            self._database.part(what if state == "rewound" else f"{what}: it is another database")
            return "blocked", self._database.standing.parted
        self._database.cut(theirs["system_id"], after, theirs["end"], run)
        return state, f"{end - after} entries were given up; they are kept aside"

    async def _pull(self, primary: str) -> None:
        while self._database.standing.following == primary:
            try:
                self.why = await self._pull_once(primary)
            except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
                self.why = f"{primary} does not answer: {type(error).__name__}"
            if self.why:
                await asyncio.sleep(PAUSE)

    async def _pull_once(self, primary: str) -> str:
        """Ask for what comes next, and keep it; why that did not go, empty where it did."""
        s, end = self._database.standing, self._database.end
        query: dict[str, str | int] = {
            "after": end, "at": self._database.last_epoch, "epoch": s.epoch, "region": s.region, "system": s.system_id,
            "wait": int(WAIT * 1000),
        }  # fmt: skip
        answer = await self._http.get(self._url(primary, "log"), params=query, timeout=WAIT + PATIENCE)
        told = answer.json()
        if told.get("reason") == "DIVERGED" and self._database.standing.following == primary:
            self._database.part(f"{primary}: {told['why']}")
        if answer.status_code != 200:
            return f"{primary}: {told['why']}"
        entries = [Entry(*raw) for raw in told["entries"]]
        if self._database.pulled(primary, told["epoch"], entries):
            self._heard_at, self._theirs = time.monotonic(), told["end"]
        return ""

    async def _moved(self, primary: str) -> None:
        while self._database.standing.following == primary:
            await self._database.changed()

    async def _look(self, primary: str) -> Mapping[str, Any] | None:
        with suppress(httpx.HTTPError, ValueError, KeyError):
            answer = await self._http.get(self._url(primary, "view"), timeout=PATIENCE)
            if answer.status_code == 200:
                found: Mapping[str, Any] = answer.json()
                return found
        return None

    def _url(self, region: str, path: str) -> str:
        return f"http://{self._peers[region].address}/{path}"
