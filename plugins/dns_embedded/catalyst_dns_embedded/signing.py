"""The served form of a zone: signed with one CSK (algorithm 13, RFC 6605) and an NSEC chain, by dnspython."""

import bisect
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import dns.dnssec
import dns.name
import dns.node
import dns.rdata
import dns.rdataset
import dns.rdatatype
import dns.zone
from catalyst_sdk.dns import ZoneKey
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from dns.dnssectypes import Algorithm
from dns.rdtypes.ANY.DNSKEY import DNSKEY

from .zones import Zone

ALGORITHM = Algorithm.ECDSAP256SHA256
VALID_FOR = timedelta(days=21)
SIGN_AGAIN = timedelta(days=7)
"""A zone that did not change for so long is signed anew."""
_EARLIER = timedelta(hours=1)
"""Signatures begin this long ago, for resolvers whose clocks are late."""


@dataclass
class Served:
    """What queries are answered from."""

    zone: Zone
    tree: dns.zone.Zone
    signed_at: datetime
    chain: list[dns.name.Name] = field(default_factory=list)
    """Names that own an NSEC record, in canonical order."""

    @property
    def origin(self) -> dns.name.Name:
        return self.zone.origin

    def covering(self, name: dns.name.Name) -> dns.name.Name | None:
        """The owner of the NSEC record that proves that `name` is not there (or that matches it)."""
        if not self.chain:
            return None
        return self.chain[bisect.bisect_right(self.chain, name) - 1]


def new_key() -> bytes:
    """A fresh private key as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    kind, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, kind, plain)


def serve(zone: Zone, now: datetime | None = None) -> Served:
    """Build, and sign where the zone has a key."""
    now = now or datetime.now(UTC)
    tree = dns.zone.Zone(zone.origin, relativize=False)
    with tree.writer() as txn:
        for r in zone.records.values():
            rdatas = [dns.rdata.from_text("IN", r.type, text, relativize=False) for text in r.records]
            txn.add(dns.name.from_text(r.name), dns.rdataset.from_rdata_list(r.ttl, rdatas))
    if not zone.key:
        return Served(zone, tree, now)
    private, public = _load(zone.key), dnskey(zone)
    ttl = zone.records[zone.name, "SOA"].ttl
    with tree.writer() as txn:
        keys = dns.rdataset.from_rdata(ttl, public)
        txn.add(zone.origin, dns.dnssec.dnskey_rdataset_to_cds_rdataset(zone.origin, keys, "SHA256", zone.origin))
        txn.add(zone.origin, dns.dnssec.dnskey_rdataset_to_cdnskey_rdataset(keys))
        dns.dnssec.sign_zone(
            tree, txn, keys=[(private, public)], dnskey_ttl=ttl, inception=now - _EARLIER, expiration=now + VALID_FOR
        )
    chain = sorted(
        name for name, node in tree.nodes.items() if node.get_rdataset(dns.rdataclass.IN, dns.rdatatype.NSEC)
    )
    return Served(zone, tree, now, chain)


def dnskey(zone: Zone) -> DNSKEY:
    """The public half, with the flags of a key that signs everything (zone key and secure entry point)."""
    public = _load(zone.key).public_key()
    return dns.dnssec.make_dnskey(public, ALGORITHM, flags=257)


def keys(zone: Zone) -> tuple[ZoneKey, ...]:
    """Public facts about the key, and the DS that the parent is to show (digest 2, RFC 4509)."""
    if not zone.key:
        return ()
    public = dnskey(zone)
    ds = dns.dnssec.make_ds(zone.origin, public, "SHA256")
    return (ZoneKey(dns.dnssec.key_id(public), int(ALGORITHM), True, str(public), (str(ds),)),)


def _load(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key
