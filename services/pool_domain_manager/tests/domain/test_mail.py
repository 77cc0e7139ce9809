"""What mail depends on is more than its own records: the hosts that take it, and what they say of their certificates."""

from dataclasses import replace

import pytest
from catalyst_pool_domain_manager.domain import moves, plans
from catalyst_pool_domain_manager.domain.mail import is_mail, takers
from catalyst_pool_domain_manager.domain.moves import Sight
from catalyst_sdk.dns import RecordSet
from catalyst_sdk.registrar import Delegation, Target

from .test_plans import ORIGIN, ZONE, a, gone, put, rules, world

MX = RecordSet(ORIGIN, "MX", 300, (f"10 mx1.{ORIGIN}", "20 mx.else.test."))
HOST = a("mx1")
DANE = RecordSet(f"_25._tcp.mx1.{ORIGIN}", "TLSA", 300, ("3 1 1 " + "ab" * 32,))


def test_a_host_that_takes_mail_is_mails_and_no_other_host_is() -> None:
    hosts = takers([MX, a("www")])
    assert hosts == {f"mx1.{ORIGIN}", "mx.else.test."}
    ours = [HOST, replace(HOST, type="AAAA"), replace(HOST, type="CNAME"), DANE]
    assert all(is_mail(ORIGIN, r, hosts) for r in ours)
    others = [a("www"), replace(HOST, type="TXT"), replace(DANE, name=f"_443._tcp.www.{ORIGIN}")]
    assert not any(is_mail(ORIGIN, r, hosts) for r in others)
    assert takers([RecordSet(ORIGIN, "MX", 300, ("0 .",))]) == {"."}, "nobody, which no record of a zone is named by"


def test_the_address_of_a_host_that_takes_mail_changes_only_by_name_unless_its_mx_goes_with_it() -> None:
    w = world(MX, HOST, DANE, a("www"))
    assert (
        rules(w, put(a("mx1", "192.0.2.9")))
        == rules(w, gone("mx1"))
        == rules(w, gone("_25._tcp.mx1", "TLSA"))
        == ["mail"]
    )
    assert rules(w, gone("mx1"), confirmed={(HOST.name, "A")}) == []
    assert rules(w, put(a("www", "192.0.2.9"))) == []
    elsewhere = put(replace(MX, records=("20 mx.else.test.",)))
    assert rules(w, elsewhere, gone("mx1"), confirmed={(ORIGIN, "MX")}) == []
    assert rules(w, elsewhere, gone("mx1")) == ["mail"], "for the MX"


@pytest.mark.parametrize("host", ["@", "mx1"])
def test_an_import_keeps_the_address_that_mail_goes_to_and_tells_so(host: str) -> None:
    name = ORIGIN if host == "@" else HOST.name
    ours, theirs = (RecordSet(name, "A", 300, (address,)) for address in ("192.0.2.1", "198.51.100.25"))
    mx = RecordSet(ORIGIN, "MX", 300, (f"10 {name}",))
    wanted, told = plans.joined(world(ours, a("www")), (mx, theirs, a("www", "198.51.100.80")))
    assert {(c.name, c.type): c.records for c in wanted} == {(name, "A"): theirs.records, (ORIGIN, "MX"): mx.records}
    (finding,) = told
    assert f"A of {name} becomes 198.51.100.25, as it is elsewhere: mail depends on it" in finding.detail
    assert f"A of www.{ORIGIN} stays 192.0.2.1, elsewhere it is 198.51.100.80" in finding.detail


def test_an_import_tells_which_names_of_ours_the_wildcard_elsewhere_no_longer_answers() -> None:
    star = a("*", "198.51.100.1")
    w = world(a("console"), a("api", "198.51.100.1"), RecordSet(f"only.{ORIGIN}", "TXT", 300, ('"x"',)))
    (finding,) = plans.joined(w, (star, a("www", "198.51.100.2")))[1]
    assert finding.detail == f"A of console.{ORIGIN} stays 192.0.2.1, elsewhere it is 198.51.100.1 by the wildcard"
    own = a("console", "198.51.100.7")
    assert "by the wildcard" not in plans.joined(w, (star, own))[1][0].detail


def test_a_move_is_refused_by_name_where_the_new_servers_know_another_host_for_mail() -> None:
    shown = Delegation(("ns1.old.test.", "ns2.old.test."))
    wished = {(r.name, r.type): r for r in (MX, a("mx1", "192.0.2.99"))}
    sight = Sight(
        shown, (), can_write_ds=True, registrar="One", proven=True, nonce="n", imported=(MX, HOST), wished=wished
    )
    found = moves.judge(ZONE, Target(("ns1.dns.example.", "ns2.dns.example.")), sight)
    assert [(f.rule, f.refused, f.forceable) for f in found] == [("mail-a-mx1", True, True)]
