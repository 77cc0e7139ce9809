"""What the zone of a name and its place in the parent are to look like."""

from dataclasses import replace

from catalyst_pool_domain_manager.domain import zones
from catalyst_pool_domain_manager.domain.policy import Rules
from catalyst_sdk.dns import Change, RecordSet, ZoneKey, ZoneState

from .makers import POOL, committed

BOTH = (("console", "127.7.0.9"), ("default", "127.7.0.1"), ("default", "fd00::1"))
SERVERS = ("ns1.omani.works.",)
DS = "1 13 2 " + "ab" * 32
CHILD = ZoneState("acme.omani.works.", "us", 1, 1, True, (), (ZoneKey(1, 13, True, "257 3 13 x", (DS,)),), "e")


def parent(*records: RecordSet) -> ZoneState:
    return ZoneState("omani.works.", "tree", 1, 1, True, records, (), "e")


def test_every_name_of_the_layout_gets_the_addresses_of_its_slot() -> None:
    sets = {(r.name, r.type): r.records for r in zones.address_sets(committed(BOTH), POOL)}
    assert sets["acme.omani.works.", "A"] == ("127.7.0.1",)
    assert sets["gitea.acme.omani.works.", "AAAA"] == ("fd00::1",)
    assert sets["console.acme.omani.works.", "A"] == ("127.7.0.9",)
    assert ("console.acme.omani.works.", "AAAA") not in sets
    assert len(sets) == 9


def test_a_location_gets_every_component_below_its_code_but_neither_apex_nor_wildcard() -> None:
    pool = replace(POOL, layout=(*POOL.layout, ("*", "default")))
    sets = {r.name: r.records for r in zones.address_sets(committed((*BOTH, ("hfmp", "127.7.0.5"))), pool)}
    assert sets["gitea.hfmp.acme.omani.works."] == ("127.7.0.5",)
    assert sets["console.hfmp.acme.omani.works."] == ("127.7.0.5",)
    assert not {"hfmp.acme.omani.works.", "*.hfmp.acme.omani.works."} & sets.keys()
    assert sets["acme.omani.works."] != ("127.7.0.5",)


def test_a_zone_without_mail_says_so() -> None:
    spec = zones.spec(committed(), POOL, SERVERS)
    sets = {(r.name, r.type): r.records for r in spec.record_sets}
    assert sets["acme.omani.works.", "MX"] == ("0 .",)
    assert sets["acme.omani.works.", "TXT"] == ('"v=spf1 -all"',)
    assert sets["_dmarc.acme.omani.works.", "TXT"] == ('"v=DMARC1; p=reject"',)
    assert spec.signed
    assert spec.owner.endswith(committed().uid)


def test_a_zone_is_corrected_to_the_wish_and_nothing_else_of_it_is_touched() -> None:
    a = committed()
    right = zones.address_sets(a, POOL)
    wrong = RecordSet(right[0].name, right[0].type, right[0].ttl, ("127.7.9.9",))
    extra = RecordSet("old.acme.omani.works.", "A", 5, ("127.7.0.1",))
    challenge = RecordSet("_acme-challenge.acme.omani.works.", "TXT", 60, ('"x"',))
    mail = RecordSet("acme.omani.works.", "MX", 60, ("10 mx.example.",))
    caa = zones.issuers(a, POOL)
    state = replace(CHILD, record_sets=(wrong, *right[1:], extra, challenge, mail, caa))
    assert zones.corrections(a, POOL, replace(CHILD, record_sets=(*right, mail, caa))) == ()
    assert set(zones.corrections(a, POOL, state)) == {
        Change(extra.name, "A"),
        Change(right[0].name, right[0].type, right[0].ttl, right[0].records),
    }


def test_who_may_issue_certificates_is_the_policys_to_say_and_follows_it() -> None:
    a = committed()
    strict = replace(POOL, rules=Rules(issuers=("ca.example",), account_uri="https://ca.example/1"))
    said = ('0 issue "ca.example; accounturi=https://ca.example/1"',)
    assert zones.issuers(a, POOL).records == ('0 issue "letsencrypt.org"',)
    state = replace(CHILD, record_sets=(*zones.address_sets(a, strict), zones.issuers(a, POOL)))
    assert zones.corrections(a, strict, state) == (Change("acme.omani.works.", "CAA", POOL.ttls.record, said),)


def test_names_of_a_pool_for_mail_do_not_say_that_they_take_none() -> None:
    spec = zones.spec(committed(), replace(POOL, kinds=("KIND_MAIL",)), SERVERS)
    assert {r.type for r in spec.record_sets} == {"A", "CAA"}


def test_ns_and_ds_go_into_the_parent_by_one_change() -> None:
    changes = zones.delegation(committed(), POOL, CHILD, SERVERS)
    assert changes == (
        Change("acme.omani.works.", "NS", POOL.ttls.ns, SERVERS), Change("acme.omani.works.", "DS", POOL.ttls.ds, (DS,)),
    )  # fmt: skip


def test_everything_at_and_below_the_name_goes_and_its_neighbours_stay() -> None:
    ns = RecordSet("acme.omani.works.", "NS", 5, SERVERS)
    hidden = RecordSet("console.acme.omani.works.", "A", 5, ("127.7.0.1",))
    neighbour = RecordSet("notacme.omani.works.", "A", 5, ("127.7.0.2",))
    removed = zones.removals(committed(), parent(ns, hidden, neighbour))
    assert {(c.name, c.type, c.records) for c in removed} == {(ns.name, "NS", ()), (hidden.name, "A", ())}


def test_a_record_in_the_parent_that_is_not_our_delegation_is_foreign() -> None:
    ns = RecordSet("acme.omani.works.", "NS", 5, SERVERS)
    ds = RecordSet("acme.omani.works.", "DS", 5, (DS,))
    assert zones.foreign(committed(), parent(ns, ds), SERVERS) == ()
    hidden = RecordSet("console.acme.omani.works.", "A", 5, ("127.7.0.1",))
    assert zones.foreign(committed(), parent(ns, ds, hidden), SERVERS) == ("console.acme.omani.works. A",)
    theirs = replace(ns, records=("ns.elsewhere.example.",))
    assert zones.foreign(committed(), parent(theirs), SERVERS) == ("acme.omani.works. NS",)
    assert zones.foreign(committed(), parent(theirs, ds), SERVERS, CHILD) == (), "written when the pool had others"
    assert zones.foreign(committed(), parent(theirs), SERVERS, CHILD) == ("acme.omani.works. NS",)
    assert zones.foreign(committed(), parent(theirs, ds, hidden), SERVERS, CHILD) == ("console.acme.omani.works. A",)


def test_a_name_follows_the_servers_of_its_pool_and_not_whoever_changed_its_cut() -> None:
    a, others = committed(), ("ns1.elsewhere.example.", "ns2.elsewhere.example.")
    cut = RecordSet("acme.omani.works.", "NS", 5, SERVERS)
    child = replace(CHILD, owner=a.mark, record_sets=(cut,))
    assert zones.is_led_elsewhere(a, parent(cut), child, others)
    assert not zones.is_led_elsewhere(a, parent(replace(cut, records=others)), child, SERVERS), "a cut alone"
    assert not zones.is_led_elsewhere(a, parent(cut), replace(child, owner="stranger"), others)
    assert zones.server_changes(a, POOL, child, SERVERS) == ()
    assert [c.records for c in zones.server_changes(a, POOL, child, others)] == [others]


def test_labels_in_use_are_those_of_the_pools_own_records_at_any_depth_and_of_name_servers() -> None:
    own = parent(
        RecordSet("omani.works.", "SOA", 5, ("x",)), RecordSet("ns1.omani.works.", "A", 5, ("127.0.0.1",)),
        RecordSet("a.deep.omani.works.", "TXT", 5, ('"x"',)), RecordSet("acme.omani.works.", "NS", 5, SERVERS),
        RecordSet("theirs.omani.works.", "NS", 5, SERVERS), RecordSet("_dmarc.omani.works.", "TXT", 5, ('"x"',)),
    )  # fmt: skip
    servers = frozenset({"ns7.openova.io.", "b.ns2.omani.works."})
    found = zones.labels_in_use(POOL, own, held=frozenset({"acme"}), servers=servers)
    assert found == {"ns1", "ns2", "deep", "theirs"}


def test_a_wildcard_of_the_pool_is_seen_and_one_further_down_is_none_of_it() -> None:
    def holds(name: str) -> bool:
        return zones.has_wildcard(parent(RecordSet(name, "A", 5, ("127.0.0.1",))))

    assert [holds("*.omani.works."), holds("*.acme.omani.works."), holds("star.omani.works.")] == [True, False, False]
