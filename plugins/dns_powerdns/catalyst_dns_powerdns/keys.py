"""Which calls bring a zone's keys to where an operation wants them. Pure; nothing left to do is no call.

Invariants
  a signer stays   a new key signs before the old one stops, so that a call that never came leaves two and not none;
  no broken chain  while the parent is seen to name a key that signs, one that it names goes on signing.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace

from catalyst_sdk import Permanent
from catalyst_sdk.dns import KeyOp, ZoneKey

from .api import PROVIDER
from .zones import NSEC3, HeldKey

Body = dict[str, object]
_NEW: Body = {"keytype": "csk", "algorithm": "ecdsa256", "active": False, "published": True}


@dataclass(frozen=True, slots=True)
class Call:
    """One call below the zone's address. `once`: made twice it would do more than once."""

    method: str
    path: str = ""
    body: Body | None = None
    once: bool = False


def calls(held: Sequence[HeldKey], op: KeyOp, *, tag: int | None) -> tuple[Call, ...]:
    """What is to be called, in order. Raises Permanent("KEY_ABSENT")."""
    if op is KeyOp.ENABLE:
        return () if held else (Call("PUT", body={"dnssec": True, "nsec3param": NSEC3}),)
    if op is KeyOp.PUBLISH:
        is_there = not held or any(not h.key.active for h in held)
        return () if is_there else (Call("POST", "/cryptokeys", _NEW, once=True),)
    if op is KeyOp.ACTIVATE:
        return tuple(_activation(held, tag))
    if op is KeyOp.RETIRE:
        return tuple(Call("DELETE", f"/cryptokeys/{h.id}") for h in held if not h.key.active)
    return (Call("PUT", body={"dnssec": False}),) if held else ()


def check_chain(held: Sequence[HeldKey], op: KeyOp, *, tag: int | None, ds_tags: Set[int]) -> None:
    """Refuse what would break the chain from the parent. Raises Permanent("PROTECTED_RECORD")."""
    before = [h.key for h in held]
    if not _holds(before, ds_tags) or _holds(_after(before, op, tag), ds_tags):
        return
    raise Permanent(
        "PROTECTED_RECORD",
        "the parent has a DS for the key that signs, and none for one that would sign instead",
        provider=PROVIDER,
        user_action="change the DS in the parent first, and wait for its time to live",
    )


def _activation(held: Sequence[HeldKey], tag: int | None) -> Iterator[Call]:
    if all(h.key.tag != tag for h in held):
        raise Permanent("KEY_ABSENT", f"no key has the tag {tag}", provider=PROVIDER)
    for h in sorted(held, key=lambda h: h.key.tag != tag):  # the new one first
        if h.key.active != (h.key.tag == tag):
            yield Call("PUT", f"/cryptokeys/{h.id}", {"active": h.key.tag == tag})


def _after(keys: Sequence[ZoneKey], op: KeyOp, tag: int | None) -> Sequence[ZoneKey]:
    """The keys as they would be, as far as they sign."""
    if op is KeyOp.DISABLE:
        return ()
    return [replace(k, active=k.tag == tag) for k in keys] if op is KeyOp.ACTIVATE else keys


def _holds(keys: Sequence[ZoneKey], ds_tags: Set[int]) -> bool:
    return any(key.active and key.tag in ds_tags for key in keys)
