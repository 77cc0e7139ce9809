"""The lease's operations: what each may turn the record into, and when it may not.

Invariants, under whatever interleaving the register allows
  I2 EpochUnique   an epoch has one holder for ever, and epochs only grow;
  I9 FrozenInert   while frozen, neither holder nor epoch moves;
  seq              every write raises `seq` by one.
"""

from dataclasses import dataclass, replace

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


def renew(lease: Lease | None, me: Me, epoch: int) -> Lease | Refusal:
    """Promise again for the time to live, in the same epoch."""
    if lease is None or lease.holder != me.region or lease.epoch != epoch:
        return Refusal("the slot is not held by this region in this epoch")
    if lease.state not in (State.HELD, State.FROZEN):
        return Refusal(f"a slot that is {lease.state} is not renewed")
    return replace(lease, seq=lease.seq + 1, ttl_ms=me.ttl_ms, nonce=me.nonce)


def release(lease: Lease | None, me: Me, epoch: int) -> Lease | Refusal:
    """Give the slot back. The caller has fenced its writers before it asks."""
    if lease is None or lease.holder != me.region or lease.epoch != epoch or lease.state is not State.HELD:
        return Refusal("the slot is not held by this region in this epoch")
    return replace(lease, seq=lease.seq + 1, state=State.FREE, holder="", next="", nonce=me.nonce)
