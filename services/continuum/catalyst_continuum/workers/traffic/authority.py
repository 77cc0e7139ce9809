"""One authoritative server of a slot's names: what it has, and one conditional update of it (RFC 2136, RFC 8945)."""

import asyncio
import time
from dataclasses import dataclass
from enum import StrEnum

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update

from catalyst_continuum.domain.traffic import ADDRESS_KINDS, LUA, Seen, Update

MARK_TTL = 0
"""Nobody is to keep a mark: it is read at the authorities alone."""
_LUA = dns.rdatatype.RdataType.make(65402)
"""PowerDNS' private type."""
_UNMET = (dns.rcode.NXRRSET, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.YXDOMAIN)
FAULTS = (dns.exception.DNSException, OSError, EOFError, ValueError)
"""What a server, or the way to it, may raise in place of an answer."""


class Silent(Exception):
    """The server gave no answer that can be used; the message says what came."""


class Withheld(Silent):
    """The server answers that it cannot answer: it may know that it was away, and wait to be told what is so now."""


class Written(StrEnum):
    """What became of an update."""

    APPLIED = "applied"
    """It is on the server's disk."""
    MISMATCH = "mismatch"
    """Something else stands there; nothing was changed."""
    UNKNOWN = "unknown"
    """It may have been applied, or may be yet."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a server says of an update that changes nothing.

    takes    whether it takes updates of the zone by this key; None: it does not say
    offset   seconds by which its clock is ahead of ours, by the time in its signature
    """

    takes: bool | None
    offset: float | None = None


@dataclass(frozen=True, slots=True)
class Authority:
    """One server.

    key       that may update the zone
    timeout   seconds for one question; an update has as long
    """

    name: str
    host: str
    port: int
    zone: dns.name.Name
    key: dns.tsig.Key
    timeout: float = 1.0

    async def look(self, name: str) -> Seen:
        """What it has at `name`. Raises Silent."""
        host = dns.name.from_text(name)
        marks, *addresses = await asyncio.gather(
            self._rrset(mark_name(host), "TXT"), *(self._address(host, kind) for kind in ADDRESS_KINDS)
        )
        found = {kind: rrset for kind, rrset in zip(ADDRESS_KINDS, addresses, strict=True) if rrset}
        return Seen(
            tuple(sorted(b"".join(rdata.strings).decode("ascii", "replace") for rdata in marks or ())),
            {kind: tuple(sorted(str(rdata) for rdata in rrset)) for kind, rrset in found.items()},
            min((rrset.ttl for rrset in found.values()), default=None),
        )

    async def serial(self) -> int:
        """Serial of the zone's SOA. Raises Silent."""
        rrset = await self._rrset(self.zone, "SOA")
        if not rrset:
            raise Silent(f"{self.name} has no SOA of {self.zone}")
        return int(rrset[0].serial)

    async def readiness(self) -> Readiness:
        """Whether it would take an update, asked by one that has a prerequisite and no change."""
        message = dns.update.UpdateMessage(self.zone, keyring=self.key)
        message.present(self.zone, "SOA")
        try:
            answer = await dns.asyncquery.tcp(message, self.host, timeout=self.timeout, port=self.port)
        except dns.tsig.PeerError:
            return Readiness(takes=False)  # it does not know the key, or its clock and ours are too far apart
        except FAULTS:
            return Readiness(takes=None)
        offset = answer.tsig[0].time_signed - time.time() if answer.tsig else None
        if answer.rcode() == dns.rcode.NOERROR:
            return Readiness(takes=True, offset=offset)
        refused = answer.rcode() in (dns.rcode.REFUSED, dns.rcode.NOTAUTH, dns.rcode.NOTIMP)
        return Readiness(takes=False if refused else None, offset=offset)

    async def write(self, name: str, update: Update) -> Written:
        """Mark and addresses in one message, all or nothing."""
        try:
            answer = await self._by_tcp(self._message(dns.name.from_text(name), update))
        except Silent:
            return Written.UNKNOWN
        if answer.rcode() == dns.rcode.NOERROR:
            return Written.APPLIED
        return Written.MISMATCH if answer.rcode() in _UNMET else Written.UNKNOWN

    def _message(self, host: dns.name.Name, update: Update) -> dns.update.UpdateMessage:
        message = dns.update.UpdateMessage(self.zone, keyring=self.key)
        marker = mark_name(host)
        if update.only_if:
            message.present(marker, "TXT", *map(_quoted, update.only_if))
        elif update.only_if is not None:
            message.absent(marker, "TXT")
        # Beside an alias an address is left out without a word (RFC 2136 section 3.4.2.2): the mark would tell a lie.
        message.absent(host, "CNAME")
        message.replace(marker, MARK_TTL, "TXT", _quoted(str(update.mark)))
        for kind in (*update.wanted.records, *update.removed):
            message.delete(host, _type(kind))
        for kind, lines in update.wanted.records.items():
            for line in lines:
                message.add(host, update.wanted.ttl, _rdata(kind, line))
        return message

    async def _address(self, name: dns.name.Name, kind: str) -> dns.rrset.RRset | None:
        """What is withheld is not there for anybody, and is there once the mark is written."""
        try:
            return await self._rrset(name, kind)
        except Withheld:
            return None

    async def _rrset(self, name: dns.name.Name, kind: str) -> dns.rrset.RRset | None:
        query = dns.message.make_query(name, kind)
        query.flags &= ~dns.flags.RD
        answer = await self._asked(query)
        if answer.rcode() == dns.rcode.SERVFAIL:
            raise Withheld(f"{self.name} cannot answer for {name}")
        if not answer.flags & dns.flags.AA or answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise Silent(f"{self.name} answers without authority ({dns.rcode.to_text(answer.rcode())})")
        wanted = dns.rdatatype.from_text(kind)
        return next((one for one in answer.answer if one.name == name and one.rdtype == wanted), None)

    async def _asked(self, query: dns.message.Message) -> dns.message.Message:
        """By UDP with half of the patience; where that brings nothing, by TCP."""
        try:
            return await dns.asyncquery.udp(
                query, self.host, timeout=self.timeout / 2, port=self.port, raise_on_truncation=True
            )
        except FAULTS:
            return await self._by_tcp(query)

    async def _by_tcp(self, message: dns.message.Message) -> dns.message.Message:
        try:
            return await dns.asyncquery.tcp(message, self.host, timeout=self.timeout, port=self.port)
        except FAULTS as error:
            raise Silent(f"{self.name} does not answer: {type(error).__name__}") from error


def mark_name(host: dns.name.Name) -> dns.name.Name:
    """Where the mark of a name stands: beside it, in the same zone, or it could not move in the same message."""
    return dns.name.Name(("_continuum", *host.labels))


def _type(kind: str) -> dns.rdatatype.RdataType:
    return _LUA if kind == LUA else dns.rdatatype.from_text(kind)


def _rdata(kind: str, line: str) -> dns.rdata.Rdata:
    if kind != LUA:
        return dns.rdata.from_text(dns.rdataclass.IN, kind, line)
    # The type of what the line computes, then the line as character-strings of at most 255 octets (RFC 3597 for the rest).
    computed, _, code = line.partition(" ")
    octets = code.encode("ascii")
    pieces = [octets[at : at + 255] for at in range(0, len(octets), 255)]
    wire = dns.rdatatype.from_text(computed).to_bytes(2, "big") + b"".join(bytes([len(p)]) + p for p in pieces)
    return dns.rdata.from_wire(dns.rdataclass.IN, _LUA, wire, 0, len(wire))


def _quoted(text: str) -> str:
    return f'"{text}"'
