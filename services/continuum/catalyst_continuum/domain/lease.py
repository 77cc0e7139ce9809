"""The lease's operations: what each may turn the record into, and when it may not.

Invariants, under whatever interleaving the register allows
  I2 EpochUnique   an epoch has one holder for ever, and epochs only grow;
  I9 FrozenInert   while frozen, neither holder nor epoch moves;
  I5 FenceBeforeGive  who gives a slot away has stopped its writers, and can show it;
  seq              every write raises `seq` by one.

`sync`, the regions that have every acknowledged write, is one bit a region. A region is made synchronous before its bit is
set, and its bit is cleared before it is let go: the record never promises more than the database keeps.
"""

from dataclasses import dataclass, replace

from catalyst_sdk.continuum import FenceProof

from .record import Lease, State, is_region


@dataclass(frozen=True, slots=True)
class Refusal:
    """The operation may not be done on this record."""

    why: str


@dataclass(frozen=True, slots=True)
class Me:
    """The region that asks, what it promises, and a fresh nonce."""

    region: str
    ttl_ms: int
    nonce: str


@dataclass(frozen=True, slots=True)
class Fence:
    """What of a region was stopped: the proofs that its fencers gave, one a rung."""

    proofs: tuple[FenceProof, ...]

    @property
    def rungs(self) -> frozenset[int]:
        """0 data, 1 database, 2 dead man, 3 traffic, 4 names, 5 power."""
        return frozenset(proof.level for proof in self.proofs)

    @property
    def level(self) -> int:
        """The rung that stops writers by itself, or that of the traffic."""
        return min(self.rungs & {1, 5}, default=3)

    @property
    def evidence(self) -> str:
        """For people: all of it."""
        return "; ".join(proof.evidence for proof in self.proofs)

    @property
    def stops_writers(self) -> bool:
        """A stopped database, or one that cannot commit alone and gets no traffic."""
        return bool(self.rungs & {1, 5}) or {0, 3} <= self.rungs


_NOBODY = "nothing here writes for the slot"
NO_WRITERS = Fence((FenceProof(0, 0.0, _NOBODY), FenceProof(3, 0.0, _NOBODY)))


@dataclass(frozen=True, slots=True)
class Facts:
    """What a holder says with a renewal: bits of the synchronous regions, flushed log, last commit (wall clock)."""

    sync: str = "0"
    lsn: str = "0"
    commit_ms: str = "0"


def bootstrap(lease: Lease | None, me: Me) -> Lease | Refusal:
    """The first record of a slot. Only where no cell has ever heard of it."""
    if lease is not None:
        return Refusal("the slot has a record already")
    if not is_region(me.region):
        return Refusal(f"{me.region!r} is no name of a region")
    return Lease(1, 1, State.HELD, me.region, ttl_ms=me.ttl_ms, nonce=me.nonce)


def acquire(lease: Lease | None, me: Me) -> Lease | Refusal:
    """Take a free slot; a new epoch begins."""
    if lease is None or lease.state is not State.FREE:
        return Refusal("the slot is not free")
    return Lease(lease.epoch + 1, lease.seq + 1, State.HELD, me.region, ttl_ms=me.ttl_ms, nonce=me.nonce)


def renew(lease: Lease | None, me: Me, epoch: int, facts: Facts | None = None) -> Lease | Refusal:
    """Promise again for the time to live, in the same epoch. Frozen, too: a thaw must not find an expired holder."""
    if lease is None or lease.holder != me.region or lease.epoch != epoch:
        return Refusal("the slot is not held by this region in this epoch")
    if lease.state not in (State.HELD, State.FROZEN):
        return Refusal(f"a slot that is {lease.state} is not renewed")
    if lease.state is State.FROZEN and lease.next:
        return Refusal(f"the record has moved to the configuration {lease.next}")
    told = facts or Facts(lease.sync, lease.lsn, lease.commit_ms)
    return replace(
        lease, seq=lease.seq + 1, ttl_ms=me.ttl_ms, nonce=me.nonce, sync=told.sync, lsn=told.lsn,
        commit_ms=told.commit_ms,
    )  # fmt: skip


def keep(lease: Lease | None, me: Me, *, known: int) -> Lease | Refusal:
    """What the only region of a slot wishes: to hold it, whether it is new, given back, or held already.

    known   the newest epoch that anybody remembers. Cells that show less lost their memory; to begin anew on them would
            give an old epoch a second holder.
    """
    if (lease.epoch if lease else 0) < known:
        return Refusal(f"the cells do not know epoch {known}, which was held here: they lost their memory")
    if lease is None:
        return bootstrap(lease, me)
    return renew(lease, me, lease.epoch) if lease.holder == me.region else acquire(lease, me)


def release(lease: Lease | None, me: Me, epoch: int, proof: Fence | None) -> Lease | Refusal:
    """Give the slot back, after its writers were stopped."""
    if lease is None or lease.holder != me.region or lease.epoch != epoch or lease.state is not State.HELD:
        return Refusal("the slot is not held by this region in this epoch")
    if proof is None or not proof.stops_writers:
        return Refusal("nothing shows that the writers are stopped")
    return replace(lease, seq=lease.seq + 1, state=State.FREE, holder="", next="", nonce=me.nonce)


def handoff(
    lease: Lease | None, me: Me, epoch: int, *, to: str, lsn: str, run: str, proof: Fence | None
) -> Lease | Refusal:
    """Offer the slot to one region, with the log that it must have replayed; the writers are stopped."""
    if lease is None or lease.holder != me.region or lease.epoch != epoch or lease.state is not State.HELD:
        return Refusal("the slot is not held by this region in this epoch")
    if not is_region(to) or to == me.region:
        return Refusal(f"{to!r} is no other region")
    if proof is None or not proof.stops_writers:
        return Refusal("nothing shows that the writers are stopped")
    return replace(
        lease,
        seq=lease.seq + 1,
        state=State.HANDOFF,
        next=to,
        lsn=lsn.lower(),
        run=run,
        ttl_ms=me.ttl_ms,
        nonce=me.nonce,
    )


def accept(lease: Lease | None, me: Me, *, replayed: str, phase: str = "") -> Lease | Refusal:
    """Take what is offered to us, once everything written before is here; a new epoch begins, and the run goes on."""
    if lease is None or lease.state is not State.HANDOFF or lease.next != me.region:
        return Refusal("nothing is offered to this region")
    if position(replayed) < position(lease.lsn):
        return Refusal(f"replayed up to {replayed}, needed is {lease.lsn}")
    return replace(_taken(lease, me), run=lease.run, phase=phase)


def recall(lease: Lease | None, me: Me) -> Lease | Refusal:
    """Take back an offer that was not taken. A new epoch: whoever was to have it may have begun."""
    if lease is None or lease.state is not State.HANDOFF or lease.holder != me.region:
        return Refusal("this region offers nothing")
    return _taken(lease, me)


def begin_anew(lease: Lease | None, me: Me, epoch: int) -> Lease | Refusal:
    """Hold on to what is held, in a new epoch: a database that gave up in one leads in it no more."""
    if lease is None or lease.holder != me.region or lease.epoch != epoch or lease.state is not State.HELD:
        return Refusal("the slot is not held by this region in this epoch")
    return _taken(lease, me)


def steal(lease: Lease | None, me: Me, *, epoch: int, seq: int, run: str = "", phase: str = "") -> Lease | Refusal:
    """Take over from a holder that has been silent for its time.

    epoch, seq   the record that did not move; where it has moved, the holder lives
    """
    if lease is None or lease.state not in (State.HELD, State.HANDOFF) or lease.holder == me.region:
        return Refusal("there is nobody to take the slot from")
    if (lease.epoch, lease.seq) != (epoch, seq):
        return Refusal("the holder has been heard of")
    return replace(_taken(lease, me), run=run, phase=phase)


def force(lease: Lease | None, me: Me, *, epoch: int, run: str = "", phase: str = "") -> Lease | Refusal:
    """Take over from a holder that may still renew, as people decided. It learns so from its next renewal; whoever takes waits
    for the end of what it was promised before, as after a silence, and only then acts.
    """
    if lease is None or lease.state not in (State.HELD, State.HANDOFF) or lease.holder == me.region:
        return Refusal("there is nobody to take the slot from")
    if lease.epoch != epoch:
        return Refusal(f"the slot is in epoch {lease.epoch} by now")
    return replace(_taken(lease, me), run=run, phase=phase)


def freeze(lease: Lease | None, nonce: str) -> Lease | Refusal:
    """Keep holder and epoch where they are, until a thaw."""
    if lease is None or lease.state not in (State.HELD, State.FREE):
        return Refusal(f"a slot that is {lease.state if lease else 'unwritten'} is not frozen")
    return replace(lease, seq=lease.seq + 1, state=State.FROZEN, nonce=nonce)


def thaw(lease: Lease | None, nonce: str) -> Lease | Refusal:
    """Held again, or free again."""
    if lease is None or lease.state is not State.FROZEN:
        return Refusal("the slot is not frozen")
    if lease.next:
        return Refusal(f"the record has moved to the configuration {lease.next}")
    return replace(lease, seq=lease.seq + 1, state=State.HELD if lease.holder else State.FREE, nonce=nonce)


def annotate(lease: Lease | None, me: Me, epoch: int, *, run: str, phase: str) -> Lease | Refusal:
    """Say how far a run is, so that any agent can go on with it."""
    if lease is None or lease.holder != me.region or lease.epoch != epoch:
        return Refusal("the slot is not held by this region in this epoch")
    if lease.state is State.FROZEN and lease.next:
        return Refusal(f"the record has moved to the configuration {lease.next}")
    return replace(lease, seq=lease.seq + 1, run=run, phase=phase, nonce=me.nonce)


def _taken(lease: Lease, me: Me) -> Lease:
    """Held by us in the next epoch, in no run. What the old holder said of its log stays, to judge the loss by."""
    return replace(
        lease, epoch=lease.epoch + 1, seq=lease.seq + 1, state=State.HELD, holder=me.region, next="", ttl_ms=me.ttl_ms,
        sync="0", run="", phase="", nonce=me.nonce,
    )  # fmt: skip


def position(lsn: str) -> int:
    """A log position `high/low` in hex, or one number, as a number."""
    high, _, low = lsn.rpartition("/")
    return (int(high or "0", 16) << 32) + int(low, 16)
