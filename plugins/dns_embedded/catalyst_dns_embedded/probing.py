"""Asking every authoritative server of a zone: what each one really answers. "The backend said OK" is no proof."""

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset
import dns.serial
from catalyst_sdk.dns import RecordSet
from catalyst_sdk.resolver import Bogus, Keys, ask, fault, trusted_keys
from dns.rdatatype import RdataType

_REFUSALS = (dns.rcode.REFUSED, dns.rcode.NOTAUTH)


class Verdict(StrEnum):
    """What is to be thought of a server."""

    OK = "ok"
    STALE = "stale"
    """Another server, or the wish, is newer."""
    LAME = "lame"
    """It answers, without authority for the zone."""
    REFUSED = "refused"
    TIMEOUT = "timeout"
    BOGUS = "bogus"
    """What it shows does not validate from the DS."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What one server answered.

    records      of the watched record set; empty where it has none
    rrset_hash   the same for equal sets, whatever their order; empty where there is none
    """

    server: str
    address: str
    verdict: Verdict
    detail: str = ""
    transport: str = ""
    rcode: str = ""
    aa: bool = False
    serial: int | None = None
    records: tuple[str, ...] = ()
    rrset_hash: str = ""
    remaining_ttl: int | None = None
    rtt_ms: float = 0.0


async def probe_servers(
    zone: str,
    servers: Mapping[str, str],
    *,
    watched: RecordSet | None = None,
    serial: int | None = None,
    ds: Sequence[str] = (),
    patience: float = 5.0,
    in_flight: int = 64,
) -> tuple[Probe, ...]:
    """Ask each of `servers` (name to `address:port`), by TCP where UDP does not suffice; the probes in the same order.

    watched   a record set that must be answered just so; with no records, that must be absent
    serial    the least serial that is new enough
    ds        the zone's DS; where given, DNSKEY and all signatures must validate from it
    patience  seconds for one question
    """
    turns = asyncio.Semaphore(in_flight)

    async def one(server: str, address: str) -> Probe:
        question = _Question(dns.name.from_text(zone), address, patience)
        async with turns:
            try:
                async with asyncio.timeout(4 * patience):
                    return await question.probe(server, watched, serial, ds)
            except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
                return Probe(server, address, Verdict.TIMEOUT, f"{type(error).__name__}: no answer", question.transport)

    return tuple(await asyncio.gather(*(one(server, address) for server, address in servers.items())))


@dataclass
class _Question:
    zone: dns.name.Name
    address: str
    patience: float
    transport: str = "udp"
    rtt_ms: float = 0.0

    async def probe(self, server: str, watched: RecordSet | None, serial: int | None, ds: Sequence[str]) -> Probe:
        answer = await self._ask(self.zone, RdataType.SOA)
        soa = next((r for r in answer.answer if r.rdtype == RdataType.SOA and r.name == self.zone), None)
        has_authority = bool(answer.flags & dns.flags.AA)
        base = Probe(
            server, self.address, Verdict.OK, "", self.transport, dns.rcode.to_text(answer.rcode()), has_authority,
            soa[0].serial if soa else None, remaining_ttl=soa.ttl if soa else None, rtt_ms=self.rtt_ms,
        )  # fmt: skip
        if answer.rcode() in _REFUSALS:
            return _judged(base, Verdict.REFUSED, f"{base.rcode} for {self.zone}")
        if not has_authority or soa is None:
            return _judged(base, Verdict.LAME, f"no authority for {self.zone} ({base.rcode})")
        if serial is not None and dns.serial.Serial(soa[0].serial) < serial:
            return _judged(base, Verdict.STALE, f"serial {soa[0].serial}, wanted {serial}")
        keys = None
        try:
            if ds:
                keys = trusted_keys(await self._ask(self.zone, RdataType.DNSKEY), self.zone, self._ds_set(ds))
                _must_hold(answer, soa, keys)
            return await self._watch(base, watched, keys) if watched else base
        except Bogus as error:
            return _judged(base, Verdict.BOGUS, str(error))

    async def _watch(self, base: Probe, watched: RecordSet, keys: Keys | None) -> Probe:
        name, kind = dns.name.from_text(watched.name), dns.rdatatype.from_text(watched.type)
        answer = await self._ask(name, kind)
        found = next((r for r in answer.answer if r.rdtype == kind and r.name == name), None)
        if found is not None and keys is not None:
            _must_hold(answer, found, keys)
        wanted = {dns.rdata.from_text("IN", kind, text) for text in watched.records}
        records = tuple(sorted(str(rdata) for rdata in found or ()))
        seen = replace(
            base, transport=self.transport, rcode=dns.rcode.to_text(answer.rcode()), records=records,
            rrset_hash=_hash(records), remaining_ttl=None if found is None else found.ttl, rtt_ms=self.rtt_ms,
        )  # fmt: skip
        if set(found or ()) != wanted:
            return _judged(seen, Verdict.STALE, f"{watched.name} {watched.type} is not as wished")
        return seen

    async def _ask(self, name: dns.name.Name, kind: RdataType) -> dns.message.Message:
        began = time.monotonic()
        answer, by_tcp = await ask(self.address, name, kind, self.patience)
        self.transport = "tcp" if by_tcp else "udp"
        self.rtt_ms = (time.monotonic() - began) * 1000
        return answer

    def _ds_set(self, ds: Sequence[str]) -> dns.rrset.RRset:
        return dns.rrset.from_text_list(self.zone, 0, "IN", "DS", list(ds))


def _must_hold(answer: dns.message.Message, rrset: dns.rrset.RRset, keys: Keys) -> None:
    if why := fault(answer.answer, rrset, keys):
        raise Bogus(why)


def _judged(probe: Probe, verdict: Verdict, detail: str) -> Probe:
    return replace(probe, verdict=verdict, detail=detail)


def _hash(records: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(records).encode()).hexdigest()[:16] if records else ""
