"""Adoption: what exists at a cloud is given to a wished cluster, each resource to one address.

Invariants
  in place   nothing is deleted or made again because of an adoption; a plan that would do so cannot be applied;
  nobody's   what carries the labels of another Sovereign is not for us to take;
  kept       what was adopted keeps its name, and its address for life.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from catalyst_sdk.cloud import Action, Adopted, Change, Discovered, Finding, InfraPlan, Severity

from .naming import UID_LABEL

CAPABILITY = "adopt"
SERVER = "server"


@dataclass(frozen=True, slots=True)
class Given:
    """What a cluster gets, by address, and what nothing is wished for."""

    adopted: Mapping[str, Adopted] = field(default_factory=dict)
    unmatched: tuple[Discovered, ...] = ()


def assign(changes: Sequence[Change], found: Sequence[Discovered]) -> Given:
    """One resource to each address that would be made, by kind and region; both in the order of their names."""
    left = sorted(found, key=lambda r: (r.kind, r.name, r.id))
    adopted: dict[str, Adopted] = {}
    for change in changes:
        if change.action is not Action.CREATE:
            continue
        match = next((r for r in left if (r.kind, r.region) == (change.kind, change.region)), None)
        if match is not None:
            left.remove(match)
            adopted[change.address] = Adopted(match.name, match.id)
    return Given(adopted, tuple(left))


def foreign(found: Sequence[Discovered], uid: str) -> list[Discovered]:
    """Those that are another Sovereign's."""
    return [r for r in found if r.labels.get(UID_LABEL, uid) != uid]


def unmanned(given: Given, changes: Sequence[Change]) -> list[Finding]:
    """Servers that are taken over: we have not booted them, so none of them dials home by itself."""
    return [
        Finding("adopt.unmanned", Severity.WARNING, c.address,
                f"{given.adopted[c.address].name} was not booted by us: the run waits until it is a node of this cluster",
                "leave it out by its id, unless it is one already")
        for c in changes
        if c.kind == SERVER and c.address in given.adopted
    ]  # fmt: skip


def findings(given: Given, plan: InfraPlan, others: Sequence[Discovered]) -> list[Finding]:
    """What stands against an adoption."""
    found = [
        Finding("adopt.foreign", Severity.ERROR, "options.adopt_labels", f"{r.kind} {r.name} ({r.id}) is another Sovereign's",
                "narrow the labels or the ids")
        for r in others
    ]  # fmt: skip
    found += [
        Finding("adopt.replace", Severity.ERROR, c.address, f"{c.kind} {c.name} would be {c.action.value}d",
                "wish it as it is, or leave it out")
        for c in plan.changes
        if c.action in (Action.REPLACE, Action.DELETE)
    ]  # fmt: skip
    found += [
        Finding("adopt.unmatched", Severity.WARNING, "options.adopt_labels",
                f"nothing is wished for {r.kind} {r.name} ({r.id}) in {r.region}", "it stays as it is")
        for r in given.unmatched
    ]  # fmt: skip
    if not given.adopted and not others:
        text = "nothing that is wished was found by these labels and ids"
        found.append(Finding("adopt.nothing", Severity.ERROR, "options.adopt_labels", text, "give others"))
    return found
