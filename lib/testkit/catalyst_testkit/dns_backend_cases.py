"""What every DNS backend takes, and what none may; `{zone}` stands for the zone with its final dot."""

from catalyst_sdk.dns import OWNER_MARK, REVISION_MARK, Change, text_data

ADDRESS = ("192.0.2.1",)
DS = ("4711 13 2 " + "ab" * 32,)
_SIGNAL = "_dsboot.elsewhere.example._signal.ns1"
_DNSKEY = "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0d xCjjnopKl+GqJxpVXckHAeF+KkxLbxIL fDLUT0rAK9iUzy1L53eKGQ=="
OTHERS_KEYS = (
    "256 3 13 /Iz2YY81opwH41l4zIvQoydLZN3ejwL9 60H8lVgSKkT1TOjw77XLk+3qSj8yeCAV R0eielVyrAXSDVwli/gcNA==",
    "257 3 13 lfddaXiXUFYnbfbuijsHdztUXqiP9Di3 rAMnh5Sy5MFTz/MdlHA51NME1mpThcnq pAhJXNGwoJtpxnCE1XMa+Q==",
)
_LONG = 'v=DKIM1; p="' + "k" * 600 + '\\"'

ACCEPTED: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "the apex": ("@", "A", ADDRESS),
    "several of one name": ("multi", "A", ("192.0.2.1", "192.0.2.2", "192.0.2.3")),
    "IPv6": ("six", "AAAA", ("2001:db8::1",)),
    "a wildcard": ("*", "A", ADDRESS),
    "a wildcard below": ("*.apps", "A", ADDRESS),
    "a name far below": ("a.b.c.d", "TXT", ('"deep"',)),
    "an international name": ("xn--bcher-kva", "A", ADDRESS),
    "an alias": ("www", "CNAME", ("other.example.",)),
    "mail": ("@", "MX", ("10 mx.example.", "20 mx2.example.")),
    "no mail": ("@", "MX", ("0 .",)),
    "a service": ("_sip._tcp", "SRV", ("10 60 5060 sip.example.",)),
    "an issuer": ("@", "CAA", ('0 issue "ca.example"',)),
    "a challenge at the apex": ("_acme-challenge", "TXT", ('"token-one"', '"token-two"')),
    "the key of another zone, below its signalling name": (_SIGNAL, "CDS", DS),
    "that key whole": (_SIGNAL, "CDNSKEY", (_DNSKEY,)),
    "text beyond 255 octets": ("_dkim", "TXT", (text_data(_LONG),)),
    "text with quotes, semicolons and no ASCII": ("odd", "TXT", (text_data('a "b"; c\\d é'),)),
}
REFUSED: dict[str, tuple[Change, ...]] = {
    "a name outside of the zone": (Change("console.elsewhere.example.", "A", 60, ADDRESS),),
    "a name without its final dot": (Change("console", "A", 60, ADDRESS),),
    "a name in capitals": (Change("Console.{zone}", "A", 60, ADDRESS),),
    "a name with a space": (Change("con sole.{zone}", "A", 60, ADDRESS),),
    "a label of 64 octets": (Change("a" * 64 + ".{zone}", "A", 60, ADDRESS),),
    "a host name with an underscore": (Change("con_sole.{zone}", "A", 60, ADDRESS),),
    "time to live 0": (Change("a.{zone}", "A", 0, ADDRESS),),
    "time to live -1": (Change("a.{zone}", "A", -1, ADDRESS),),
    "time to live 2^31": (Change("a.{zone}", "A", 2**31, ADDRESS),),
    "an address cut short": (Change("a.{zone}", "A", 60, ("192.0.2",)),),
    "an address with a tail": (Change("a.{zone}", "A", 60, ("192.0.2.1 x",)),),
    "a second line in the data": (Change("a.{zone}", "A", 60, ("192.0.2.1\n192.0.2.2",)),),
    "a host name for an address": (Change("a.{zone}", "A", 60, ("other.example.",)),),
    "a string beyond 255 octets": (Change("a.{zone}", "TXT", 60, ('"' + "x" * 256 + '"',)),),
    "a target without its final dot": (Change("a.{zone}", "CNAME", 60, ("other.example",)),),
    "an alias at the apex": (Change("{zone}", "CNAME", 60, ("other.example.",)),),
    "an alias beside data": (
        Change("a.{zone}", "A", 60, ADDRESS),
        Change("a.{zone}", "CNAME", 60, ("other.example.",)),
    ),
    "two aliases": (Change("a.{zone}", "CNAME", 60, ("one.example.", "two.example.")),),
    "a DS without NS": (Change("a.{zone}", "DS", 60, DS),),
    "a DS at the apex": (Change("{zone}", "DS", 60, DS),),
    "a name server that is an address": (Change("a.{zone}", "NS", 60, ("192.0.2.1.",)),),
    "a name server without glue": (Change("a.{zone}", "NS", 60, ("ns.a.{zone}",)),),
    "a name server that is an alias": (
        Change("ns.{zone}", "CNAME", 60, ("other.example.",)),
        Change("a.{zone}", "NS", 60, ("ns.{zone}",)),
    ),
    "no name servers": (Change("{zone}", "NS"),),
    "no SOA": (Change("{zone}", "SOA"),),
    "a signature": (Change("a.{zone}", "RRSIG", 60, ("x",)),),
    "a key for the parent, at the apex": (Change("{zone}", "CDS", 60, DS),),
    "a key for the parent, elsewhere": (Change("a.{zone}", "CDNSKEY", 60, (_DNSKEY,)),),
    "a type that does not exist": (Change("a.{zone}", "NOSUCH", 60, ("x",)),),
    "one record set twice": (Change("a.{zone}", "A", 60, ADDRESS), Change("a.{zone}", "A", 90, ADDRESS)),
    "another owner's mark": (Change(OWNER_MARK + ".{zone}", "TXT", 60, ('"owner=me"',)),),
    "a mark taken away": (Change(OWNER_MARK + ".{zone}", "TXT"),),
    "a revision by hand": (Change(REVISION_MARK + ".{zone}", "TXT", 60, ('"gen=9"',)),),
}
