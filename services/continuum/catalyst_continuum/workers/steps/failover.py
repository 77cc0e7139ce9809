"""A move away from a region that is gone: all phases are the gaining region's. The table has done the first three."""

from catalyst_continuum.workers.steps import source, target

from .step import Step, nothing


async def _by_table(scene: object) -> bool:
    return True


def _tables(name: str) -> Step:
    return Step(name, _by_table, nothing, lambda s: s.duty.profile.ttl)


STEPS = (
    _tables("Suspect"),
    _tables("Confirm"),
    _tables("Claim"),
    target.FENCE_REMOTE,
    target.PROMOTE,
    target.VERIFY_WRITE,
    target.FLIP_TRAFFIC,
    target.VERIFY_TRAFFIC,
    target.ANNOUNCE,
    target.REPROTECT,
    target.COMPLETE,
)  # fmt: skip - in the order of the phases
YIELDING = (source.FENCE_SOURCE, source.HANDOFF)
"""What a holder does whose database fails: no wait for its silence."""
