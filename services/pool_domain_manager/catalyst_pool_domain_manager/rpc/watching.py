"""What happens to names, as a stream: history is the record, and its numbers are the places in it.

Invariants
  nothing skipped  numbers are given before they are committed, so one is passed only when every transaction has ended
                   that was open when it was first seen;
  own only         an entry is told to whoever may read names of the owner that it had then.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from catalyst.pooldomain.v1 import resources_pb2, service_pb2
from catalyst_mesh import Work

from catalyst_pool_domain_manager.domain.allocations import Allocation, State
from catalyst_pool_domain_manager.store import Horizon, Store

from .messages import to_allocation, to_state

HEARTBEAT = 15.0
POLL = 0.2
BATCH = 200


class Settled:
    """Up to which number nothing can come any more."""

    def __init__(self) -> None:
        self._seen: deque[Horizon] = deque()
        self.number = 0

    def see(self, horizon: Horizon) -> None:
        """Take a look at the history into account."""
        self._seen.append(horizon)
        while self._seen and self._seen[0].ended_before(horizon):
            self.number = max(self.number, self._seen.popleft().number)


async def changes(
    work: Work[Store], pool: str | None, owners: Sequence[str] | None, start: int, *, now: Callable[[], float]
) -> AsyncIterator[service_pb2.WatchAllocationsResponse]:
    """Changes after the place `start`, then as they happen; 0: from now on. Ends never.

    Once what had happened before is told, and when nothing happens for long, a message without an event tells the place.
    """
    settled, heard = Settled(), now() - HEARTBEAT
    async with work.reading() as tx:
        newest = (await tx.horizon()).number
    if start > newest:  # of another database, or of one that was put back
        yield service_pb2.WatchAllocationsResponse(version=newest, reset=True)
    place = start if 0 < start <= newest else newest
    while True:
        async with work.reading() as tx:
            settled.see(await tx.horizon())
            rows = await tx.happened(place, settled.number, pool, owners, BATCH)
            names = {(row["pool"], row["label"]): await tx.lock(row["pool"], row["label"]) for row in rows}
        for row in rows:
            place = row["number"]
            yield service_pb2.WatchAllocationsResponse(
                version=place, event=row["event"], allocation=_after(row, names[row["pool"], row["label"]])
            )
            heard = now()
        if len(rows) < BATCH:
            place = max(place, settled.number)
        if not rows and settled.number >= newest and now() - heard >= HEARTBEAT:
            yield service_pb2.WatchAllocationsResponse(version=place)
            heard = now()
        if not rows:
            await asyncio.sleep(POLL)


def _after(row: Any, held: Allocation | None) -> resources_pb2.Allocation:
    """The name as it is now, where it is still the same one's; else what the history says of it."""
    if held is not None and (held.uid, held.owner) == (row["uid"], row["owner"]):
        return to_allocation(held)
    return resources_pb2.Allocation(
        name=f"pools/{row['pool']}/allocations/{row['label']}", fqdn=f"{row['label']}.{row['pool']}", owner=row["owner"],
        uid=row["uid"], version=row["version"], state=to_state(State(row["state"])),
    )  # fmt: skip
