"""Answers to messages whose signature does not hold (RFC 8945, section 5.2)."""

import struct
import time
from collections.abc import Mapping

import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig
from dns.rdtypes.ANY.TSIG import TSIG

Keyring = Mapping[dns.name.Name, dns.tsig.Key]
BROKEN = (dns.message.UnknownTSIGKey, dns.tsig.BadSignature, dns.tsig.BadTime, dns.tsig.BadKey, dns.tsig.BadAlgorithm)
_FUDGE = 300


def refusal(wire: bytes, keyring: Keyring, error: Exception) -> dns.message.Message:
    """NOTAUTH, with what was wrong. A wrong time is told signed and with ours, so that the asker can believe it."""
    query = dns.message.from_wire(wire, keyring=False)
    response = dns.message.make_response(query)
    response.set_rcode(dns.rcode.NOTAUTH)
    name = query.keyname or dns.name.root
    key = keyring.get(name)
    if isinstance(error, dns.tsig.BadTime) and key is not None:
        ours = struct.pack("!Q", int(time.time()))[2:]
        response.use_tsig(key, key.name, _FUDGE, query.id, dns.rcode.BADTIME, ours, key.algorithm)
        response.request_mac = query.mac or b""
    else:
        code = dns.rcode.BADSIG if isinstance(error, dns.tsig.BadSignature) else dns.rcode.BADKEY
        response.tsig = dns.rrset.from_rdata(name, 0, _unsigned(query, code))
    return response


def _unsigned(query: dns.message.Message, code: dns.rcode.Rcode) -> TSIG:
    kind, now = dns.rdatatype.TSIG, int(time.time())
    return TSIG(  # type: ignore[no-untyped-call]  # dnspython's is not annotated
        dns.rdataclass.ANY, kind, query.keyalgorithm, now, _FUDGE, b"", query.id, code, b""
    )
