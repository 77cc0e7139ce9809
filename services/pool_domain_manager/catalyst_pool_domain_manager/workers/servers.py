"""What the authoritative servers really answer. "The backend said OK" is no proof; this is."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dns.asyncquery
import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from catalyst_sdk.dns import RecordSet, ZoneState
from catalyst_sdk.dns_rules import KEYS
from catalyst_sdk.resolver import fault

from catalyst_pool_domain_manager.domain import traffic

PATIENCE = 3.0
BUFFER = 1232
"""Octets of an answer by UDP that no network breaks into pieces, which we say that we take (DNS flag day 2020)."""
_NEWER, _UNKNOWN_OPTION = 1, dns.edns.GenericOption(dns.edns.OptionType.make(65001), b"")
"""A version of EDNS that nobody has, and an option of those that stay without a meaning (RFC 6891, section 9)."""
NOERROR, NXDOMAIN, REFUSED = dns.rcode.NOERROR, dns.rcode.NXDOMAIN, dns.rcode.REFUSED


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that a server does not answer as wished. `verdict`: timeout, lame, stale, missing, bogus, present, edns."""

    server: str
    verdict: str
    detail: str


class Servers:
    """Asks servers by name; the hints say where each really listens."""

    def __init__(self, hints: Path | None) -> None:
        self._hints = hints
        self._read: tuple[tuple[int, int], Mapping[str, str]] = ((0, 0), {})

    def names(self) -> tuple[str, ...]:
        """Every server that the hints name. Raises ValueError while they are being written."""
        return tuple(self._known())

    def address(self, server: str) -> tuple[str, int]:
        """Where a server listens. Raises LookupError for one that the hints do not name."""
        known = self._known()
        if server not in known:
            raise LookupError(f"nobody knows where {server} listens; the hints do not name it")
        host, _, port = known[server].rpartition(":")
        return host, int(port)

    def _known(self) -> Mapping[str, str]:
        """The hints as they are now; a sweep asks some thousand times, and they are read again only when they changed."""
        if self._hints is None:
            return {}
        try:
            stat = self._hints.stat()
        except FileNotFoundError:
            return {}
        version = stat.st_mtime_ns, stat.st_size
        if self._read[0] != version:
            self._read = version, json.loads(self._hints.read_text())
        return self._read[1]

    def joined(self, other: "Servers") -> "Servers":
        """Knows where the servers of both listen."""
        return Both(self, other)

    async def zone_faults(self, servers: Sequence[str], zone: ZoneState) -> list[Fault]:
        """What keeps the zone from being delegated: at each server SOA with authority, serial, records, signatures."""
        found = await asyncio.gather(*(self._zone_at(server, zone) for server in servers))
        return [fault for faults in found for fault in faults]

    async def edns_faults(self, servers: Sequence[str], zone: str) -> list[Fault]:
        """Servers that trouble resolvers which use EDNS, as all do (RFC 6891), or that give no answer."""
        found = await asyncio.gather(*(self._edns_at(server, zone) for server in servers))
        return [fault for fault in found if fault]

    async def absent_faults(self, servers: Sequence[str], name: str, *kinds: str) -> list[Fault]:
        """Servers that do not say with authority that `name` has no records of `kinds`."""
        found = await asyncio.gather(*(self._absent_at(s, name, kind) for s in servers for kind in kinds))
        return [fault for fault in found if fault]

    async def cut_faults(self, servers: Sequence[str], child: str) -> list[Fault]:
        """Servers of the parent for which the name of `child` still exists. The DS is the one question about a name that
        is the parent's to answer, also at a server that has the child (RFC 4035, section 3.1.4.1)."""
        found = await asyncio.gather(*(self._absent_at(s, child, "DS", rcodes=(NXDOMAIN,)) for s in servers))
        return [fault for fault in found if fault]

    async def deleted_faults(self, servers: Sequence[str], zone: str) -> list[Fault]:
        """Servers that still have the zone; one that answers for nothing at all there may refuse to."""
        kinds = ("SOA", "DNSKEY")
        asked = (self._absent_at(s, zone, k, rcodes=(NXDOMAIN, NOERROR, REFUSED)) for s in servers for k in kinds)
        return [fault for fault in await asyncio.gather(*asked) if fault]

    async def ds_faults(self, servers: Sequence[str], child: str, wanted: set[str]) -> list[Fault]:
        """Servers of the parent that do not show exactly these DS."""
        found = await asyncio.gather(*(self._ds_at(server, child, wanted) for server in servers))
        return [fault for fault in found if fault]

    async def ttl_at(self, servers: Sequence[str], name: str, kind: str) -> int:
        """Seconds for which an answer of the servers may be held, the longest of them."""
        answers = await asyncio.gather(*(self.ask(server, name, kind) for server in servers))
        found = [rrset(one, name, kind) for one in answers if not isinstance(one, Fault)]
        return max((int(one.ttl) for one in found if one is not None), default=0)

    async def signatures_end(self, servers: Sequence[str], zone: str) -> datetime | None:
        """When the first signature over SOA or DNSKEY ends that any of the servers shows; None where none does."""
        asked = [self.ask(server, zone, kind) for server in servers for kind in ("SOA", "DNSKEY")]
        answers = [one for one in await asyncio.gather(*asked) if not isinstance(one, Fault)]
        ends = [
            int(rrsig.expiration)
            for one in answers
            for r in one.answer
            if r.rdtype == dns.rdatatype.RRSIG
            for rrsig in r
        ]
        return datetime.fromtimestamp(min(ends), UTC) if ends else None

    async def _zone_at(self, server: str, zone: ZoneState) -> list[Fault]:
        soa = await self.ask(server, zone.name, "SOA")
        if isinstance(soa, Fault):
            return [soa]
        found = rrset(soa, zone.name, "SOA")
        if not soa.flags & dns.flags.AA or found is None:
            return [Fault(server, "lame", f"no authority for {zone.name}")]
        if found[0].serial < zone.serial:
            return [Fault(server, "stale", f"serial {found[0].serial}, wanted {zone.serial}")]
        by_tcp = await self.ask(server, zone.name, "SOA", tcp=True)
        if isinstance(by_tcp, Fault) or rrset(by_tcp, zone.name, "SOA") != found:
            return [by_tcp if isinstance(by_tcp, Fault) else Fault(server, "stale", "TCP answers another SOA")]
        keys = await self._keys(server, zone)
        if isinstance(keys, Fault):
            return [keys]
        wanted = [r for r in zone.record_sets if r.type not in ("SOA", KEYS)]
        checked = await asyncio.gather(*(self._record_at(server, r, zone, keys) for r in wanted))
        return [fault for fault in checked if fault]

    async def _edns_at(self, server: str, zone: str) -> Fault | None:
        """Whether answers fit into what is taken, carry EDNS, pass over options, and tell versions apart."""
        plain = dns.message.make_query(zone, "DNSKEY", want_dnssec=True, payload=BUFFER, options=[_UNKNOWN_OPTION])
        newer = dns.message.make_query(zone, "SOA", use_edns=_NEWER, payload=BUFFER)
        answer, refusal = await asyncio.gather(self._by_udp(server, plain), self._by_udp(server, newer))
        if isinstance(answer, Fault) or isinstance(refusal, Fault):
            return answer if isinstance(answer, Fault) else refusal if isinstance(refusal, Fault) else None
        if answer.edns != 0 or answer.rcode() != NOERROR:
            return Fault(server, "edns", f"a question with EDNS is answered {_with_edns(answer)}")
        if (octets := len(answer.wire or b"")) > BUFFER:
            return Fault(server, "edns", f"{octets} octets by UDP, where {BUFFER} are taken")
        if refusal.edns != 0 or refusal.rcode() != dns.rcode.BADVERS:
            return Fault(server, "edns", f"a version of EDNS that it cannot know is answered {_with_edns(refusal)}")
        return None

    async def _record_at(
        self, server: str, wanted: RecordSet, zone: ZoneState, keys: dns.rrset.RRset | None
    ) -> Fault | None:
        if wanted.type == traffic.LUA:
            return await self._made_up_at(server, wanted, zone, keys)
        answer = await self.ask(server, wanted.name, wanted.type)
        if isinstance(answer, Fault):
            return answer
        found = rrset(answer, wanted.name, wanted.type)
        if found is None or {str(r) for r in found} != set(wanted.records):
            return Fault(server, "missing", f"{wanted.name} {wanted.type} is not as wished")
        return unsigned(server, answer, found, zone.name, keys) if keys is not None else None

    async def _made_up_at(
        self, server: str, wanted: RecordSet, zone: ZoneState, keys: dns.rrset.RRset | None
    ) -> Fault | None:
        """Whether the server makes up addresses as it is told: some, and of the members only."""
        for content in wanted.records:
            kind = content.split(" ", 1)[0]
            answer = await self.ask(server, wanted.name, kind)
            if isinstance(answer, Fault):
                return answer
            found = rrset(answer, wanted.name, kind)
            if found is None or not {str(r) for r in found} <= traffic.members_of(content):
                return Fault(server, "missing", f"{wanted.name} {kind} is not chosen as wished")
            if keys is not None and (fault := unsigned(server, answer, found, zone.name, keys)):
                return fault
        return None

    async def _keys(self, server: str, zone: ZoneState) -> dns.rrset.RRset | Fault | None:
        if not zone.signed:
            return None
        answer = await self.ask(server, zone.name, "DNSKEY")
        if isinstance(answer, Fault):
            return answer
        found = rrset(answer, zone.name, "DNSKEY")
        others = zone.find(zone.name, KEYS)
        wanted = {key.dnskey for key in zone.keys} | set(others.records if others else ())
        if found is None or {str(r) for r in found} != wanted:
            return Fault(server, "bogus", f"the DNSKEY of {zone.name} is not the one that signs it")
        return unsigned(server, answer, found, zone.name, found) or found

    async def _ds_at(self, server: str, child: str, wanted: set[str]) -> Fault | None:
        answer = await self.ask(server, child, "DS")
        if isinstance(answer, Fault):
            return answer
        found = rrset(answer, child, "DS")
        shown = {str(r) for r in found} if found else set()
        return None if shown == wanted else Fault(server, "missing", f"the DS of {child} is not as it should be")

    async def _absent_at(
        self, server: str, name: str, kind: str, *, rcodes: Sequence[dns.rcode.Rcode] = (NXDOMAIN, NOERROR)
    ) -> Fault | None:
        answer = await self.ask(server, name, kind)
        if isinstance(answer, Fault):
            return answer
        # No answer is not the answer that there is none.
        if answer.rcode() not in rcodes or not (answer.flags & dns.flags.AA or answer.rcode() == REFUSED):
            return Fault(server, "lame", f"{name} {kind}: {dns.rcode.to_text(answer.rcode())}")
        return Fault(server, "present", f"{name} {kind} is still answered") if rrset(answer, name, kind) else None

    async def _by_udp(self, server: str, query: dns.message.Message) -> dns.message.Message | Fault:
        """One question as it is, whose answer may be cut. One lost packet is no trouble of a server."""
        query.flags &= ~dns.flags.RD
        why = ""
        for _ in range(2):
            try:
                host, port = self.address(server)
                return await dns.asyncquery.udp(query, host, timeout=PATIENCE, port=port)
            except (dns.exception.DNSException, OSError, LookupError, ValueError) as error:
                why = str(error) or type(error).__name__
        return Fault(server, "timeout", why)

    async def ask(self, server: str, name: str, kind: str, *, tcp: bool = False) -> dns.message.Message | Fault:
        """One question to one server, with its DNSSEC records."""
        query = dns.message.make_query(name, kind, want_dnssec=True)
        query.flags &= ~dns.flags.RD
        try:
            host, port = self.address(server)
            if tcp:
                return await dns.asyncquery.tcp(query, host, timeout=PATIENCE, port=port)
            answer, _ = await dns.asyncquery.udp_with_fallback(query, host, timeout=PATIENCE, port=port)
        # ValueError: the hints were read while somebody wrote them.
        except (dns.exception.DNSException, OSError, LookupError, EOFError, ValueError) as error:
            return Fault(server, "timeout", str(error) or type(error).__name__)
        return answer


class Both(Servers):
    """Servers of two kinds; the first one's word goes."""

    def __init__(self, one: Servers, other: Servers) -> None:
        super().__init__(None)
        self._two = one, other

    def address(self, server: str) -> tuple[str, int]:
        """Where a server listens. Raises LookupError."""
        try:
            return self._two[0].address(server)
        except LookupError:
            return self._two[1].address(server)


def _with_edns(answer: dns.message.Message) -> str:
    edns = f"with EDNS {answer.edns}" if answer.edns >= 0 else "without EDNS"
    return f"{dns.rcode.to_text(answer.rcode())} {edns}"


def rrset(answer: dns.message.Message, name: str, kind: str) -> dns.rrset.RRset | None:
    """The record set of that name and type in an answer."""
    return answer.get_rrset(answer.answer, dns.name.from_text(name), dns.rdataclass.IN, dns.rdatatype.from_text(kind))


def unsigned(
    server: str, answer: dns.message.Message, found: dns.rrset.RRset, zone: str, keys: dns.rrset.RRset
) -> Fault | None:
    """What is wrong with the signature of a record set that was found in an answer."""
    why = fault(answer.answer, found, {dns.name.from_text(zone): keys})
    return Fault(server, "bogus", why) if why else None
