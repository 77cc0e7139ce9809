"""Between the contract's values and the server's JSON. Pure.

How a zone of ours is known
  account   `pdm-signed:` or `pdm-plain:` and a digest of the owner: written with the zone itself, shown with it, and out of
            reach of whoever may write records;
  mark      the owner in words, as a TXT record. It counts only where the account agrees with it.
An account of ours without a mark is a zone whose making was cut short: nobody was told of it, so it counts as absent.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import dns.dnssec
import dns.exception
import dns.rdata
from catalyst_sdk.dns import OWNER_MARK, REVISION_MARK, RecordSet, ZoneKey, ZoneSpec, ZoneState
from catalyst_sdk.dns_rules import KEYS, Key, below, is_made_by_signing, is_shared_key, with_serial

NSEC3 = "1 0 0 -"
"""SHA-1, no opt-out, no further iterations, no salt (RFC 9276)."""
SIGNED, PLAIN = "pdm-signed:", "pdm-plain:"
_REMEMBERED = 16_384
"""Texts whose meaning is kept, some MiB of them."""
_DIGITS = 28  # the server's own schema holds 40 characters
_DIGEST_TYPE = 2
_ENTRY_POINT = 1
_FINE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-")
_QUOTED = re.compile(r'="([^"\\\s]*)"')


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key with the number that the server gave it."""

    id: int
    key: ZoneKey


@dataclass(frozen=True, slots=True)
class Held:
    """A zone as the server has it, whoever's it is."""

    name: str
    account: str
    serial: int
    records: Mapping[Key, RecordSet]
    keys: tuple[HeldKey, ...]

    @property
    def owner(self) -> str:
        """Who the mark names, if the account agrees; empty where nobody can be proved."""
        mark = self.records.get((below(OWNER_MARK, self.name), "TXT"))
        told = _text(mark).removeprefix("owner=") if mark else ""
        return told if told and self.is_of(told) else ""

    @property
    def is_half_made(self) -> bool:
        """It is ours, and its making never came to the records."""
        return self.account.startswith((SIGNED, PLAIN)) and (below(OWNER_MARK, self.name), "TXT") not in self.records

    @property
    def lacks_key(self) -> bool:
        """It is ours, was to be signed, and has no key."""
        return self.account.startswith(SIGNED) and not self.keys

    def is_of(self, owner: str) -> bool:
        """Whether `owner` made it."""
        return self.account in (account(owner, signed=True), account(owner, signed=False))

    def state(self) -> ZoneState:
        """As the contract shows it."""
        mark = self.records.get((below(REVISION_MARK, self.name), "TXT"))
        revision = _text(mark).removeprefix("gen=") if mark else ""
        return ZoneState(
            name=self.name,
            owner=self.owner,
            serial=self.serial,
            revision=int(revision) if revision.isdecimal() else 0,
            signed=bool(self.keys),
            record_sets=tuple(self.records[key] for key in sorted(self.records)),
            keys=tuple(held.key for held in self.keys),
            etag=self._etag(),
        )

    def _etag(self) -> str:
        """The server keeps none, so one is made of all that a change could touch."""
        facts = (self.account, sorted(self.records.items()), [held.key for held in self.keys])
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:20]


def account(owner: str, *, signed: bool) -> str:
    """What is written beside a zone of `owner`."""
    return (SIGNED if signed else PLAIN) + hashlib.sha256(owner.encode()).hexdigest()[:_DIGITS]


def zone_id(name: str) -> str:
    """A zone's name in an address: everything unusual as `=` and two hexadecimal digits."""
    return "".join(c if c in _FINE else f"={ord(c):02X}" for c in name) if name != "." else "=2E"


def to_body(spec: ZoneSpec, records: Mapping[Key, RecordSet]) -> dict[str, Any]:
    """A zone to create, with everything in it."""
    signing = {"dnssec": True, "nsec3param": NSEC3} if spec.signed else {"dnssec": False}
    return {
        "name": spec.name,
        "kind": "Native",
        "account": account(spec.owner, signed=spec.signed),
        "api_rectify": True,
        "soa_edit": "INCEPTION-EPOCH",
        # Of what the API takes here, INCEPTION-EPOCH and its like never move the serial.
        "soa_edit_api": "DEFAULT",
        "rrsets": [_rrset(r) for r in (*records.values(), *for_the_parent(records.get((spec.name, KEYS))))],
        **signing,
    }


def to_patch(records: Mapping[Key, RecordSet], touched: Iterable[Key]) -> dict[str, Any]:
    """One change of all that was touched."""
    rrsets: list[dict[str, Any]] = []
    for key in sorted(touched):
        sets = [records[key]] if key in records else []
        kinds = {key[1]}
        if key[1] == KEYS:  # the server makes those of its own keys only, and answers with both
            kinds |= {"CDS", "CDNSKEY"}
            sets += for_the_parent(records.get(key))
        gone = kinds - {r.type for r in sets}
        rrsets += [{**_rrset(r), "changetype": "REPLACE"} for r in sets]
        rrsets += [{"name": key[0], "type": kind, "changetype": "DELETE"} for kind in sorted(gone)]
    return {"rrsets": rrsets}


def for_the_parent(shared: RecordSet | None) -> list[RecordSet]:
    """CDS and CDNSKEY of others' keys, of those that a parent may name (RFC 7344, section 3)."""
    parsed: list[Any] = [dns.rdata.from_text("IN", KEYS, text) for text in shared.records] if shared else []
    entries = [key for key in parsed if key.flags & _ENTRY_POINT]
    if shared is None or not entries:
        return []
    cds = tuple(str(dns.dnssec.make_cds(shared.name, key, "SHA256")) for key in entries)
    return [
        RecordSet(shared.name, "CDS", shared.ttl, cds),
        RecordSet(shared.name, "CDNSKEY", shared.ttl, tuple(map(str, entries))),
    ]


class Reader:
    """Reads answers. Zones of a pool say much the same, and a sweep reads all of them again and again, so that what a text
    means is worked out once, as long as it is among the last ones."""

    def __init__(self) -> None:
        self.data = lru_cache(_REMEMBERED)(_data)
        self.key = lru_cache(_REMEMBERED)(_key)

    def keys(self, raw: Sequence[Mapping[str, Any]]) -> tuple[HeldKey, ...]:
        """The keys that are shown. Raises as `from_body`."""
        return tuple(
            self.key(int(one["id"]), bool(one["active"]), one["dnskey"], tuple(one.get("ds", ())))
            for one in raw
            if one.get("published", True)
        )


def from_body(reader: Reader, zone: Mapping[str, Any], keys: Sequence[Mapping[str, Any]]) -> Held:
    """A zone from its two answers. Raises KeyError, TypeError, ValueError where they are not what they should be."""
    records = {}
    for raw in zone["rrsets"]:
        # A record that is switched off is there and not served.
        data = tuple(reader.data(raw["type"], r["content"]) for r in raw["records"] if not r["disabled"])
        is_wished = not is_made_by_signing(raw["name"], raw["type"])
        if data and (is_wished or is_shared_key(raw["name"], raw["type"], zone["name"])):
            records[str(raw["name"]), str(raw["type"])] = RecordSet(raw["name"], raw["type"], int(raw["ttl"]), data)
    return Held(str(zone["name"]), str(zone["account"]), int(zone["edited_serial"]), records, reader.keys(keys))


def from_making(
    reader: Reader, zone: Mapping[str, Any], records: Mapping[Key, RecordSet], keys: Sequence[Mapping[str, Any]]
) -> Held:  # fmt: skip
    """A zone that was made this moment of `records`, from an answer without them. Raises as `from_body`."""
    soa = records[str(zone["name"]), "SOA"]
    drawn = replace(soa, records=(with_serial(soa.records[0], int(zone["serial"])),))
    whole = {**records, (soa.name, "SOA"): drawn}
    return Held(soa.name, str(zone["account"]), int(zone["edited_serial"]), whole, reader.keys(keys))


def differs(wished: RecordSet | None, found: RecordSet | None) -> bool:
    """Whether what was found is not as wished; the SOA's serial is the server's own."""
    if wished is None or found is None:
        return wished is not found
    if wished.type == "SOA":
        return _without_serial(wished) != _without_serial(found) or wished.ttl != found.ttl
    return wished.ttl != found.ttl or set(wished.records) != set(found.records)


def _without_serial(soa: RecordSet) -> list[str]:
    fields = soa.records[0].split()
    return [*fields[:2], *fields[3:]]


def _rrset(r: RecordSet) -> dict[str, Any]:
    records = [{"content": _spelled(r.type, text), "disabled": False} for text in r.records]
    return {"name": r.name, "type": r.type, "ttl": r.ttl, "records": records}


def _spelled(kind: str, text: str) -> str:
    """As the server writes it: another spelling of the same data is refused."""
    if kind in (KEYS, "CDNSKEY"):
        flags, protocol, algorithm, *key = text.split()
        return f"{flags} {protocol} {algorithm} {''.join(key)}"
    return _QUOTED.sub(r"=\1", text) if kind in ("SVCB", "HTTPS") else text


def _data(kind: str, content: str) -> str:
    """In the form in which everybody here compares it; a type of the server's own stays as it is."""
    try:
        return str(dns.rdata.from_text("IN", kind, content, origin=None, relativize=False))
    except (dns.exception.DNSException, ValueError):
        return content


def _text(mark: RecordSet) -> str:
    rdata: Any = dns.rdata.from_text("IN", "TXT", mark.records[0])
    return b"".join(rdata.strings).decode(errors="replace")


def _key(id: int, active: bool, dnskey: str, ds: tuple[str, ...]) -> HeldKey:
    shown: Any = dns.rdata.from_text("IN", "DNSKEY", dnskey)
    # Digest 1 is there too, and no parent should show it (RFC 8624).
    fit = tuple(_data("DS", text) for text in ds if int(text.split()[2]) == _DIGEST_TYPE)
    return HeldKey(id, ZoneKey(dns.dnssec.key_id(shown), int(shown.algorithm), active, str(shown), fit))
