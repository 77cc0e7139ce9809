"""Keeps reserved names held: the heartbeat of a name, through pauses and restarts.

One replica keeps them at a time. Two that overlap for a moment do no harm: a renewal has its token, a reservation that is
made again its number of tries, and what another has written meanwhile is left as it is.

Invariants
  while wanted   a name is renewed as long as a run of its Sovereign has not ended or any resource of it exists;
  ended          an ended reservation is made again at once; where another was faster it is `lost`, and steps stop.
"""

import asyncio
from dataclasses import replace
from functools import partial

from catalyst_mesh import Lease, Leases, get_logger, moment
from catalyst_mesh.journal import Engine, StepFailed
from catalyst_mesh.waits import rest
from catalyst_sdk import Refused

from ..peers import SaidNo
from ..steps.naming import reserve_again
from ..steps.tools import Tools
from ..store import Reservation, Store
from ..store.secrets import LOST, RESERVED

LEASE = "names"
ENDED = {"RESERVATION_EXPIRED", "ALLOCATION_NOT_FOUND"}


class NameKeeper:
    """Renews what is held at a third of its time."""

    def __init__(self, tools: Tools, engine: Engine, leases: Leases) -> None:
        self._t = tools
        self._engine = engine
        self._leases = leases
        self._log = get_logger("names")

    async def run(self, stop: asyncio.Event) -> None:
        """Renew until `stop`, whenever this replica holds the lease."""
        await self._leases.keep(LEASE, stop, partial(self._work_on, stop))

    async def _work_on(self, stop: asyncio.Event, lease: Lease) -> None:
        pause = min(self._t.reservation_ttl.total_seconds() / 10, 5.0)
        while not stop.is_set():
            lease.check()
            await self.look()
            await rest(stop, pause)

    async def look(self) -> None:
        """Renew everything that has less than two thirds of its time left."""
        async with self._t.work.reading() as tx:
            held, now = await tx.reservations(RESERVED), tx.now
        for one in held:
            if one.expires_at - now > self._t.reservation_ttl * 2 / 3:
                continue
            if await self._is_wanted(one.sovereign):
                await self._renew(one)

    async def _is_wanted(self, sovereign: str) -> bool:
        live = await self._engine.list(subject=f"sovereigns/{sovereign}", live=True, size=1)
        async with self._t.work.reading() as tx:
            return bool(live.runs) or bool(await tx.entries(sovereign))

    async def _renew(self, held: Reservation) -> None:
        token = self._t.vault.sealer.open(held.token, held.place).decode()
        try:
            allocation = await self._t.names.renew(held.allocation, token, self._t.reservation_ttl)
        except SaidNo as no:
            if no.said.reason in ENDED:
                await self._again(held)
            else:
                self._log.warning("name not renewed", allocation=held.allocation, reason=no.said.reason)
        except Refused as away:
            self._log.warning("name not renewed", allocation=held.allocation, reason=away.reason)
        else:
            await self._keep(replace(held, expires_at=moment(allocation.expire_time)))

    async def _again(self, held: Reservation) -> None:
        async with self._t.work.reading() as tx:
            sovereign = await tx.sovereign(held.sovereign)
        if sovereign is None:
            return
        _, pool, _, label = held.allocation.split("/")
        try:
            await reserve_again(
                self._t.names, self._t, sovereign, pool=pool, label=label, held=held, actor="provisioner"
            )
        except StepFailed as lost:
            self._log.error("name lost", allocation=held.allocation, reason=lost.reason)
            await self._keep(replace(held, state=LOST))

    async def _keep(self, changed: Reservation) -> None:
        async def step(tx: Store) -> None:
            now = await tx.reservation(changed.sovereign)
            if now is not None and now.state == RESERVED and now.tries == changed.tries:
                await tx.keep_reservation(changed)

        await self._t.work.again(step)
