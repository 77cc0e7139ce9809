"""One question to one server, and whether the signatures of its answer hold."""

from collections.abc import Sequence

import dns.asyncquery
import dns.dnssec
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
from dns.rdatatype import RdataType

Keys = dict[dns.name.Name, dns.rrset.RRset]
"""The trusted DNSKEY set of one zone, by the zone's name."""


class Bogus(Exception):
    """A link of the chain that does not hold."""


async def ask(address: str, name: dns.name.Name, kind: RdataType, patience: float) -> tuple[dns.message.Message, bool]:
    """One question, by TCP where UDP does not suffice (the second value). Raises OSError, DNSException, EOFError."""
    host, _, port = address.rpartition(":")
    query = dns.message.make_query(name, kind, want_dnssec=True, payload=1232)
    query.flags = (query.flags & ~dns.flags.RD) | dns.flags.CD
    return await dns.asyncquery.udp_with_fallback(query, host.strip("[]"), timeout=patience, port=int(port))


def fault(section: Sequence[dns.rrset.RRset], rrset: dns.rrset.RRset, keys: Keys) -> str:
    """Why the signatures in `section` over `rrset` do not hold; empty where one does."""
    signatures = pick(section, rrset.name, RdataType.RRSIG, covers=rrset.rdtype)
    if signatures is None:
        return f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)} is not signed"
    try:
        dns.dnssec.validate(*_as_signed(rrset, signatures), dict(keys))
    except (dns.exception.DNSException, ValueError) as error:
        return f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)}: {error}"
    return ""


def _as_signed(rrset: dns.rrset.RRset, signatures: dns.rrset.RRset) -> tuple[dns.rrset.RRset, dns.rrset.RRset]:
    """Both under the name of the wildcard that made them (RFC 4035 section 5.3.2).

    dnspython does this itself, except for a name that begins with `*` and was made by a wildcard further up.
    """
    labels = signatures[0].labels
    if not rrset.name.is_wild() or labels >= len(rrset.name) - 2:
        return rrset, signatures
    source = dns.name.from_text("*", rrset.name.split(labels + 1)[1])
    return dns.rrset.from_rdata_list(source, rrset.ttl, list(rrset)), dns.rrset.from_rdata_list(
        source, rrset.ttl, list(signatures)
    )


def trusted_keys(answer: dns.message.Message, zone: dns.name.Name, known: dns.rrset.RRset) -> Keys:
    """The zone's DNSKEY set, signed by a key that `known` (DS, or DNSKEY of an anchor) names. Raises Bogus."""
    found = pick(answer.answer, zone, RdataType.DNSKEY)
    if found is None:
        raise Bogus(f"{zone} shows no DNSKEY, and should have one")
    named = [key for key in found if _is_named(key, zone, known)]
    if not named:
        raise Bogus(f"no DNSKEY of {zone} is the one that its {dns.rdatatype.to_text(known.rdtype)} names")
    if why := fault(answer.answer, found, {zone: dns.rrset.from_rdata_list(zone, found.ttl, named)}):
        raise Bogus(why)
    return {zone: found}


def pick(
    section: Sequence[dns.rrset.RRset], name: dns.name.Name, kind: RdataType, covers: RdataType = RdataType.NONE
) -> dns.rrset.RRset | None:
    """The record set of a name and type in a section of an answer."""
    return next((r for r in section if r.name == name and r.rdtype == kind and r.covers == covers), None)


def _is_named(key: object, zone: dns.name.Name, known: dns.rrset.RRset) -> bool:
    if known.rdtype == RdataType.DNSKEY:
        return key in known
    return any(dns.dnssec.make_ds(zone, key, ds.digest_type, validating=True) == ds for ds in known)  # type: ignore[arg-type]
