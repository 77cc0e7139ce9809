"""Moving the record of a slot to other cells, or to cells under another name, step by step.

freeze, copy to the new cells, bury in the old ones, admit the new configuration, thaw. Each step is one change of one register,
and what is done next follows from what both registers show: whoever goes on after a crash needs to know nothing else.

Invariants
  one life     of the old and the new record at most one is not frozen, and a new one only after the old one was buried;
  I2           holder and epoch are the same in both, and move in neither while the slot moves;
  last words   what is buried is what was copied: a record that was renewed between the two is copied again;
  one grave    a record is buried once, for one configuration; who comes late with another is told where it went.

The cells of the new configuration have the record under a name of its own, so that a message that was late finds nothing there.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum

from .lease import Refusal, freeze, thaw
from .record import Lease, State
from .register import majority


class Step(StrEnum):
    """What is to be done next."""

    FREEZE = "freeze"
    COPY = "copy"
    BURY = "bury"
    ADMIT = "admit"
    THAW = "thaw"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Seen:
    """Both registers, each as a majority of its cells has it.

    admitted   whether the slot's configuration is the new one already
    suspended  whether a person wants the slot to be frozen, apart from its move
    """

    old: Lease | None
    new: Lease | None
    admitted: bool
    suspended: bool


def key_of(slot: str, configuration: str) -> str:
    """Name of a slot's record in the cells of a configuration; the first one has none."""
    base = slot.partition("@")[0]
    return f"{base}@{configuration}" if configuration else base


def faults(old: Collection[str], new: Collection[str], *, of: int = 0) -> list[str]:
    """What is wrong with taking the cells `new` for `old`, by their identities; `of` old cells in all, told or not."""
    whole = of or len(old)
    kept, needed = len(set(old) & set(new)), majority(whole)
    if kept < needed:
        return [f"{kept} of {whole} cells are seen to stay, a majority of {needed} must; change the others first"]
    return []


def following(seen: Seen, configuration: str) -> Step | Refusal:
    """The step that follows from what is seen."""
    old, new = seen.old, seen.new
    if old is None:  # never written: there is nothing to move
        return Step.DONE if seen.admitted else Step.ADMIT
    if is_buried(old):
        return _after_burial(seen, old, configuration)
    if old.state is State.HANDOFF:
        return Refusal("the slot is being handed over; it moves afterwards")
    if old.state is not State.FROZEN:
        return Step.FREEZE
    return Step.BURY if new is not None and _is_copy(new, old) else Step.COPY


def _after_burial(seen: Seen, old: Lease, configuration: str) -> Step | Refusal:
    if old.next != configuration:
        return Refusal(f"the record has moved to the configuration {old.next}")
    if not seen.admitted:
        return Step.ADMIT
    if seen.new is not None and seen.new.state is State.FROZEN and not is_buried(seen.new) and not seen.suspended:
        return Step.THAW
    return Step.DONE


def is_buried(lease: Lease) -> bool:
    """Whether the record went to other cells: nothing may be done with it any more."""
    return lease.state is State.FROZEN and bool(lease.next)


def frozen(old: Lease | None, nonce: str) -> Lease | Refusal:
    """FREEZE."""
    return freeze(old, nonce)


def copied(new: Lease | None, old: Lease) -> Lease | Refusal:
    """COPY: what stands in the new cells after it."""
    if new is None:
        return old
    if new.state is not State.FROZEN or is_buried(new) or new.epoch > old.epoch or new.seq >= old.seq:
        return Refusal("the new cells have a later record")
    return old


def buried(old: Lease | None, copy: Lease, configuration: str, nonce: str) -> Lease | Refusal:
    """BURY: only what was copied, to the letter."""
    if old is None or not _is_copy(copy, old):
        return Refusal("the record is not the one that was copied")
    if is_buried(old):
        return Refusal(f"the record has moved to the configuration {old.next}")
    return replace(old, seq=old.seq + 1, next=configuration, nonce=nonce)


def thawed(new: Lease | None, nonce: str) -> Lease | Refusal:
    """THAW."""
    return thaw(new, nonce)


def _is_copy(copy: Lease, old: Lease) -> bool:
    return copy == old and old.state is State.FROZEN
