"""The wish of a zone, record set by record set, and what makes a zone equal to it.

Invariants
  ours alone    what is changed at a backend are sets that stand in the wish, or did until it took them out;
  numbered      a set is written until it was read back once, or where the zone shows a lower revision than the set's; what
                somebody else has changed since is drift, and no write of ours hides it in passing;
  by value      a challenge is one value of a TXT set: the values of others at its name stay.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from catalyst_sdk import Permanent
from catalyst_sdk.dns import Change, RecordSet, ZoneSpec, ZoneState, text_data
from catalyst_sdk.dns_rules import Faults, Key, below, changed_records

from .hosting import Soa, Zone
from .server_sets import ServerSet

CHALLENGE_TTL = 60
RECORD_TTL = 300
NS_TTL = 3600


@dataclass(frozen=True, slots=True)
class Wish:
    """One set as it is wished. Without records: it was ours, and is to go."""

    name: str
    type: str
    ttl: int
    records: tuple[str, ...]
    owner: str
    revision: int

    @property
    def key(self) -> Key:
        return self.name, self.type

    @property
    def set(self) -> RecordSet:
        """The set alone."""
        return RecordSet(self.name, self.type, self.ttl, self.records)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One value of a TXT set that proves a name to a certificate issuer.

    wanted    False: it is to go
    carried   the backend was seen to be as wanted
    revision  number that the change of the zone was promised to have at least
    """

    zone: str
    name: str
    value: str
    wanted: bool = True
    carried: bool = False
    revision: int = 0

    @property
    def record(self) -> str:
        """As a zone file has it."""
        return text_data(self.value)


def frame(zone: Zone, servers: ServerSet, soa: Soa) -> tuple[RecordSet, ...]:
    """What every zone has: SOA, NS, and the addresses of servers inside of it."""
    rname = soa.rname.rstrip(".") + "." if soa.rname else below("hostmaster", zone.origin)
    numbers = f"{soa.refresh} {soa.retry} {soa.expire} {soa.minimum}"
    found = [
        RecordSet(zone.origin, "SOA", NS_TTL, (f"{servers.published[0]} {rname.lower()} 0 {numbers}",)),
        RecordSet(zone.origin, "NS", NS_TTL, servers.published),
    ]
    for host in servers.published:
        if host.endswith(f".{zone.origin}") or host == zone.origin:
            given = servers.glue_of(host)
            for kind, wanted in (("A", [x for x in given if ":" not in x]), ("AAAA", [x for x in given if ":" in x])):
                if wanted:
                    found.append(RecordSet(host, kind, NS_TTL, tuple(wanted)))
    return tuple(found)


def reframe(
    zone: Zone, wishes: Iterable[Wish], before: Iterable[RecordSet], after: Iterable[RecordSet]
) -> tuple[Wish, ...]:
    """The wishes that change when the frame does, with the number that `zone` has now."""
    known, owner, revision = {w.key: w for w in wishes}, zone.owner, zone.revision
    new = {(r.name, r.type): r for r in after}
    gone = [Wish(*key, 0, (), owner, revision) for r in before if (key := (r.name, r.type)) not in new and key in known]
    put = [
        Wish(r.name, r.type, r.ttl, r.records, owner, revision)
        for key, r in new.items()
        if key not in known or not same(known[key].set, r)
    ]
    return (*gone, *put)


def spec(zone: Zone, wishes: Sequence[Wish]) -> ZoneSpec:
    """The zone to create, all its records with it."""
    apex = next(w for w in wishes if w.key == (zone.origin, "NS"))
    rest = tuple(w.set for w in wishes if w.records and w.type != "SOA" and w is not apex)
    return ZoneSpec(
        zone.origin, apex.records, zone.mark, rest, signed=zone.signed, ttl=apex.ttl,
        negative_ttl=zone.soa.minimum, revision=zone.revision,
    )  # fmt: skip


def due(wishes: Iterable[Wish], state: ZoneState, written: int) -> tuple[Change, ...]:
    """What is wished later than what the zone shows, or than what was read back (`written`): a server may take the number of
    a change and leave out a part of it."""
    late = (w for w in wishes if w.revision > min(state.revision, written))
    return tuple(Change(w.name, w.type, w.ttl, w.records) for w in late if not _is_there(w, state))


def lacking(wishes: Iterable[Wish], state: ZoneState) -> tuple[Change, ...]:
    """Everything that the zone has not as wished, whenever it was wished."""
    return tuple(Change(w.name, w.type, w.ttl, w.records) for w in wishes if not _is_there(w, state))


def challenge_changes(
    challenges: Iterable[Challenge], wishes: Mapping[Key, Wish], state: ZoneState
) -> tuple[Change, ...]:
    """What makes the TXT sets hold the values that are wanted and none that is not, and leaves the others' values."""
    by_name: dict[str, list[Challenge]] = {}
    for c in challenges:
        by_name.setdefault(c.name, []).append(c)
    found = []
    for name, some in sorted(by_name.items()):
        known, wish = state.find(name, "TXT"), wishes.get((name, "TXT"))
        after = _challenged(name, some, known or (wish.set if wish and wish.records else None), wish)
        if not same(known, after):
            found.append(Change(name, "TXT", after.ttl, after.records) if after else Change(name, "TXT"))
    return tuple(found)


def _challenged(name: str, some: Sequence[Challenge], known: RecordSet | None, wish: Wish | None) -> RecordSet | None:
    wanted = [c.record for c in some if c.wanted]
    kept = set(wish.records) if wish else set()
    gone = {c.record for c in some if not c.wanted} - set(wanted) - kept
    records = tuple(dict.fromkeys([*(r for r in (known.records if known else ()) if r not in gone), *wanted]))
    if not records:
        return None
    ttl = CHALLENGE_TTL if wanted else (wish.ttl if wish and wish.records else known.ttl if known else CHALLENGE_TTL)
    return RecordSet(name, "TXT", ttl, records)


def desired(wishes: Iterable[Wish], challenges: Iterable[Challenge]) -> dict[Key, RecordSet]:
    """What the zone should hold, by name and type."""
    sets = {w.key: w.set for w in wishes if w.records}
    for c in challenges:
        if c.wanted:
            held = sets.get((c.name, "TXT"))
            records = dict.fromkeys([*(held.records if held else ()), c.record])
            sets[c.name, "TXT"] = RecordSet(c.name, "TXT", CHALLENGE_TTL, tuple(records))
    return sets


def same(one: RecordSet | None, other: RecordSet | None) -> bool:
    """Whether two sets say the same; an SOA's serial is the server's own."""
    if one is None or other is None:
        return one is other
    return one.ttl == other.ttl and content(one) == content(other)


def content(r: RecordSet) -> frozenset[str]:
    """The records as a set, without the serial of an SOA."""
    if r.type != "SOA":
        return frozenset(r.records)
    return frozenset(" ".join((*fields[:2], *fields[3:])) for text in r.records if (fields := text.split()))


def full_name(text: str, origin: str) -> str:
    """A name as it is kept, from what people write: `@`, relative, or full with its final dot."""
    name = text.strip().lower()
    if name in ("@", ""):
        return origin
    return name if name.endswith(".") else f"{name}.{origin}"


def given(name: str, kind: str, ttl: int | None, values: Iterable[str], origin: str) -> RecordSet:
    """A set as it is kept, from what people write: TXT may come without quotes, and of any length.

    ttl   None: nobody said how long, and it is as long as usual
    """
    texts = tuple(text_data(v) if kind == "TXT" and not v.startswith('"') else v.strip() for v in values)
    return RecordSet(full_name(name, origin), kind, RECORD_TTL if ttl is None else ttl, texts)


def taken(origin: str, before: Mapping[Key, RecordSet], changes: Sequence[Change]) -> dict[Key, RecordSet]:
    """The sets after `changes`, in the form in which servers show them. Raises Permanent("RECORD_INVALID")."""
    after, _ = changed_records(origin, before, changes, Faults("pdm"))
    return after


def faults_of(refused: Permanent) -> tuple[tuple[int, str], ...]:
    """Position and text of each fault of a refused change; -1 where the zone as a whole is wrong."""
    found = []
    for part in refused.message.split("; "):
        head, _, text = part.partition(": ")
        position = head.removeprefix("change ")
        found.append((int(position), text) if head.startswith("change ") and position.isdigit() else (-1, part))
    return tuple(found)


def _is_there(w: Wish, state: ZoneState) -> bool:
    return same(state.find(w.name, w.type), w.set if w.records else None)
