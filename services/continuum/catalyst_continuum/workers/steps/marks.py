"""Has the register name the phase that a run is in, for whoever may have to go on with it.

A change of the register takes two rounds to the cells and more where these are busy. While nobody writes, no effect waits for it:
whoever goes on from an older mark begins earlier, and finds done what was done.
"""

import asyncio

from catalyst_continuum.domain.runs import Mark

from .scene import Scene


class Marks:
    """One mark at a time; of several that wait the newest alone is written."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._next: Mark | None = None
        self._writing: asyncio.Task[None] | None = None

    async def name(self, mark: Mark, *, waits: bool) -> None:
        """Have this phase named: before this returns, where it `waits`."""
        self._next = mark
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        if waits:
            await self._writing

    async def end(self) -> None:
        """Name nothing more. What was on its way to the cells may still come."""
        self._next = None
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _write(self) -> None:
        scene = self._scene
        while (mark := self._next) is not None:
            self._next = None
            if scene.standing.unconfirmed is not None:
                continue  # there is no register to say it to
            # Where the slot is being given away, or is not this region's any more, others say how far it is.
            if not self._stands(mark) and not scene.standing.offering and scene.standing.may(scene.clock()):
                await scene.rights.mark(scene.run.id, str(mark))

    def _stands(self, mark: Mark) -> bool:
        lease = self._scene.sight.lease
        return lease is not None and (lease.run, lease.phase) == (self._scene.run.id, str(mark))
