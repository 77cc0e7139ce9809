"""Lists of records as registrars have them become record sets."""

import dns.rdata
import pytest
from catalyst_sdk import Permanent
from catalyst_sdk.dns import RecordSet
from catalyst_sdk.host_records import AUTO_TTL, HostRecord, from_zone_text, host_records
from hypothesis import given
from hypothesis import strategies as st

DOMAIN = "acme.example."


def sets(*rows: HostRecord) -> tuple[RecordSet, ...]:
    return host_records(DOMAIN, rows).record_sets


@pytest.mark.parametrize("name", ["", "@", "acme.example", "Acme.Example."])
def test_the_domain_itself_has_several_names(name: str) -> None:
    assert sets(HostRecord(name, "A", "192.0.2.1", 600)) == (RecordSet(DOMAIN, "A", 600, ("192.0.2.1",)),)


def test_names_are_relative_or_whole_and_hosts_whole_with_or_without_their_dot() -> None:
    found = sets(
        HostRecord("www", "cname", "Shop.example.net", 600), HostRecord("ftp.acme.example", "CNAME", "@", 600),
        HostRecord("@", "MX", "mail.acme.example", 600, 10), HostRecord("@", "MX", "20 backup.example.", 300),
        HostRecord("_sip._tcp", "SRV", "5 5060 sip.example.net", 600, 1),
    )  # fmt: skip
    assert [(r.name, r.type, r.ttl, r.records) for r in found] == [
        ("_sip._tcp.acme.example.", "SRV", 600, ("1 5 5060 sip.example.net.",)),
        (DOMAIN, "MX", 300, ("10 mail.acme.example.", "20 backup.example.")),
        ("ftp.acme.example.", "CNAME", 600, (DOMAIN,)),
        ("www.acme.example.", "CNAME", 600, ("Shop.example.net.",)),
    ]


def test_a_lifetime_that_the_registrar_chooses_is_a_usual_one() -> None:
    assert [r.ttl for r in sets(HostRecord("a", "A", "192.0.2.1"), HostRecord("b", "A", "192.0.2.1", 1))] == [
        AUTO_TTL, AUTO_TTL,
    ]  # fmt: skip


def test_what_no_record_can_hold_is_named_and_left_out() -> None:
    found = host_records(
        DOMAIN,
        [
            HostRecord("@", "URL301", "https://example.net"), HostRecord("old", "FRAME", "https://example.net"),
            HostRecord("@", "CNAME", "flat.example.net"), HostRecord("bad", "A", "not.an.address"),
            HostRecord("both", "CNAME", "x.example"), HostRecord("both", "A", "192.0.2.1"),
            HostRecord("@", "DNSKEY", "257 3 13 AAAA"),
        ],
    )  # fmt: skip
    assert [(r.name, r.type) for r in found.record_sets] == [("both.acme.example.", "A")]
    assert sorted(found.left_out) == [
        "A of bad.acme.example.", "CNAME of acme.example.", "CNAME of both.acme.example.",
        "FRAME of old.acme.example.", "URL301 of acme.example.",
    ]  # fmt: skip


@given(st.text(st.characters(codec="utf-8", exclude_characters='"'), max_size=400).filter(lambda t: t == t.strip()))
def test_a_text_without_quotes_is_kept_to_the_octet(text: str) -> None:
    ((record,),) = (r.records for r in sets(HostRecord("t", "TXT", text)))
    rdata = dns.rdata.from_text("IN", "TXT", record)
    assert b"".join(rdata.strings) == text.encode()
    assert all(len(part) <= 255 for part in rdata.strings)


def test_an_exported_zone_is_read_and_opens_no_file() -> None:
    text = '$TTL 3600\n@ IN SOA a. b. 1 2 3 4 5\n@ IN NS dns1.host.example.\nwww 60 IN A 192.0.2.1\n@ IN TXT "a" "b"\n'
    found = from_zone_text(DOMAIN, text)
    assert {(r.name, r.type) for r in found.record_sets} == {
        (DOMAIN, "SOA"), (DOMAIN, "NS"), (DOMAIN, "TXT"), ("www.acme.example.", "A"),
    }  # fmt: skip
    assert found.left_out == ()
    for bad in ("$INCLUDE /etc/passwd\n", " $generate 1-9 h$ A 192.0.2.1\n", "www IN A nothing\n"):
        with pytest.raises(Permanent) as refused:
            from_zone_text(DOMAIN, text + bad)
        assert refused.value.reason == "PROTOCOL_MISMATCH"
