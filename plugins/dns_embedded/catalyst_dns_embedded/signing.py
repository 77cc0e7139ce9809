"""Signing (RFC 4034, 4035) by dnspython's `sign_zone`, with an NSEC chain.

A signature is made once and kept as long as what it covers stays, so a change costs the signatures of what it changed.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dns.dnssec
import dns.rrset
import dns.transaction
import dns.zone
from dns.rdatatype import RdataType

from . import keys
from .served import Served, Signatures, unsigned
from .zones import Csk, Zone

VALID_FOR = timedelta(days=21)
RENEWED_AFTER = timedelta(days=7)
"""A signature of this age is made anew at the next change; a zone without changes is changed for that."""
_ENTRY_POINT = 1
_EARLIER = timedelta(hours=1)
"""Signatures begin this long ago, for resolvers whose clocks are late."""


def utc_now() -> datetime:
    """The clock of this process."""
    return datetime.now(UTC)


class ZoneSigner:
    """Signs by the clock it was given."""

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock

    def new_key(self, zone: str) -> Csk:
        """A fresh key for a zone."""
        return keys.new_key(zone)

    def sign(self, zone: Zone, before: Served | None = None) -> Served:
        """Build and sign. Signatures that `before` has and that still hold are taken from there."""
        served = unsigned(zone, before)
        _show_keys(served)
        tree = dns.zone.Zone(served.origin, relativize=False)
        with tree.writer() as txn:
            for sets in served.sets.values():
                for rrset in sets.values():
                    txn.replace(rrset)
        pen = _Pen(served, before if before and before.zone.keys == zone.keys else None, self._clock())
        dns.dnssec.sign_zone(tree, add_dnskey=False, rrset_signer=pen.sign)
        served.signatures = pen.signatures
        served.chain = sorted(name for name, sets in served.sets.items() if RdataType.NSEC in sets)
        return served

    def is_due(self, served: Served) -> bool:
        """Whether a signature of the zone has reached the age at which it is renewed."""
        oldest = _oldest(self._clock())
        return any(rrsig[0].inception < oldest for rrsig in served.signatures.values())


def _show_keys(served: Served) -> None:
    """DNSKEY, and for the parent CDS and CDNSKEY (RFC 7344), of every key that may come to sign, here or at another host."""
    origin, ttl = served.origin, served.zone.ttl
    texts = [*(key.public for key in served.zone.keys), *served.zone.others_keys]
    shown = dns.rrset.from_text_list(origin, ttl, "IN", "DNSKEY", texts)
    if served.zone.renounced:  # the sentinels of RFC 8078, section 4
        sentinels = {RdataType.CDS: "0 0 0 00", RdataType.CDNSKEY: "0 3 0 AA=="}
        found = {kind: dns.rrset.from_text(origin, ttl, "IN", kind, text) for kind, text in sentinels.items()}
        served.sets[origin] |= {RdataType.DNSKEY: shown, **found}
        return
    # Those that a parent may name: keys of others need not all be entry points.
    entries = [key for key in shown if key.flags & _ENTRY_POINT]
    cds = [dns.dnssec.make_cds(origin, key, "SHA256", origin) for key in entries]
    # Not by dnspython's conversion (2.9): what that makes still calls itself a DNSKEY.
    cdnskey = dns.rrset.from_text_list(origin, ttl, "IN", "CDNSKEY", [str(key) for key in entries])
    served.sets[origin] |= {
        RdataType.DNSKEY: shown,
        RdataType.CDS: dns.rrset.from_rdata_list(origin, ttl, cds),
        RdataType.CDNSKEY: cdnskey,
    }


def _oldest(now: datetime) -> int:
    return int((now - _EARLIER - RENEWED_AFTER).timestamp())


class _Pen:
    """Signs the record sets that `sign_zone` hands over, which are those that may be signed, and the chain's NSEC."""

    def __init__(self, served: Served, before: Served | None, now: datetime) -> None:
        self._served = served
        self._before = before
        self._oldest = _oldest(now)
        self._from, self._until = now - _EARLIER, now + VALID_FOR
        self._keys = [(keys.private_half(key), keys.dnskey(key)) for key in served.zone.keys if key.active]
        self.signatures: Signatures = {}

    def sign(self, txn: dns.transaction.Transaction, rrset: dns.rrset.RRset) -> None:
        if rrset.rdtype == RdataType.NSEC:
            self._served.sets[rrset.name][RdataType.NSEC] = rrset
        self.signatures[rrset.name, rrset.rdtype] = self._kept(rrset) or self._made(rrset)

    def _kept(self, rrset: dns.rrset.RRset) -> dns.rrset.RRset | None:
        if self._before is None:
            return None
        known = self._before.find(rrset.name, rrset.rdtype)
        rrsig = self._before.signatures.get((rrset.name, rrset.rdtype))
        if known is None or rrsig is None or known.ttl != rrset.ttl or rrsig[0].inception < self._oldest:
            return None
        return rrsig if set(known) == set(rrset) else None

    def _made(self, rrset: dns.rrset.RRset) -> dns.rrset.RRset:
        made = [
            dns.dnssec.sign(
                rrset, private, self._served.origin, public, inception=self._from, expiration=self._until
            )
            for private, public in self._keys
        ]  # fmt: skip
        return dns.rrset.from_rdata_list(rrset.name, rrset.ttl, made)
