"""Which keys a zone has: the steps of enabling, rolling and disabling DNSSEC.

Invariants
  one signer       of a zone's keys exactly one is active;
  shown first      a key signs only after a step before has shown it;
  no broken chain  while the parent is seen to name a key that signs, one that it names goes on signing.
"""

from collections.abc import Callable, Set
from dataclasses import replace

from catalyst_sdk import Permanent
from catalyst_sdk.dns import KeyOp

from .zones import PROVIDER, Csk

Csks = tuple[Csk, ...]


def rolled(known: Csks, op: KeyOp, *, tag: int | None, draw: Callable[[], Csk]) -> Csks:
    """The keys after `op`; the same ones where that was done before. Raises Permanent("KEY_ABSENT")."""
    if op is KeyOp.ENABLE:
        return known or (draw(),)
    if op is KeyOp.PUBLISH:
        return known if not known or any(not key.active for key in known) else (*known, _unlike(known, draw))
    if op is KeyOp.ACTIVATE:
        return _activated(known, tag)
    if op is KeyOp.RETIRE:
        return tuple(key for key in known if key.active)
    return ()


def check_chain(before: Csks, after: Csks, ds_tags: Set[int]) -> None:
    """Refuse what would break the chain from the parent. Raises Permanent("PROTECTED_RECORD")."""
    if not _holds(before, ds_tags) or _holds(after, ds_tags):
        return
    raise Permanent(
        "PROTECTED_RECORD",
        "the parent has a DS for the key that signs, and none for one that would sign instead",
        provider=PROVIDER,
        user_action="change the DS in the parent first, and wait for its time to live",
    )


def _holds(keys: Csks, ds_tags: Set[int]) -> bool:
    return any(key.active and key.tag in ds_tags for key in keys)


def _activated(known: Csks, tag: int | None) -> Csks:
    if all(key.tag != tag for key in known):
        raise Permanent("KEY_ABSENT", f"no key has the tag {tag}", provider=PROVIDER)
    return tuple(replace(key, active=key.tag == tag) for key in known)


def _unlike(known: Csks, draw: Callable[[], Csk]) -> Csk:
    """A new key whose tag none of the others has: DS and signatures name keys by it."""
    tags = {key.tag for key in known}
    while (key := draw()).tag in tags:
        continue
    return replace(key, active=False)
