"""How far one copy of a database is behind another, from what each said of itself. What cannot be told is None."""

from collections.abc import Sequence

from catalyst_sdk.continuum import DatabaseView, Role

from .lease import position
from .record import Lease


def lag(primary: DatabaseView | None, standby: DatabaseView | None) -> float | None:
    """Seconds by which the standby's last replayed commit is older than the primary's."""
    if primary is None or standby is None:
        return None
    if primary.replayed is not None and primary.replayed == standby.replayed:
        return 0.0
    if primary.committed_ms is None or standby.committed_ms is None:
        return None
    return max(0.0, (primary.committed_ms - standby.committed_ms) / 1000)


def same_history(primary: DatabaseView | None, standby: DatabaseView | None) -> bool | None:
    """Whether the standby's timeline is in the primary's history; an older one may be, which nobody here can say."""
    if primary is None or standby is None or primary.timeline is None or standby.timeline is None:
        return None
    if standby.timeline == primary.timeline:
        return True
    return False if standby.timeline > primary.timeline else None


def reverses(primary: DatabaseView | None, standby: DatabaseView | None) -> bool | None:
    """Whether the primary could follow the standby afterwards: it lives, and both are copies of one database."""
    if primary is None or standby is None or primary.ready is None or None in (primary.system_id, standby.system_id):
        return None
    return primary.ready and primary.role is not Role.STOPPED and primary.system_id == standby.system_id


def keeps_all(lease: Lease, members: Sequence[str]) -> frozenset[str]:
    """Regions that have every acknowledged write by the record: bit i is the i-th region by name."""
    bits = int(lease.sync or "0", 16)
    return frozenset(region for at, region in enumerate(sorted(members)) if bits >> at & 1)


def loss(lease: Lease, standby: DatabaseView | None, renew: float) -> float | None:
    """Seconds of writes that would be lost at most if the holder never came back, by its last word."""
    told = int(lease.commit_ms or "0", 16)
    if not told or standby is None or standby.committed_ms is None:
        return None
    return max(0.0, (told - standby.committed_ms) / 1000) + renew


def loss_bytes(lease: Lease, standby: DatabaseView | None) -> int | None:
    """The same in bytes of log that the standby has not received."""
    if standby is None or standby.received is None or not position(lease.lsn):
        return None
    return max(0, position(lease.lsn) - position(standby.received))
