"""The dead man's file as a fencer: rung 2. Writers end when the agent does, whatever became of it.

Invariants
  vouched in time    the file never promises more than the authority that its agent has, on the machine's own clock;
  fenced is fenced   while the fence is up nothing is vouched for, over restarts of the agent, until it is lifted.

A file whose deadline is 0 is a fence. What cannot be written is not vouched for: the old promise ends by itself.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from catalyst_mesh import get_logger
from catalyst_sdk import deadman
from catalyst_sdk.continuum import Effect, FenceProof, FenceView
from catalyst_sdk.deadman import Sign, boot_id, boottime

from catalyst_continuum.domain.authority import Authority, Moment

FENCED = 0.0
"""Deadline of a sign that was taken away, and not only let end."""


class DeadMan:
    """Vouches for the writers of `region` on this machine, in one file that they read."""

    level = 2
    local = True
    worst_case = 1.0

    def __init__(self, path: Path, *, region: str, clock: Callable[[], Moment]) -> None:
        self._path = path
        self._region = region
        self._clock = clock
        self._log = get_logger("dead man")
        self._given: Authority | None = None

    def vouch(self, authority: Authority | None) -> None:
        """Writers may go on for as long as this authority; None: not for a moment longer."""
        self._given = authority
        before = deadman.read(self._path)
        if before is not None and (
            before.boottime_deadline == FENCED or (authority and authority.epoch < before.epoch)
        ):
            return
        if authority is not None:
            # By what is left of it: the agent's own clock may be another than the machine's.
            left = authority.remaining(self._clock())
            self._write(Sign(authority.epoch, boot_id(), boottime() + left))
        elif before is not None:
            self._write(Sign(before.epoch, boot_id(), boottime()))

    async def fence(self, *, region: str, epoch: int, run: str, budget: float) -> FenceProof | None:
        """Take the sign away; whoever reads it before each write takes none from now on."""
        before = deadman.read(self._path)
        if region != self._region or (before is not None and before.epoch > epoch):
            return None
        if not self._write(Sign(epoch, boot_id(), FENCED)):
            return None
        return FenceProof(self.level, boottime(), f"{region}: nobody vouches for its writers")

    async def unfence(self, *, region: str, epoch: int, run: str) -> Effect:
        """Vouch again, for what authority there is."""
        if region != self._region:
            return Effect.UNKNOWN
        before = deadman.read(self._path)
        if before is not None and before.epoch > epoch:
            return Effect.STALE_EPOCH
        if (
            before is not None
            and before.boottime_deadline == FENCED
            and not self._write(Sign(epoch, boot_id(), boottime()))
        ):
            return Effect.UNKNOWN
        self.vouch(self._given)
        return Effect.DONE

    async def observe(self, *, region: str) -> FenceView:
        """Whether the sign was taken away."""
        sign = deadman.read(self._path)
        if region != self._region:
            return FenceView(None)
        return FenceView(False) if sign is None else FenceView(sign.boottime_deadline == FENCED, sign.epoch)

    def _write(self, sign: Sign) -> bool:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            deadman.write(self._path, sign)
        except OSError as error:
            self._log.error("dead man's file not written", error=str(error))
            if sign.boottime_deadline != FENCED:
                return False
            # A file that is gone vouches for nobody either.
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
            return not self._path.exists()
        return True
