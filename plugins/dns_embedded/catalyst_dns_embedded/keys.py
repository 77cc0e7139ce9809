"""Keys: one CSK per zone, ECDSA on P-256 with SHA-256 (algorithm 13, RFC 6605)."""

import dns.dnssec
import dns.name
import dns.rdata
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from dns.dnssectypes import Algorithm
from dns.rdtypes.ANY.DNSKEY import DNSKEY

from .zones import ALGORITHM, Csk

_ZONE_KEY_AND_ENTRY_POINT = 257


def new_key(zone: str) -> Csk:
    """A fresh key for a zone; it signs at once."""
    key = ec.generate_private_key(ec.SECP256R1())
    kind, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    public = dns.dnssec.make_dnskey(key.public_key(), Algorithm(ALGORITHM), flags=_ZONE_KEY_AND_ENTRY_POINT)
    return Csk(
        private=key.private_bytes(serialization.Encoding.PEM, kind, plain),
        public=str(public),
        tag=dns.dnssec.key_id(public),
        ds=str(dns.dnssec.make_ds(dns.name.from_text(zone), public, "SHA256")),
    )


def private_half(key: Csk) -> ec.EllipticCurvePrivateKey:
    """The key that signs."""
    loaded = serialization.load_pem_private_key(key.private, None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    return loaded


def dnskey(key: Csk) -> DNSKEY:
    """The key that is shown."""
    shown = dns.rdata.from_text("IN", "DNSKEY", key.public)
    assert isinstance(shown, DNSKEY)
    return shown
