"""One slot as a stream: its present state at each change. What lies between two looks is passed over, never invented."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime

from catalyst.continuum.v1 import resources_pb2, service_pb2
from catalyst_mesh.bell import Bell

from ..domain.runs import Run
from ..domain.slots import Slot
from .views import Observed

HEARTBEAT = 15.0
Looked = tuple[Slot, Observed, datetime, Sequence[Run]]
Look = Callable[[], Awaitable[Looked]]
Show = Callable[[Slot, Observed, datetime, Sequence[Run]], resources_pb2.Continuum]


async def states(
    look: Look, show: Show, cursor: str, bell: Bell, over: asyncio.Event
) -> AsyncIterator[service_pb2.WatchContinuumResponse]:
    """The slot now, unless `cursor` says that this was seen, and at each change, until the caller has enough of it."""
    clock = asyncio.get_running_loop().time
    seen, said = cursor, clock()
    with bell.listening("slot", "observation") as rung:
        while True:
            rung.clear()
            slot, observed, now, recent = await look()
            place = _place(slot, observed)
            if place != seen:
                reset = bool(seen) and not _follows(seen, place)
                shown = show(slot, observed, now, recent)
                yield service_pb2.WatchContinuumResponse(continuum=shown, cursor=place, reset=reset)
                seen, said = place, clock()
            elif clock() - said >= HEARTBEAT:
                yield service_pb2.WatchContinuumResponse(cursor=place)
                said = clock()
            await bell.wait(over, rung, HEARTBEAT)


def _place(slot: Slot, observed: Observed) -> str:
    """Life, version, and what agents see: equal where nothing has changed."""
    told = "|".join(f"{region}={body}" for region, (body, _) in sorted(observed.items()))
    life = slot.uid or f"{slot.created_at.timestamp():.0f}"
    return f"{life}.{slot.version}.{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def _follows(cursor: str, place: str) -> bool:
    """Whether the place comes after the cursor in one life of a slot."""
    before, after = cursor.rsplit(".", 2), place.rsplit(".", 2)
    return (
        len(before) == len(after) and before[0] == after[0] and before[1].isdigit() and int(before[1]) <= int(after[1])
    )
