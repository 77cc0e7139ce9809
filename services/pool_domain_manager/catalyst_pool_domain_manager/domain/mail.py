"""What mail depends on in a zone: its own records, and the hosts of the zone that take it."""

import re
from collections.abc import Collection, Iterable

from catalyst_sdk.dns import RecordSet

_ADDRESSES = ("A", "AAAA", "CNAME")
_TYPES = {
    "_dmarc": ("TXT",),
    "_mta-sts": ("TXT",),
    "mta-sts": _ADDRESSES,
    "_smtp._tls": ("TXT",),
    "autodiscover": _ADDRESSES,
    "autoconfig": _ADDRESSES,
    "_autodiscover._tcp": ("SRV",),
    "_imap._tcp": ("SRV",),
    "_imaps._tcp": ("SRV",),
    "_submission._tcp": ("SRV",),
    "_submissions._tcp": ("SRV",),
}
_DKIM = re.compile(r".+\._domainkey")
DANE = "_25._tcp"
"""Where a host that takes mail says by which certificate it is known (RFC 7672)."""


def takers(sets: Iterable[RecordSet]) -> frozenset[str]:
    """Hosts that MX records name."""
    return frozenset(text.split()[-1].lower() for r in sets if r.type == "MX" for text in r.records)


def is_mail(origin: str, r: RecordSet, hosts: Collection[str] = ()) -> bool:
    """Whether mail depends on the set: MX, SPF, DKIM, DMARC, MTA-STS, TLS reports, the clients' discovery, and of a host that
    takes mail its addresses and what it says of its certificate.

    hosts   those that take it, as `takers` finds them
    """
    if r.type == "MX" or (r.name in hosts and r.type in _ADDRESSES):
        return True
    if r.type == "TLSA":
        return r.name.removeprefix(f"{DANE}.") in hosts
    if r.name == origin:
        return r.type == "TXT" and any(text.lower().startswith('"v=spf1') for text in r.records)
    label = r.name.removesuffix(f".{origin}")
    return r.type in _TYPES.get(label, ()) or (r.type in ("TXT", "CNAME") and bool(_DKIM.fullmatch(label)))
