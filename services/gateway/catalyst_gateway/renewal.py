"""Tokens of sessions, renewed at their provider.

Invariants
  once        a provider takes a refresh token once: whoever renews has claimed that in the store before, for longer than an
              answer may take;
  outside     nothing is locked while the provider is asked, however long it takes;
  meanwhile   others go on with the token that there is while it lasts, and wait for the new one after that;
  to its end  a browser that goes away ends no renewal, or the token that it brought would be lost.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from catalyst_mesh import Sealer, Work, sealed_at

from .kept import session as sessions
from .providers import ProviderAway, Tokens
from .store import Store

EARLY = timedelta(seconds=30)
"""So long before its end a token is renewed: it must outlive the calls that carry it."""
PATIENCE = timedelta(seconds=30)
"""For so long a provider may take to answer."""
CLAIMED = 2 * PATIENCE
"""For so long nobody else renews; after that who claimed it is dead."""
PAUSE = 0.1
"""Seconds between two looks for a token that another request brings."""


class Renewing(Protocol):
    """Who gives new tokens."""

    async def renewed(self, refresh: str) -> Tokens | None:
        """None where there are none any more. Raises ProviderAway."""


class Renewal:
    """sealed   what of a session its tokens change"""

    def __init__(
        self,
        work: Work[Store],
        sealer: Sealer,
        sealed: Callable[[str, Tokens], dict[str, Any]],
        clock: Callable[[], datetime],
    ) -> None:
        self._work = work
        self._sealer = sealer
        self._sealed = sealed
        self._clock = clock
        self._going: set[asyncio.Task[str]] = set()

    async def token(self, session: str, provider: Renewing) -> str:
        """A token that lasts; empty where the provider gives none any more, and the session is over. Raises ProviderAway."""
        while True:
            row, is_claimed = await self._claim(session)
            if row is None:
                return ""
            if is_claimed:
                going = asyncio.create_task(self._renew(row, provider))
                self._going.add(going)
                going.add_done_callback(self._going.discard)
                return await asyncio.shield(going)
            if row["access_until"] > self._clock():
                return self._access(row)
            await asyncio.sleep(PAUSE)

    async def _claim(self, session: str) -> tuple[Mapping[str, Any] | None, bool]:
        """The session, and whether it is ours to renew."""
        async with self._work.transaction() as tx:
            row, now = await tx.lock_session(session), self._clock()
            if row is None or row["access_until"] > now + EARLY or (row["renewing_until"] or now) > now:
                return row, False
            claim = {"renewing_until": now + CLAIMED}
            await tx.change_session(session, **claim)
            return {**row, **claim}, True

    async def _renew(self, claimed: Mapping[str, Any], provider: Renewing) -> str:
        session = claimed["id"]
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                tokens = await provider.renewed(self._refresh(claimed))
        except (ProviderAway, TimeoutError) as error:
            async with self._work.transaction() as tx:
                await tx.change_session(session, renewing_until=None)
            raise ProviderAway from error
        async with self._work.transaction() as tx:
            newest = await tx.lock_session(session)
            if newest is None:
                return ""  # signed out meanwhile
            if tokens is not None:
                await tx.change_session(session, renewing_until=None, **self._sealed(session, tokens))
                return tokens.access
            if newest["renewing_until"] == claimed["renewing_until"]:
                await tx.end_session(session)
                return ""
            return self._access(newest)  # who renewed after us has the token that counts

    def _access(self, row: Mapping[str, Any]) -> str:
        return self._sealer.open(row["access"], sealed_at(sessions.c.access, row["id"])).decode()

    def _refresh(self, row: Mapping[str, Any]) -> str:
        return self._sealer.open(row["refresh"], sealed_at(sessions.c.refresh, row["id"])).decode()
