"""Changes of a zone, one record set each, and the world that they are computed from."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from catalyst_sdk.dns import Change, RecordSet
from catalyst_sdk.dns_rules import Key

from .hosting import Kind, Zone
from .ownership import is_mark, is_own_mark
from .record_sets import Wish, content

_LONGEST_TEXT = 200


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one record set; its sentence is made from what is executed."""

    before: RecordSet | None
    after: RecordSet | None
    warning: str = ""

    @property
    def key(self) -> Key:
        """Name and type."""
        known = self.after or self.before
        assert known is not None, "a step has one side at least"
        return known.name, known.type

    @property
    def action(self) -> Action:
        if self.before is None:
            return Action.CREATE
        return Action.UPDATE if self.after else Action.DELETE

    @property
    def change(self) -> Change:
        """As a backend takes it."""
        return Change(*self.key, self.after.ttl, self.after.records) if self.after else Change(*self.key)

    @property
    def sentence(self) -> str:
        """The same for people."""
        name, kind = self.key
        if self.before is None and self.after is not None:
            return f"{kind} of {name} is created: {shown(self.after)}, for {self.after.ttl} s"
        if self.after is None and self.before is not None:
            return f"{kind} of {name} is deleted: {shown(self.before)}"
        assert self.before is not None, "neither a creation nor a deletion"
        assert self.after is not None, "as above"
        if content(self.before) == content(self.after):
            told = f"its lifetime from {self.before.ttl} s to {self.after.ttl} s"
            same_set = self.before.ttl == self.after.ttl
            return f"{kind} of {name} " + (
                f"stays {shown(self.after)} and becomes ours" if same_set else f"changes {told}"
            )
        return f"{kind} of {name} changes from {shown(self.before)} to {shown(self.after)}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a guard says. `refused`: the plan cannot be applied so; `forceable`: unless the rule is named in `force`."""

    rule: str
    detail: str
    changes: tuple[int, ...] = ()
    refused: bool = True
    forceable: bool = True


@dataclass(frozen=True, slots=True)
class Base:
    """State from which a plan was computed."""

    serial: int = 0
    revision: int = 0
    etag: str = ""


@dataclass(frozen=True, slots=True)
class World:
    """What a plan is computed from.

    sets        what the backend has, marks apart
    wishes      what is wished, what is to go too
    foreign     sets that somebody else keeps
    held        labels of a pool that somebody holds
    challenged  names with a challenge in flight
    """

    zone: Zone
    sets: Mapping[Key, RecordSet]
    wishes: tuple[Wish, ...] = ()
    foreign: frozenset[Key] = frozenset()
    held: frozenset[str] = frozenset()
    challenged: frozenset[str] = frozenset()
    serial: int = 0
    revision: int = 0

    @property
    def base(self) -> Base:
        """What must stand when the plan is applied."""
        return Base(self.serial, self.revision, digest(self))

    @property
    def ours(self) -> frozenset[Key]:
        """Sets that stand in the wish."""
        return frozenset(w.key for w in self.wishes if w.records)


def digest(world: World) -> str:
    """Of all sets and wishes that a plan may stand on. Challenges come and go, and names of a pool do, without making a plan
    stale."""
    zone = world.zone
    sets = sorted(
        (name, kind, r.ttl, sorted(content(r)))
        for (name, kind), r in world.sets.items()
        if not _passes(zone, name, kind)
    )
    wishes = sorted((w.name, w.type, w.ttl, sorted(content(w.set))) for w in world.wishes)
    return hashlib.sha256(json.dumps([sets, wishes]).encode()).hexdigest()[:20]


def world_sets(sets: Iterable[RecordSet], origin: str, owner: str) -> dict[Key, RecordSet]:
    """What a backend has, without the marks of backends and without those that say what is ours."""
    return {(r.name, r.type): r for r in sets if not is_mark(r.name, origin) and not is_own_mark(r, owner)}


def frame(zone: Zone) -> frozenset[Key]:
    """What every zone has, and no plan is judged by."""
    return frozenset({(zone.origin, "SOA"), (zone.origin, "NS")})


def _passes(zone: Zone, name: str, kind: str) -> bool:
    if kind == "TXT" and name.startswith("_acme-challenge."):
        return True
    return zone.kind is Kind.POOL and kind in ("NS", "DS") and name != zone.origin


def shown(r: RecordSet) -> str:
    """Its data for people."""
    text = ", ".join(r.records)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}… ({len(r.records)} records)"
