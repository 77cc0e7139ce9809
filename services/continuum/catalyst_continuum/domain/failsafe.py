"""Going on without a majority of cells, while every other region that could take over promises not to.

Invariants
  all, no majority   one region that says no, or nothing, ends it: a promise of some protects from none of the others;
  one's own clock    a promise runs from its receipt at the peer, the authority from the sending at the holder: the peer's is
                     over later;
  no promise broken  whoever promised waits for the end of it, also where it finds itself granted the slot meanwhile;
  nothing forgotten  a peer that was started anew may have promised in its last life, and waits as if it had.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .authority import Authority, Moment
from .timing import Profile


@dataclass(frozen=True, slots=True)
class Promise:
    """What one region promised: not to take `epoch` of a slot from its holder before `until`, on its own clock."""

    epoch: int
    until: float


@dataclass(frozen=True, slots=True)
class Peer:
    """A region that is asked to hold off.

    epoch         the newest epoch that it knows of
    claims        whether an acquire, accept or steal of its own is under way, or ended unknown
    promise       the last one that it gave in this life
    started_at    by its clock since the start of the machine
    """

    epoch: int
    claims: bool
    started_at: float
    promise: Promise | None = None


def hold_off(peer: Peer, *, epoch: int, seconds: float, now: Moment) -> Peer | None:
    """The peer with its promise; None: it says no."""
    if peer.claims or epoch < peer.epoch:
        return None
    until = now.boot + seconds
    if peer.promise is not None and peer.promise.epoch == epoch:
        until = max(until, peer.promise.until)
    return replace(peer, epoch=epoch, promise=Promise(epoch, until))


def may_claim_from(peer: Peer, *, longest: float) -> float:
    """From when the peer may claim, on its clock. `longest`: the longest promise that a life before may have given."""
    return max(peer.started_at + longest, peer.promise.until if peer.promise else 0.0)


def extended(
    authority: Authority, answers: Mapping[str, bool | None], sent: Moment, profile: Profile
) -> Authority | None:
    """The authority after asking all other promotable regions at `sent`: counted on where all agreed, else None.

    answers   by region: yes, no, or None for no answer; none at all: there is nobody who could take over
    """
    if not all(answer is True for answer in answers.values()):
        return None
    return replace(authority, until=max(authority.until, sent.boot + profile.authority))
