"""Places at which a test has the process die, fail, hang or be late: before and after each effect of PDM in the world."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from catalyst_mesh.failpoints import Failpoints

Failpoint = Callable[[str], Awaitable[None]]
"""Told `pdm.commit.c4.before` and the like; a test kills there."""


async def no_failpoint(_name: str) -> None:
    """Production passes every point."""


@dataclass
class Points:
    """The one failpoint of all workers, because the environment arms it after they were made."""

    told: Failpoint = no_failpoint

    def arm(self, failpoints: Failpoints) -> None:
        """Do at each point what the environment asks for."""
        self.told = failpoints.reach

    async def __call__(self, point: str) -> None:
        """The process is at `point`."""
        await self.told(point)
