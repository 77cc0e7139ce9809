"""One question to one server, and whether the signatures of its answer hold."""

import json
from collections.abc import Sequence
from pathlib import Path

import dns.asyncquery
import dns.dnssec
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
import dns.zonefile
from dns.dnssectypes import Algorithm, DSDigest
from dns.rdatatype import RdataType

PATIENCE = 3.0
"""Seconds for one question at one server."""
PAYLOAD = 1232
"""Octets of an answer that no path on the way takes apart (DNS flag day 2020); larger ones come by TCP."""
FAULTS = (dns.exception.DNSException, OSError, EOFError, ValueError)
"""What a server, or the way to it, may raise in place of an answer."""
_ALGORITHMS = frozenset(
    {
        Algorithm.RSASHA1,
        Algorithm.RSASHA1NSEC3SHA1,
        Algorithm.RSASHA256,
        Algorithm.RSASHA512,
        Algorithm.ECDSAP256SHA256,
        Algorithm.ECDSAP384SHA384,
        Algorithm.ED25519,
        Algorithm.ED448,
    }
)  # fmt: skip - reads as a list
_DIGESTS = frozenset({DSDigest.SHA1, DSDigest.SHA256, DSDigest.SHA384})
Keys = dict[dns.name.Name, dns.rrset.RRset]
"""The trusted DNSKEY set of one zone, by the zone's name."""


class Bogus(Exception):
    """A link of the chain that does not hold."""


def read_hints(path: Path) -> dict[str, str]:
    """Server name (lower case, final dot) to `address:port`, from a file that may be being written: then ValueError."""
    known = json.loads(path.read_text(encoding="utf-8"))
    return {f"{str(server).lower().rstrip('.')}.": str(address) for server, address in known.items()}


def read_anchor(path: Path) -> dns.rrset.RRset:
    """A trust anchor: DNSKEY or DS records of the root in presentation form."""
    return dns.zonefile.read_rrsets(path.read_text(encoding="utf-8"), rdclass=None, default_ttl=0)[0]


async def ask(
    address: str, name: dns.name.Name, kind: RdataType, patience: float, *, recursive: bool = False
) -> tuple[dns.message.Message, bool]:
    """One question, by TCP where UDP does not suffice (the second value). Raises one of `FAULTS`.

    recursive  of a resolver, which is to say what it knows; else of a server, which is to say what it has
    """
    host, _, port = address.rpartition(":")
    query = dns.message.make_query(name, kind, want_dnssec=True, payload=PAYLOAD)
    if not recursive:
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


def signed_labels(section: Sequence[dns.rrset.RRset], rrset: dns.rrset.RRset) -> int:
    """Labels of the name that was signed, by the least of its signatures; fewer than the name has: a wildcard answered."""
    signatures = pick(section, rrset.name, RdataType.RRSIG, covers=rrset.rdtype)
    return min(int(signature.labels) for signature in signatures or ())


def own_labels(name: dns.name.Name) -> int:
    """What the signature of a name that is in its zone counts (RFC 4034, section 3.1.3)."""
    return len(name.labels) - 1 - name.is_wild()


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


def usable(known: dns.rrset.RRset) -> list[object]:
    """The DS records that can be followed; with none the zone counts as unsigned (RFC 4035, section 5.2). SHA-1 does not
    count beside a better digest (RFC 4509, section 3)."""
    if known.rdtype == RdataType.DNSKEY:
        return list(known)
    found = [ds for ds in known if ds.algorithm in _ALGORITHMS and ds.digest_type in _DIGESTS]
    better = [ds for ds in found if ds.digest_type != DSDigest.SHA1]
    return better or found


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
    return any(
        dns.dnssec.make_ds(zone, key, ds.digest_type, validating=True) == ds  # type: ignore[arg-type, attr-defined]
        for ds in usable(known)
    )
