"""What the servers of a parent show of a zone that is kept, compared with what its delegation came to; where none was planned,
with the servers that the zone names itself.

Invariants
  rested only    while a run moves a delegation, or moves it back, its parent is that run's affair;
  silence        a server that gives no answer mends nothing and breaks nothing: what was seen of it stands;
  keys in turn   while a key is exchanged, the DS of either is right, as long as one of a key that signs is there.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from catalyst_sdk.dns import RecordSet
from catalyst_sdk.registrar import DsRecord, Target

from .conditions import DS_PUBLISHED
from .delegations import Delegation, State, none_yet
from .drifts import Drift, Kind, Sight
from .hosting import Zone

KINDS = frozenset({Kind.NS_MISMATCH, Kind.DS_MISMATCH})
"""Differences of the parent."""
_TTL = 1
"""Stands for the parent's own, which is not ours to wish."""


def is_compared(d: Delegation | None, uid: str) -> bool:
    """Whether a delegation says what the parent is to show of that life of the zone."""
    if d is None or d.uid != uid or d.run or d.wished is None:
        return False
    return d.stood in (State.DELEGATED, State.ROLLED_BACK)


def is_in_hand(d: Delegation) -> bool:
    """Whether what differs at its parent is a run's affair yet, or a person's since a run has failed."""
    return bool(d.run) or d.state is State.FAILED


def differing(
    d: Delegation,
    seen: Iterable[tuple[str, Target | None]],
    known: Sequence[Drift],
    *,
    signing: Collection[DsRecord],
    present: Collection[DsRecord],
) -> tuple[Sight, ...]:
    """What each server of the parent shows otherwise.

    seen      what a server shows, by its name; None where it gave no answer
    known     differences that are open
    signing   DS of the keys that sign
    present   DS of all keys that the zone has
    """
    found: list[Sight] = []
    for server, shown in seen:
        if shown is None:
            found += [k.sight for k in known if k.sight.kind in KINDS and k.sight.server == server]
        else:
            found += _at(d, server, shown, signing, present)
    return tuple(found)


def is_unmoved(d: Delegation | None) -> bool:
    """Whether nobody has had the zone moved here; what its parent shows was entered by somebody, or by no one yet."""
    return d is None or (not d.run and d.stood is State.NONE)


def unmoved(zone: Zone, published: Collection[str]) -> Delegation:
    """What the parent of such a zone is to show where it names one of our servers: all of them, and no key but ours."""
    found = none_yet(zone.domain, zone.uid, zone.owner, zone.updated_at)
    return replace(found, wished=Target(tuple(sorted(published))), state=State.DELEGATED)


def ours(seen: Iterable[tuple[str, Target | None]], published: Collection[str]) -> list[tuple[str, Target | None]]:
    """What is compared of a zone that nobody has moved: of a parent that names none of our servers, nothing."""
    return [(server, shown) for server, shown in seen if shown is None or set(shown.ns) & set(published)]


def is_late(d: Delegation, withdrawn: Target, sight: Sight) -> bool:
    """Whether a difference is what was taken back: a change that the registrar had never answered for has landed after all.

    Ours beyond doubt are the name servers of that plan, and a DS that came with it. A DS that is merely gone may be its
    owner's own doing, and to put it back could make every answer bogus.
    """
    if d.state is not State.ROLLED_BACK or d.snapshot is None or sight.observed is None:
        return False
    before, seen = d.snapshot.records, set(sight.observed.records)
    if sight.kind is Kind.NS_MISMATCH:
        return seen == set(withdrawn.ns) != set(before.ns)
    return sight.kind is Kind.DS_MISMATCH and bool(seen & {str(ds) for ds in withdrawn.ds if ds not in before.ds})


def still(known: Sequence[Drift]) -> tuple[Sight, ...]:
    """What stands while nobody above can be asked."""
    return tuple(k.sight for k in known if k.sight.kind in KINDS)


def _at(
    d: Delegation, server: str, shown: Target, signing: Collection[DsRecord], present: Collection[DsRecord]
) -> Iterable[Sight]:
    wished, origin = d.wished or Target(()), f"{d.zone}."
    if set(shown.ns) != set(wished.ns):
        sets = (_set(origin, "NS", wished.ns), _set(origin, "NS", shown.ns))
        yield Sight(Kind.NS_MISMATCH, server, origin, "NS", *sets, "at the parent")
    if not _is_vouched(d, wished, shown.ds, signing, present):
        told = wished.ds if d.state is State.ROLLED_BACK else tuple(sorted(signing))
        sets = (_set(origin, "DS", map(str, told)), _set(origin, "DS", map(str, shown.ds)))
        yield Sight(Kind.DS_MISMATCH, server, origin, "DS", *sets, "at the parent")


def _is_vouched(
    d: Delegation, wished: Target, shown: Collection[DsRecord], signing: Collection[DsRecord],
    present: Collection[DsRecord],
) -> bool:  # fmt: skip
    """Whether the DS at the parent are as they should be; where a person was to enter them, none may be there yet."""
    if d.state is State.ROLLED_BACK:
        return set(shown) == set(wished.ds)
    ours = {(ds.key_tag, ds.algorithm) for ds in present}
    if any((ds.key_tag, ds.algorithm) not in ours for ds in shown):
        return False
    was_there = any(c.type == DS_PUBLISHED and c.status == "True" for c in d.conditions)
    signers = {(ds.key_tag, ds.algorithm) for ds in signing}
    return not was_there or any((ds.key_tag, ds.algorithm) in signers for ds in shown)


def _set(name: str, kind: str, texts: Iterable[str]) -> RecordSet | None:
    records = tuple(sorted(texts))
    return RecordSet(name, kind, _TTL, records) if records else None
