"""Addresses to which names may point."""

import re

from catalyst_sdk import Violation
from catalyst_sdk import addresses as addressing

from .allocations import Target
from .refusals import TargetsRefused

_SLOT = re.compile(r"[a-z]{4}")
OWN_SLOTS = ("default", "console")
"""Slots that every name has; any other one is a location code."""
MOST_OF_A_SLOT = 16


def parse(raw: tuple[Target, ...], *, allow_private: bool) -> tuple[Target, ...]:
    """Canonical targets in a fixed order. Raises TargetsRefused with every bad one."""
    if not raw:
        raise TargetsRefused("TARGET_MISSING", (Violation("targets", "at least one address is needed", "missing"),))
    found: list[tuple[str, Violation]] = []
    good = []
    for n, (slot, text) in enumerate(raw):
        problem = _problem(n, slot or "default", text, allow_private=allow_private)
        if problem:
            found.append(problem)
        else:
            good.append((slot or "default", str(addressing.parse(text))))
    for slot in {slot for slot, _ in good}:
        if sum(s == slot for s, _ in good) > MOST_OF_A_SLOT:
            found.append(
                ("TARGET_INVALID", Violation("targets", f"more than {MOST_OF_A_SLOT} of slot {slot}", "count"))
            )
    if raw and not found and not any(slot in OWN_SLOTS for slot, _ in good):
        found.append(
            ("TARGET_MISSING", Violation("targets", "a location alone leaves the name without address", "missing"))
        )
    if found:
        raise TargetsRefused(found[0][0], tuple(violation for _, violation in found))
    return tuple(sorted(set(good)))


def _problem(n: int, slot: str, text: str, *, allow_private: bool) -> tuple[str, Violation] | None:
    if slot not in OWN_SLOTS and not _SLOT.fullmatch(slot):
        detail = f"slot {slot!r} is neither default, console nor a location code"
        return "TARGET_INVALID", Violation(f"targets[{n}].slot", detail, "slot")
    address = addressing.parse(text)
    if address is None:
        return "TARGET_INVALID", Violation(f"targets[{n}].address", f"{text!r} is no address", "address")
    if not allow_private and not addressing.is_public(address):
        return "TARGET_NOT_PUBLIC", Violation(f"targets[{n}].address", f"{text} is not public", "public")
    return None


def addresses(targets: tuple[Target, ...], slot: str) -> tuple[str, ...]:
    """The addresses of a slot; those of `default`, or else of `console`, where it has none of its own."""
    for candidate in (slot, *OWN_SLOTS):
        if own := tuple(address for s, address in targets if s == candidate):
            return own
    return ()


def locations(targets: tuple[Target, ...]) -> tuple[str, ...]:
    """Location codes among the slots."""
    return tuple(sorted({slot for slot, _ in targets} - set(OWN_SLOTS)))
