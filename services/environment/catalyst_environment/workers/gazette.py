"""Tells on the bus what stands in Git for each Application, `ws.<env>.git.<commit>`: the read side asks no repository.

Invariants
  by version   each word says how often its Application changed: told again, or late, it changes nothing;
  whole        whoever begins, and everybody after a while, tells of all that stand: what was lost on the way comes again.
"""

import asyncio
import json
from datetime import timedelta
from functools import partial

from catalyst_mesh import Bus, Lease, Leases, Work, get_logger
from catalyst_mesh.envelopes import encoded
from nats.errors import Error as NatsError

from ..domain.applications import Application, State
from ..steps.applications import branch_of
from ..store import Store
from ..store.tables import applications

LEASE = "tell-git"
WHOLE = 600.0
"""Seconds after which all is told again."""
REMEMBERED = timedelta(days=1)
"""How long it is told of an Application that it has gone, as long as readers keep its mark."""
GONE = "ws.deleted"


class Gazette:
    """One replica at a time."""

    def __init__(self, work: Work[Store], bus: Bus, leases: Leases, *, whole: float = WHOLE) -> None:
        self._work = work
        self._bus = bus
        self._leases = leases
        self._whole = whole
        self._log = get_logger("gazette")

    async def run(self, stop: asyncio.Event) -> None:
        """Tell until `stop`, whenever this replica holds the lease."""
        await self._leases.keep(LEASE, stop, partial(self._tell, stop))

    async def _tell(self, stop: asyncio.Event, lease: Lease) -> None:
        told: dict[str, int] = {}
        began, loop = 0.0, asyncio.get_running_loop()
        with self._work.bell.listening(applications.name) as changed:
            while not stop.is_set():
                if loop.time() - began >= self._whole or not began:
                    told, began = {}, loop.time()
                changed.clear()
                lease.check()
                await self._round(told)
                await self._work.bell.wait(stop, changed)

    async def _round(self, told: dict[str, int]) -> None:
        """Tell what has changed since it was told."""
        async with self._work.reading() as tx:
            written = await tx.written_applications(since=tx.now - REMEMBERED)
        try:
            for one in written:
                if told.get(one.name) != one.version:
                    await self._publish(one)
                    told[one.name] = one.version
        except (NatsError, OSError, TimeoutError) as error:
            self._bus.forget_streams()  # the next round goes on where this one was
            self._log.debug("bus away", error=repr(error))

    async def _publish(self, one: Application) -> None:
        stream, id = await self._bus.ensure_workspaces(), f"git/{one.name}/{one.version}"
        headers = encoded(
            {
                "Nats-Msg-Id": id,
                "ce-id": id,
                "ce-type": GONE if one.state is State.DELETED else "ws.git.commit",
                "ce-source": "/catalyst/environment",
                "ce-time": one.updated_at.isoformat().replace("+00:00", "Z"),
            }
        )  # fmt: skip - one table
        js = await self._bus.jetstream()
        subject = f"ws.{one.environment}.git.{one.pin.commit}"
        await js.publish(subject, json.dumps(_body(one)).encode(), stream=stream, headers=headers)


def _body(one: Application) -> dict[str, object]:
    """In the form of the objects that stand beside it: the uid says what of, the generation how new."""
    return {
        "kind": "Commit",
        "metadata": {"uid": f"git/{one.uid}", "name": one.id, "generation": one.version},
        "application": one.name,
        "branch": branch_of(one),
        "commit": one.pin.commit,
        "blueprint": one.blueprint,
        "version": one.pin.release,
        "digest": one.pin.digest,
    }  # fmt: skip - one table
