"""Collecting what the present servers of a zone answer: by transfer, by walking along NSEC, by asking for usual names."""

import asyncio
import base64
import binascii
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.tsigkeyring
import dns.xfr
import dns.zone
from catalyst_sdk import Permanent, Secret, Temporary
from catalyst_sdk.dns import RecordSet

from catalyst_pool_domain_manager.domain import imports, mail
from catalyst_pool_domain_manager.domain.record_sets import full_name

from .zone_files import of_rdataset

PATIENCE = 3.0
TRANSFER_PATIENCE = 30.0
AT_ONCE = 32
MOST_NAMES = 20_000
RANDOM_LABELS = 2
_ALGORITHMS = {
    str(name).rstrip("."): name for name in (dns.tsig.HMAC_SHA256, dns.tsig.HMAC_SHA384, dns.tsig.HMAC_SHA512)
}
Place = tuple[str, int]
"""Address and port."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a source has shown."""

    record_sets: tuple[RecordSet, ...]
    wildcard_found: bool = False
    left_out: tuple[str, ...] = ()


async def transfer(place: Place, origin: str, key: Secret | None) -> Found:
    """The whole zone by AXFR, signed by TSIG where there is a key. Raises Permanent, Temporary."""
    zone = dns.zone.Zone(origin, relativize=False)
    ring, name = _keyring(key)
    try:
        query, _ = dns.xfr.make_query(zone, keyring=ring, keyname=name)
        await dns.asyncquery.inbound_xfr(
            place[0], zone, query, port=place[1], timeout=PATIENCE, lifetime=TRANSFER_PATIENCE
        )
    except dns.xfr.TransferError as refused:
        code = dns.rcode.to_text(refused.rcode)
        raise Permanent(
            "TRANSFER_REFUSED", f"{_at(place)} gives the zone not away: {code}", provider="dns"
        ) from refused
    except (dns.exception.DNSException, OSError, EOFError) as error:
        raise Temporary(f"{_at(place)}: {error or type(error).__name__}", provider="dns") from error
    return Found(
        imports.kept((of_rdataset(n, r) for n, node in zone.nodes.items() for r in node), origin),
        _has_star(zone, origin),
    )


async def walk(places: Sequence[Place], origin: str) -> Found:
    """Every name, each naming the next one. Raises Permanent where names cannot be walked along."""
    asker = Asker(places)
    apex = dns.name.from_text(origin)
    name, seen, sets = apex, 0, []
    while True:
        answer = await asker.ask(name, "NSEC")
        rrset = answer.get_rrset(answer.answer, name, dns.rdataclass.IN, dns.rdatatype.NSEC)
        if rrset is None:
            raise Permanent(
                "WALK_IMPOSSIBLE", f"{name} has no NSEC; the zone is unsigned, or hashes its names", provider="dns"
            )
        step = rrset[0]
        types = [t for t in _types(step) if t not in imports.MADE_BY_SIGNING]
        found = await asyncio.gather(*(asker.find(name, kind) for kind in types))
        sets += [r for r in found if r is not None]
        seen += 1
        if step.next == apex:
            return Found(imports.kept(sets, origin), any(r.name.startswith("*.") for r in sets))
        if (
            not step.next.is_subdomain(apex)
            or step.next <= name
            or seen > MOST_NAMES
            or step.next.labels[0][:1] == b"\0"
        ):
            raise Permanent("WALK_IMPOSSIBLE", f"{name} names no real name after it", provider="dns")
        name = step.next


async def probe(places: Sequence[Place], origin: str, extra: Iterable[str]) -> Found:
    """What is found at usual names, and at the hosts that take the mail. Wildcards first: they answer for every name."""
    asker = Asker(places)
    wildcard = await _wildcard(asker, origin)
    names = {full_name(word, origin) for word in imports.words(extra)}
    sets = await _asked(asker, names)
    hosts = {host for host in mail.takers(sets) if host == origin or host.endswith(f".{origin}")}
    sets += await _asked(asker, (hosts - names) | {f"{mail.DANE}.{host}" for host in hosts})
    return Found(imports.kept(imports.without_synthesis(sets, wildcard, origin), origin), bool(wildcard))


class Asker:
    """Asks servers in turn until one answers; a few questions at a time."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = tuple(places)
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def ask(self, name: dns.name.Name, kind: str) -> dns.message.Message:
        """An answer with authority. Raises Temporary."""
        query = dns.message.make_query(name, kind, want_dnssec=True)
        query.flags &= ~dns.flags.RD
        why = "there is no server to ask"
        async with self._turns:
            for place in self._places:
                try:
                    answer, _ = await dns.asyncquery.udp_with_fallback(query, place[0], timeout=PATIENCE, port=place[1])
                except (dns.exception.DNSException, OSError, EOFError) as error:
                    why = f"{_at(place)}: {error or type(error).__name__}"
                    continue
                if answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                    return answer
                why = f"{_at(place)} answers {dns.rcode.to_text(answer.rcode())} for {name}"
        raise Temporary(why, provider="dns")

    async def find(self, name: dns.name.Name, kind: str) -> RecordSet | None:
        """The set of that name and type; None where there is none."""
        answer = await self.ask(name, kind)
        found = answer.get_rrset(answer.answer, name, dns.rdataclass.IN, dns.rdatatype.from_text(kind))
        if found is None and kind == "NS":  # of a cut the server only refers to it
            found = answer.get_rrset(answer.authority, name, dns.rdataclass.IN, dns.rdatatype.NS)
        return None if found is None else of_rdataset(name, found)

    async def all_of(self, text: str) -> list[RecordSet]:
        """Every usual type of a name."""
        name = dns.name.from_text(text)
        first = await self.ask(name, imports.TYPES[0])
        if first.rcode() == dns.rcode.NXDOMAIN:
            return []
        found = await asyncio.gather(*(self.find(name, kind) for kind in imports.TYPES))
        return [r for r in found if r is not None]


async def _asked(asker: Asker, names: Iterable[str]) -> list[RecordSet]:
    found = await asyncio.gather(*(asker.all_of(name) for name in sorted(names)))
    return [r for sets in found for r in sets]


async def _wildcard(asker: Asker, origin: str) -> list[RecordSet]:
    """What names have that nobody can have made; only what all of them have alike is a wildcard's."""
    labels = [f"x{secrets.token_hex(8)}.{origin}" for _ in range(RANDOM_LABELS)]
    first, *others = [await asker.all_of(label) for label in labels]
    alike = [{(r.type, r.records) for r in sets} for sets in others]
    return [r for r in first if all((r.type, r.records) in sets for sets in alike)]


def _types(nsec: object) -> list[str]:
    """Types that an NSEC lists (RFC 4034, section 4.1.2)."""
    found = []
    for window, bitmap in nsec.windows:  # type: ignore[attr-defined]
        for at, octet in enumerate(bitmap):
            found += [dns.rdatatype.to_text(window * 256 + at * 8 + n) for n in range(8) if octet & (0x80 >> n)]
    return [kind for kind in found if not kind.startswith("TYPE")]


def _keyring(secret: Secret | None) -> tuple[Mapping[dns.name.Name, dns.tsig.Key] | None, dns.name.Name | None]:
    """A key from `algorithm:name:base64`, as dig takes it. Raises Permanent, without a word of the secret."""
    if secret is None:
        return None, None
    algorithm, _, rest = secret.reveal().strip().partition(":")
    name, _, text = rest.partition(":")
    try:
        key = dns.tsig.Key(dns.name.from_text(name), base64.b64decode(text, validate=True), _ALGORITHMS[algorithm])
    except (binascii.Error, ValueError, KeyError, dns.exception.DNSException):
        raise Permanent(
            "SECRET_INVALID", "the secret of the transfer is not `hmac-sha256:name:base64`", provider="dns"
        ) from None
    return {key.name: key}, key.name


def _has_star(zone: dns.zone.Zone, origin: str) -> bool:
    return any(str(name).startswith("*.") for name in zone)


def _at(place: Place) -> str:
    return f"{place[0]}:{place[1]}"
