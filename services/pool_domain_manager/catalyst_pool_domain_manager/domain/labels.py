"""Which labels may be handed out: one rule for every client, evaluated alike for a check and for a reservation."""

import re
from dataclasses import dataclass

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


def judge(text: str, policy: Policy, in_use: frozenset[str] = frozenset()) -> Judged:
    """Judge a label; the first rule that it breaks, with a sentence.

    in_use   labels at or below which the pool's zone holds records of its own
    """
    label = normalise(text)
    for rule, broken, detail in _forms(label, policy):
        if broken:
            return Judged(label, "LABEL_INVALID", rule, detail)
    if label in policy.reserved:
        return Judged(label, "LABEL_RESERVED", "reserved", f"{label} is kept for the platform")
    if any(re.fullmatch(pattern, label) for pattern in policy.patterns):
        return Judged(label, "LABEL_RESERVED", "pattern", f"names like {label} are kept for servers")
    if label in in_use:
        return Judged(label, "LABEL_RESERVED", "in_use", f"the pool's own zone uses {label}")
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
    first, last = label[:1], label[-1:]
    return (
        (
            "length",
            not policy.shortest <= len(label) <= policy.longest,
            f"a label has {policy.shortest} to {policy.longest} characters",
        ),
        ("characters", not _CHARACTERS.match(label), "only a-z, 0-9 and the hyphen are allowed"),
        ("first", not first.isalpha() and not (policy.leading_digit and first.isdigit()), "it begins with a letter"),
        ("last", last == "-", "it does not end with a hyphen"),
        ("idn", label[2:4] == "--", "a hyphen pair in the third place is kept for encoded names"),
    )  # fmt: skip - one rule an entry
