"""Keeps the Sovereign's own Git home, `system/catalyst-config`: what policies ask of clusters, for whoever applies it there.

The database is the truth: what stands otherwise in our files is written again.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

from catalyst_mesh import Clock, Lease, Leases, Work
from catalyst_mesh.waits import rest

from ..domain import compliance
from ..domain.promotions import Policy
from ..repositories import CONFIG, MAIN, SYSTEM, Moved, Repositories
from ..store import Store

LEASE = "publish"
_OWN = "policies/"


class Publisher:
    """One replica at a time. pause   seconds between two rounds"""

    def __init__(
        self, work: Work[Store], leases: Leases, repositories: Repositories, clock: Clock, *, pause: float
    ) -> None:  # fmt: skip
        self._work = work
        self._leases = leases
        self._repositories = repositories
        self._clock = clock
        self._pause = pause
        self._seen: tuple[str, dict[str, bytes]] | None = None
        """The head, and our files as they were written there: nothing is read while both stay."""

    async def run(self, stop: asyncio.Event) -> None:
        """Go round until `stop`, whenever this replica holds the lease."""
        await self._leases.keep(LEASE, stop, partial(self._rounds, stop))

    async def _rounds(self, stop: asyncio.Event, _lease: Lease) -> None:
        # Git itself lets nobody overtake: whoever lost the lease without knowing writes onto a head that has moved.
        while not stop.is_set():
            await self.round()
            await rest(stop, self._pause)

    async def round(self) -> None:
        """Write what differs."""
        async with self._work.reading() as tx:
            wished = files(await tx.standing_policies())
        await asyncio.to_thread(self._settle, wished)

    def _settle(self, wished: dict[str, bytes]) -> None:
        head = self._repositories.head(SYSTEM, CONFIG, MAIN)
        if (head is None and not wished) or (head and self._seen == (head.id, wished)):
            return
        present = self._repositories.files(SYSTEM, CONFIG, head.id) if head else {}
        others = {path: text for path, text in present.items() if not path.startswith(_OWN)}
        at, onto = int(self._clock.now().timestamp()), head.id if head else None
        try:
            made = self._repositories.commit(
                SYSTEM, CONFIG, MAIN, {**others, **wished}, "Policies as they are\n", at, onto=onto
            )
        except Moved:
            return  # the next round reads again
        self._seen = made, wished


def files(policies: Sequence[Policy]) -> dict[str, bytes]:
    """The file of each Environment whose policy has rules for Kyverno."""
    made = {
        f"{_OWN}{one.environment}-policy.yaml": compliance.rendered(one.environment, one.compliance) for one in policies
    }
    return {path: text for path, text in made.items() if text}
