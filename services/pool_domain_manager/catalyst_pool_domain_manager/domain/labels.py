"""Which labels may be handed out: one rule for every client, evaluated alike for a check and for a reservation."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from . import idn
from .policy import Policy

_CHARACTERS = re.compile(r"^[a-z0-9-]*$")


@dataclass(frozen=True, slots=True)
class Judged:
    """What a policy says of a label; `reason` is empty where it may be handed out."""

    label: str
    reason: str = ""
    rule: str = ""
    detail: str = ""


def normalise(text: str) -> str:
    """As people type it: blanks around it and capitals are no difference.

    ASCII only: elsewhere `strip` takes control characters away and `lower` makes a k of the Kelvin sign, and a name would
    be given that nobody typed.
    """
    text = text.strip(" \t\r\n")
    return text.lower() if text.isascii() else text


def judge(text: str, policy: Policy, in_use: frozenset[str] = frozenset(), held: Iterable[str] = ()) -> Judged:
    """Judge a label; the first rule that it breaks, with a sentence. One in another script comes back encoded.

    in_use   labels at or below which the pool's zone holds records of its own
    held     labels that somebody has, where the policy takes such scripts: none may pass for another
    """
    typed = normalise(text)
    try:
        label = idn.encoded(typed) if policy.idn and idn.is_idn(typed) else typed
    except idn.Unfit as unfit:
        return Judged(typed, "LABEL_INVALID", unfit.rule, str(unfit))
    for rule, broken, detail in _forms(label, policy):
        if broken:
            return Judged(label, "LABEL_INVALID", rule, detail)
    if label in policy.reserved or (policy.idn and idn.double(label, policy.reserved)):
        return Judged(label, "LABEL_RESERVED", "reserved", f"{idn.decoded(label)} is kept for the platform")
    if any(re.fullmatch(pattern, label) for pattern in policy.patterns):
        return Judged(label, "LABEL_RESERVED", "pattern", f"names like {label} are kept for servers")
    if label in in_use:
        return Judged(label, "LABEL_RESERVED", "in_use", f"the pool's own zone uses {label}")
    if policy.idn and idn.double(label, held):
        text = f"{idn.decoded(label)} looks like a name that somebody has"
        return Judged(label, "LABEL_INVALID", "confusable", text)
    return Judged(label)


@dataclass(frozen=True, slots=True)
class Kept:
    """A label, or a pattern of labels, that is never handed out."""

    label: str
    pattern: str
    rule: str


def kept(policy: Policy, in_use: frozenset[str]) -> tuple[Kept, ...]:
    """Everything that the rules keep back: labels in order, then patterns."""
    named = dict.fromkeys(in_use, "in_use") | dict.fromkeys(policy.reserved, "reserved")
    labels = [Kept(label, "", rule) for label, rule in sorted(named.items())]
    return (*labels, *(Kept("", pattern, "pattern") for pattern in sorted(policy.patterns)))


def _forms(label: str, policy: Policy) -> tuple[tuple[str, bool, str], ...]:
    shown = idn.decoded(label) if policy.idn else label  # of a label in another script people count what they see
    first, last = shown[:1], label[-1:]
    return (
        (
            "length",
            not policy.shortest <= len(shown) <= policy.longest,
            f"a label has {policy.shortest} to {policy.longest} characters",
        ),
        ("characters", not _CHARACTERS.match(label), "only a-z, 0-9 and the hyphen are allowed"),
        ("first", not first.isalpha() and not (policy.leading_digit and first.isdigit()), "it begins with a letter"),
        ("last", last == "-", "it does not end with a hyphen"),
        ("idn", label[2:4] == "--" and shown == label, "a hyphen pair in the third place is kept for encoded names"),
    )  # fmt: skip - one rule an entry
