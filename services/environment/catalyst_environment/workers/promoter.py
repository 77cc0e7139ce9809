"""Comes by where time alone opens a gate, and where somebody went past the gates through Git."""

import asyncio
from functools import partial

from catalyst_mesh import Clock, Lease, Leases, Work, get_logger
from catalyst_mesh.journal import Engine
from catalyst_mesh.waits import rest

from ..adopting import Adopting
from ..domain import applications
from ..domain.applications import Application, State
from ..promoting import Promoting
from ..repositories import Moved, Repositories
from ..steps.applications import branch_of
from ..store import Store

LEASE = "promote"
PAUSE = 5.0
"""Seconds between two rounds."""


class Promoter:
    """One replica at a time; what it finds it decides as an RPC would."""

    def __init__(
        self, work: Work[Store], engine: Engine, leases: Leases, promoting: Promoting, repositories: Repositories,
        adopting: Adopting, clock: Clock, *, pause: float = PAUSE,
    ) -> None:  # fmt: skip
        self._work = work
        self._engine = engine
        self._leases = leases
        self._promoting = promoting
        self._repositories = repositories
        self._adopting = adopting
        self._clock = clock
        self._pause = pause
        self._log = get_logger("promoter")

    async def run(self, stop: asyncio.Event) -> None:
        """Go round until `stop`, whenever this replica holds the lease."""
        await self._leases.keep(LEASE, stop, partial(self._rounds, stop))

    async def _rounds(self, stop: asyncio.Event, lease: Lease) -> None:
        while not stop.is_set():
            await self.round(lease)
            await rest(stop, self._pause)

    async def round(self, lease: Lease) -> None:
        """Judge what is pending, put back what went past the gates, and take over what no gate guards."""
        async with self._work.reading() as tx:
            pending, asking = await tx.pending_promotions(), await tx.asking_environments()
            standing = await tx.standing_applications()
        for name in pending:
            await self._work.again(partial(self._advance, lease, name))
        if pending:
            self._engine.wake()
        for one in standing:
            if one.busy or not one.pin.commit:
                continue
            if one.environment in asking:
                await self._compare(lease, one)
            elif one.state is not State.UNINSTALLING:
                await self._adopting.look(lease, one)

    async def _advance(self, lease: Lease, key: tuple[str, str], tx: Store) -> None:
        await lease.guard(tx.sql)
        held = await tx.promotion(*key)
        if held is not None:
            _, facts = await self._promoting.advance(tx, held)
            tx.emit(*facts)

    async def _compare(self, lease: Lease, one: Application) -> None:
        """A branch behind gates holds what came through them; what came past them is taken back by a commit."""
        head = await asyncio.to_thread(self._repositories.head, one.org, one.id, branch_of(one))
        if head is None or head.id == one.pin.commit:
            return
        at, message = int(self._clock.now().timestamp()), f"Revert {head.id[:12]}: it came past the policy\n"

        def revert() -> str:
            files = self._repositories.files(one.org, one.id, one.pin.commit)
            return self._repositories.commit(one.org, one.id, branch_of(one), files, message, at, onto=head.id)

        async def step(tx: Store) -> None:
            await lease.guard(tx.sql)
            held = await tx.find(Application, one.environment, one.id, lock=True)
            if held is not None and held.version == one.version:
                decided = applications.put_back(held, commit, head.id, head.author, tx.now)
                await tx.save(decided.state)
                tx.emit(*decided.events)

        try:
            commit = await asyncio.to_thread(revert)
        except Moved:
            return  # somebody goes on writing; the next round looks again
        await self._work.again(step)
        self._log.warning("direct change reverted", application=one.name, commit=head.id)
