"""All fencers of a region at once, within one budget: what they prove together decides whether its writers are stopped.

No rung leans on another one. One that hangs, fails or breaks keeps none of the others from fencing. When enough is proved the
others get a moment more, and are then given up: a fence that goes on by itself might end after it was lifted.
"""

import asyncio
from collections.abc import Callable, Sequence

from catalyst_mesh import get_logger
from catalyst_sdk import PluginFailure
from catalyst_sdk.continuum import Effect, FenceProof, Fencer
from catalyst_sdk.deadman import boottime

from catalyst_continuum.domain.lease import Fence

GRACE = 0.3
"""Seconds for rungs that are not needed any more."""
RUNGS = {0: "data", 1: "database", 2: "dead-man", 3: "traffic", 4: "names", 5: "power"}
"""Names of the levels, for people and metrics."""


class Ladder:
    """The fencers that one agent has.

    took   told the rung and the seconds of each proof
    """

    def __init__(self, fencers: Sequence[Fencer], took: Callable[[str, float], None] | None = None) -> None:
        self._fencers = sorted(fencers, key=lambda fencer: fencer.level)
        self._took = took
        self._log = get_logger("fencers")

    @property
    def worst_case(self) -> float:
        """Seconds that the slowest of them states for itself; what a fence budget must not be below."""
        return max((fencer.worst_case for fencer in self._fencers), default=0.0)

    async def fence(self, *, region: str, epoch: int, run: str, budget: float) -> Fence:
        """Stop the writers of `region`; what was proved when it was enough and a moment later, or when the budget was over."""
        waited = {asyncio.create_task(self._proof(fencer, region, epoch, run, budget)) for fencer in self._fencers}
        proofs: list[FenceProof] = []
        try:
            while waited:
                enough = Fence(tuple(proofs)).stops_writers
                done, waited = await asyncio.wait(
                    waited, timeout=GRACE if enough else None, return_when=asyncio.FIRST_COMPLETED
                )  # fmt: skip - one call
                proofs += [proof for task in done if (proof := task.result()) is not None]
                if not done:
                    break
        finally:
            for task in waited:
                task.cancel()
            await asyncio.gather(*waited, return_exceptions=True)
        return Fence(tuple(sorted(proofs, key=lambda proof: proof.level)))

    async def unfence(self, *, region: str, epoch: int, run: str) -> Effect:
        """Let the writers of `region` go on; DONE only where every fencer says so."""
        told = await asyncio.gather(*(self._lifted(fencer, region, epoch, run) for fencer in self._fencers))
        if Effect.STALE_EPOCH in told:
            return Effect.STALE_EPOCH
        return Effect.UNKNOWN if Effect.UNKNOWN in told else Effect.DONE

    async def _proof(self, fencer: Fencer, region: str, epoch: int, run: str, budget: float) -> FenceProof | None:
        began, rung = boottime(), RUNGS.get(fencer.level, str(fencer.level))
        try:
            async with asyncio.timeout(budget):
                proof = await fencer.fence(region=region, epoch=epoch, run=run, budget=budget)
        except (PluginFailure, TimeoutError) as failure:
            self._log.warning("not fenced", rung=rung, region=region, epoch=epoch, error=str(failure) or "over budget")
            return None
        except Exception as error:  # a plugin's bug must not keep the other rungs from fencing
            self._log.error("fencer broke", rung=rung, region=region, epoch=epoch, exc_info=error)
            return None
        if proof is not None and self._took is not None:
            self._took(rung, boottime() - began)
        return proof

    async def _lifted(self, fencer: Fencer, region: str, epoch: int, run: str) -> Effect:
        try:
            return await fencer.unfence(region=region, epoch=epoch, run=run)
        except PluginFailure:
            return Effect.UNKNOWN
        except Exception as error:  # as above: unknown, and the others are lifted
            self._log.error("fencer broke", rung=RUNGS.get(fencer.level), region=region, epoch=epoch, exc_info=error)
            return Effect.UNKNOWN
