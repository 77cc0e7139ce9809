"""A transferred zone in the contract's words, and the updates that change one. Pure.

The turn
  The revision mark moves only when the host says so, and a writer who came between must be seen all the same. So each change
  of ours also draws a new value for `_pdm-turn.<zone> TXT`, and asks in its prerequisites for the one that it read. The turn
  is ours alone: it is no record set of the contract, and nobody else may change it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.update
import dns.zone
from catalyst_sdk.dns import OWNER_MARK, REVISION_MARK, RecordSet, ZoneKey, ZoneState, text_data
from catalyst_sdk.dns_rules import Key, below, with_serial

TURN_MARK = "_pdm-turn"
NOBODY = "invalid."
"""A host that there never is (RFC 6761, section 6.4)."""


@dataclass(frozen=True, slots=True)
class Held:
    """A zone as the server has it, whoever's it is."""

    name: str
    serial: int
    records: Mapping[Key, RecordSet]
    keys: tuple[ZoneKey, ...]
    turn: str
    is_settled: bool
    """Not signed, or signed as a whole: the server has nothing of this kind left to do."""
    shows_cds: bool

    @property
    def owner(self) -> str:
        """Who the mark names; empty where there is none."""
        return _mark(self.records, OWNER_MARK, self.name).removeprefix("owner=")

    def state(self) -> ZoneState:
        """As the contract shows it."""
        revision = _mark(self.records, REVISION_MARK, self.name).removeprefix("gen=")
        return ZoneState(
            name=self.name,
            owner=self.owner,
            serial=self.serial,
            revision=int(revision) if revision.isdecimal() else 0,
            signed=bool(self.keys),
            record_sets=tuple(self.records[key] for key in sorted(self.records)),
            keys=self.keys,
            etag=self.etag,
        )

    @property
    def etag(self) -> str:
        """Of all that a change could touch. Not of the serial: signing moves it by itself, every few days."""
        facts: list[object] = [self.turn, self.keys]
        facts += [with_serial(r.records[0], 0) if r.type == "SOA" else r for _, r in sorted(self.records.items())]
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:20]


def update(
    held: Held, records: Mapping[Key, RecordSet], touched: Iterable[Key], *, turn: str
) -> dns.update.UpdateMessage:
    """One message that takes `held` to `records`, if nobody has changed the turn, or what is touched, since it was read.

    What is added comes in an order in which every server takes it: NS before DS, since BIND ignores a DS without NS.
    """
    message = dns.update.UpdateMessage(held.name)
    mark = below(TURN_MARK, held.name)
    before = dict(held.records)
    if held.turn:
        before[mark, "TXT"] = RecordSet(mark, "TXT", 0, (text_data(held.turn),))
    after = {**records, (mark, "TXT"): RecordSet(mark, "TXT", records[held.name, "SOA"].ttl, (text_data(turn),))}
    keys = sorted({*touched, (mark, "TXT")}, key=_order)
    for key in keys:
        if key[1] == "SOA":
            continue
        if key in before:
            message.present(key[0], _rdataset(replace(before[key], ttl=0)))  # section 2.4.2: TTL 0
        else:
            message.absent(*key)
    # The server keeps the last NS at the top, whatever is asked, so there the new ones come first.
    top = (held.name, "NS")
    # Knot counts the signatures of what was there as data beside an alias, unless the whole name goes.
    for name in (
        name for name, kind in keys if kind == "CNAME" and (name, kind) in after and (name, kind) not in before
    ):
        message.delete(name)
    for key in keys:
        if key != top:
            _take_away(message, before.get(key), after.get(key))
    if top in keys:
        _come_and_go(message, before.get(top), after.get(top))
    for key in keys:
        _add(message, held, before.get(key), after.get(key))
    if top in keys:
        _take_away(message, before.get(top), after.get(top), whole=False)
    return message


def marked_absent(held: Held) -> tuple[str, str]:
    """The mark that a zone must lack for `create_zone` to fill it."""
    return below(OWNER_MARK, held.name), "TXT"


def zone_file(records: Mapping[Key, RecordSet], *, serial: int, turn: str) -> str:
    """The text of a new zone, with absolute names throughout."""
    lines = []
    origin = ""
    for r in records.values():
        for text in r.records:
            data = with_serial(text, serial) if r.type == "SOA" else text
            origin = r.name if r.type == "SOA" else origin
            lines.append(f"{r.name} {r.ttl} IN {r.type} {data}\n")
    lines.sort(key=lambda line: " IN SOA " not in line)
    ttl = records[origin, "SOA"].ttl
    return "".join([*lines, f"{below(TURN_MARK, origin)} {ttl} IN TXT {text_data(turn)}\n"])


def differs(wished: RecordSet | None, found: RecordSet | None) -> bool:
    """Whether what was found is not as wished; the SOA's serial is the server's own, with PowerDNS its time to live too."""
    if wished is None or found is None:
        return wished is not found
    if wished.type == "SOA":
        return with_serial(wished.records[0], 0) != with_serial(found.records[0], 0)
    return wished.ttl != found.ttl or set(wished.records) != set(found.records)


def _come_and_go(message: dns.update.UpdateMessage, before: RecordSet | None, after: RecordSet | None) -> None:
    """Knot gives a set the time to live of a record that is new to it, and of no other; at the top, where the set cannot go as a
    whole, one comes for that and goes again."""
    if before is None or after is None or before.ttl == after.ttl or set(after.records) - set(before.records):
        return
    passing = _rdataset(after, (NOBODY,))
    message.add(after.name, passing)
    message.delete(after.name, passing)


def _take_away(
    message: dns.update.UpdateMessage, before: RecordSet | None, after: RecordSet | None, *, whole: bool = True
) -> None:
    if before is None or before.type == "SOA":
        return
    # Another time to live is another set: what is left would keep the old one on some servers.
    gone = set(before.records) - set(after.records if after and (after.ttl == before.ttl or not whole) else ())
    if gone == set(before.records) and whole:
        message.delete(before.name, before.type)
    elif gone:
        message.delete(before.name, _rdataset(before, gone))


def _add(message: dns.update.UpdateMessage, held: Held, before: RecordSet | None, after: RecordSet | None) -> None:
    if after is None:
        return
    if after.type == "SOA":
        # One that is not newer is ignored (RFC 2136, section 3.4.2.2).
        newer = RecordSet(after.name, "SOA", after.ttl, (with_serial(after.records[0], (held.serial + 1) % 2**32),))
        message.add(after.name, _rdataset(newer))
        return
    new = set(after.records) - set(before.records if before and before.ttl == after.ttl else ())
    if new:
        message.add(after.name, _rdataset(after, new))


def _order(key: Key) -> tuple[int, Key]:
    return {"NS": 0, "DS": 2}.get(key[1], 1), key


def _rdataset(r: RecordSet, texts: Iterable[str] | None = None) -> dns.rdataset.Rdataset:
    chosen = sorted(r.records if texts is None else texts)
    rdatas = [dns.rdata.from_text("IN", r.type, text, origin=None, relativize=False) for text in chosen]
    return dns.rdataset.from_rdata_list(r.ttl, rdatas)


def _mark(records: Mapping[Key, RecordSet], label: str, zone: str) -> str:
    mark = records.get((below(label, zone), "TXT"))
    return text_of(mark.records[0]) if mark else ""


def text_of(data: str) -> str:
    """What a TXT record says."""
    rdata: Any = dns.rdata.from_text("IN", "TXT", data)
    return b"".join(rdata.strings).decode(errors="replace")
