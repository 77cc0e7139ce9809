"""Whether a standby may become primary without losing more than was agreed; what is not known is None, never yes."""

from .duty import Duty
from .record import Lease


def loss(lease: Lease, committed_ms: int | None, renew: float) -> float | None:
    """Seconds of writes that would be lost at most, by the last word of the holder; None: nobody can say.

    committed_ms   wall clock of the last commit that this region replayed
    """
    told = int(lease.commit_ms or "0", 16)
    if not told or committed_ms is None:
        return None
    return max(0.0, (told - committed_ms) / 1000) + renew


def loses_little(duty: Duty, lease: Lease, committed_ms: int | None) -> bool | None:
    """Whether taking over from the holder of `lease` keeps within what may be lost."""
    if duty.region in duty.of_bits(lease.sync):
        return True
    lost = loss(lease, committed_ms, duty.profile.renew)
    return None if lost is None else lost <= duty.rpo
