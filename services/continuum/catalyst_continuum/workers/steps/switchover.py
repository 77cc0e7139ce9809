"""A planned move: the region that gives goes through the first seven phases, the one that gains through the rest."""

from . import source, target

STEPS = (
    source.PRECHECK,
    source.APPROVE,
    source.PREPARE,
    source.ANNOUNCE,
    source.DRAIN,
    source.FENCE_SOURCE,
    source.HANDOFF,
    target.ACCEPT,
    target.PROMOTE,
    target.VERIFY_WRITE,
    target.FLIP_TRAFFIC,
    target.VERIFY_TRAFFIC,
    target.REPROTECT,
    target.COMPLETE,
)  # fmt: skip - in the order of the phases
