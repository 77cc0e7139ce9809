"""Plans as decisions: what changes mean, and what every guard says of them."""

from dataclasses import replace

import pytest
from catalyst.pooldomain.v1.resources_pb2 import RecordSet as RecordSetWish
from catalyst_pool_domain_manager.domain import guards, plans
from catalyst_pool_domain_manager.domain.changes import Action, Finding, Step, World, digest
from catalyst_pool_domain_manager.domain.hosting import ChangePolicy, Kind, State, Thresholds, Zone
from catalyst_pool_domain_manager.domain.record_sets import Wish
from catalyst_pool_domain_manager.domain.zone_refusals import ProtectedRecord, RecordsRefused, WildcardForbidden
from catalyst_pool_domain_manager.rpc.zone_messages import from_set
from catalyst_sdk.dns import Change, RecordSet
from google.protobuf.duration_pb2 import Duration
from hypothesis import given, settings
from hypothesis import strategies as st

from .makers import NOON

ORIGIN = "acme.example."
ZONE = Zone(
    "acme.example", "uid-1", Kind.BYO, "organizations/acme", "backends/embedded", "nameServerSets/main", State.ACTIVE,
    NOON, NOON,
)  # fmt: skip
POOL = replace(ZONE, kind=Kind.POOL)
FRAME = (
    RecordSet(ORIGIN, "SOA", 3600, (f"ns1.dns.example. hostmaster.{ORIGIN} 0 10800 3600 604800 300",)),
    RecordSet(ORIGIN, "NS", 3600, ("ns1.dns.example.", "ns2.dns.example.")),
)
LIMITS = Thresholds()


def a(label: str, address: str = "192.0.2.1") -> RecordSet:
    return RecordSet(f"{label}.{ORIGIN}", "A", 300, (address,))


def world(*sets: RecordSet, zone: Zone = ZONE, **rest: object) -> World:
    """A zone that is as wished."""
    held = (*FRAME, *sets)
    wishes = tuple(Wish(r.name, r.type, r.ttl, r.records, zone.owner, 1) for r in held)
    return World(zone, {(r.name, r.type): r for r in held}, wishes, **rest)  # type: ignore[arg-type]


def put(r: RecordSet) -> Change:
    return Change(r.name, r.type, r.ttl, r.records)


def gone(label: str, kind: str = "A") -> Change:
    return Change(ORIGIN if label == "@" else f"{label}.{ORIGIN}", kind)


def computed(w: World, *changes: Change, **how: object) -> tuple[tuple[Step, ...], tuple[Finding, ...]]:
    return plans.compute(w, changes, thresholds=LIMITS, **how)  # type: ignore[arg-type]


def rules(w: World, *changes: Change, **how: object) -> list[str]:
    return [f.rule for f in computed(w, *changes, **how)[1]]


def test_each_sentence_says_what_its_step_does() -> None:
    w = world(a("www"), a("old"))
    steps, _ = computed(w, put(a("new")), put(a("www", "192.0.2.2")), gone("old"), put(replace(a("same"), ttl=60)))
    assert [(s.action, s.sentence) for s in steps] == [
        (Action.CREATE, f"A of new.{ORIGIN} is created: 192.0.2.1, for 300 s"),
        (Action.UPDATE, f"A of www.{ORIGIN} changes from 192.0.2.1 to 192.0.2.2"),
        (Action.DELETE, f"A of old.{ORIGIN} is deleted: 192.0.2.1"),
        (Action.CREATE, f"A of same.{ORIGIN} is created: 192.0.2.1, for 60 s"),
    ]


def test_what_is_as_wished_already_is_no_step() -> None:
    assert computed(world(a("www")), put(a("www")), gone("never")) == ((), ())


@pytest.mark.parametrize(
    ("existing", "deleted", "spoken"), [(9, 9, False), (10, 3, False), (10, 4, True), (100, 31, True)]
)
def test_the_share_of_deletes_is_judged_from_ten_sets_on(existing: int, deleted: int, spoken: bool) -> None:
    w = world(*(a(f"h{n}") for n in range(existing)), RecordSet(f"x.{ORIGIN}", "AAAA", 300, ("2001:db8::1",)))
    total = existing + 1
    found = [f for f in computed(w, *(gone(f"h{n}") for n in range(deleted)))[1] if f.rule == "mass-change"]
    assert bool(found) is (total >= 10 and deleted * 100 > 30 * total) is spoken or existing == 9
    for f in found:
        assert f"({deleted}/{total}), the limit is 30 %" in f.detail


def test_updates_have_a_limit_of_their_own() -> None:
    w = world(*(a(f"h{n}") for n in range(10)))
    changes = [put(a(f"h{n}", "192.0.2.9")) for n in range(4)]
    assert rules(w, *changes) == ["mass-change"]
    assert plans.compute(w, changes, thresholds=Thresholds(updates=40))[1] == ()


def test_guards_speak_of_what_would_break_a_zone() -> None:
    mx = RecordSet(ORIGIN, "MX", 300, (f"10 mail.{ORIGIN}",))
    w = world(mx, a("mail"), RecordSet(f"sub.{ORIGIN}", "NS", 300, ("ns1.x.example.",)),
              RecordSet(f"sub.{ORIGIN}", "DS", 300, ("1 13 2 " + "ab" * 32,)))  # fmt: skip
    assert rules(w, put(replace(FRAME[1], records=("ns3.dns.example.", "ns4.dns.example.")))) == ["apex-ns"]
    assert rules(w, put(replace(FRAME[0], records=(FRAME[0].records[0].replace("ns1.", "ns9."),)))) == ["soa-mname"]
    assert rules(w, gone("@", "MX"), confirmed={(ORIGIN, "MX")}) == ["last-mx"]
    assert rules(w, gone("@", "MX")) == ["last-mx", "mail"]
    assert rules(w, gone("sub", "NS"), gone("sub", "DS")) == ["ds-order"]
    token = RecordSet(f"_acme-challenge.{ORIGIN}", "TXT", 60, ('"one"',))
    in_flight = replace(world(a("www"), token), challenged=frozenset({token.name}))
    assert rules(in_flight, gone("_acme-challenge", "TXT")) == ["acme-challenge"]
    assert rules(w, put(a(f"www.{ORIGIN.rstrip('.')}"))) == ["doubled-name"], "written in full, without its final dot"
    assert rules(w, put(a("www.other-acme.example"))) == []


@pytest.mark.parametrize(
    ("label", "kind", "record"),
    [("@", "TXT", '"v=spf1 -all"'), ("_dmarc", "TXT", '"v=DMARC1"'), ("k1._domainkey", "TXT", '"v=DKIM1"'),
     ("_mta-sts", "TXT", '"v=STSv1"'), ("autodiscover", "CNAME", "a.example."), ("_imaps._tcp", "SRV", "0 1 993 a.example.")],
)  # fmt: skip
def test_what_mail_depends_on_goes_only_by_name(label: str, kind: str, record: str) -> None:
    name = ORIGIN if label == "@" else f"{label}.{ORIGIN}"
    w = world(a("www"), RecordSet(name, kind, 300, (record,)))
    assert rules(w, gone(label, kind)) == ["mail"]
    assert rules(w, gone(label, kind), confirmed={(name, kind)}) == []
    with pytest.raises(guards.GuardRefused, match="confirm each removal"):
        plans.demand_applicable(_plan(w, gone(label, kind)), _plan(w, gone(label, kind)).hash, {"mail"}, NOON)


def test_records_of_others_are_refused_and_taken_over_only_by_name_of_the_wish() -> None:
    unknown = World(ZONE, {**world().sets, (f"x.{ORIGIN}", "A"): a("x")}, world().wishes)
    with pytest.raises(guards.ForeignRecord, match=f"A of x.{ORIGIN}"):
        computed(unknown, put(a("x", "192.0.2.5")))
    assert computed(unknown, put(a("x", "192.0.2.5")), take_over=True)[0][0].action is Action.UPDATE
    steps, _ = computed(unknown, put(a("x")), take_over=True)
    assert steps[0].sentence.endswith("and becomes ours"), "nothing changes but whose it is"
    held = World(POOL, world(zone=POOL).sets, world(zone=POOL).wishes, held=frozenset({"acme"}))
    with pytest.raises(guards.ForeignRecord):
        computed(held, put(a("console.acme")), take_over=True)


def test_a_wildcard_never_comes_into_a_pools_zone_and_an_empty_wish_is_an_error() -> None:
    with pytest.raises(WildcardForbidden):
        computed(world(zone=POOL), put(a("*")))
    assert computed(world(), put(a("*")))[0]
    with pytest.raises(guards.EmptyDesiredSet):
        computed(world(a("www")), gone("www"))


def test_a_policy_without_deletions_has_none() -> None:
    careful = replace(ZONE, change_policy=ChangePolicy.UPSERT_ONLY)
    w = world(a("www"), a("x"), zone=careful)
    with pytest.raises(ProtectedRecord, match="upsert_only"):
        computed(w, gone("x"))
    assert computed(w, put(a("x", "192.0.2.2")))[0]


def test_every_bad_record_is_named_with_its_position() -> None:
    with pytest.raises(RecordsRefused) as refused:
        computed(
            world(a("www")),
            Change(f"a.{ORIGIN}", "A", 300, ("nonsense",)),
            put(a("b")),
            Change("c.other.", "A", 1, ("192.0.2.1",)),
        )
    assert [v.field for v in refused.value.violations] == ["changes[0]", "changes[2]"]


@pytest.mark.parametrize(
    ("kind", "ttl", "value", "told"),
    [
        ("A", 0, "192.0.2.1", "ttl 0 is not between 1 and 2147483647"),
        ("CNAME", 60, "www.other.example", "names a host without its final dot"),
        ("MX", 60, "10 mail", "names a host without its final dot"),
    ],
)
def test_what_a_person_easily_writes_wrong_is_refused_in_words_that_help(
    kind: str, ttl: int, value: str, told: str
) -> None:
    wish = RecordSetWish(name="a", type=kind, ttl=Duration(seconds=ttl), values=[value])
    with pytest.raises(RecordsRefused) as refused:
        computed(world(a("www")), put(from_set(wish, ORIGIN)))
    assert told in refused.value.violations[0].description


def test_a_set_of_which_nobody_says_how_long_it_lives_lives_as_long_as_usual() -> None:
    assert from_set(RecordSetWish(name="a", type="A", values=["192.0.2.1"]), ORIGIN).ttl == 300


def test_the_hash_covers_everything_that_is_shown() -> None:
    w = world(a("www"), a("x"))
    one, other = _plan(w, gone("x")), _plan(w, put(a("x", "192.0.2.2")))
    assert one.hash != other.hash
    assert plans.hashed(replace(one, safety=(Finding("last-mx", "x"),)), ZONE.uid) != one.hash
    assert plans.hashed(one, "another life") != one.hash
    with pytest.raises(plans.PlanHashMismatch):
        plans.demand_applicable(one, other.hash, (), NOON)
    with pytest.raises(plans.PlanExpired):
        plans.demand_applicable(one, one.hash, (), NOON + plans.LIFE)


def test_names_of_a_pool_and_challenges_make_no_plan_stale() -> None:
    before = world(a("www"), zone=POOL)
    cut = RecordSet(f"acme.{ORIGIN}", "NS", 300, ("ns1.dns.example.",))
    token = RecordSet(f"_acme-challenge.{ORIGIN}", "TXT", 60, ('"t"',))
    after = replace(before, sets={**before.sets, (cut.name, "NS"): cut, (token.name, "TXT"): token})
    assert digest(after) == digest(before)
    assert digest(replace(before, sets={**before.sets, (f"y.{ORIGIN}", "A"): a("y")})) != digest(before)


def test_an_import_keeps_mail_as_it_was_and_ours_as_it_is() -> None:
    spf, ours = RecordSet(ORIGIN, "TXT", 300, ('"v=spf1 include:x.example -all"',)), a("console")
    w = world(ours, RecordSet(ORIGIN, "TXT", 300, ('"site-verification"',)))
    theirs = (spf, a("console", "198.51.100.1"), RecordSet(ORIGIN, "MX", 300, ("10 mx.else.example.",)), FRAME[1])
    wanted, told = plans.joined(w, theirs)
    assert [(c.name, c.type) for c in wanted] == [(ORIGIN, "MX"), (ORIGIN, "TXT")]
    assert wanted[1].records == ('"site-verification"', *spf.records)
    assert [(f.rule, f.refused) for f in told] == [("conflict", False)]


labels = st.sampled_from(["a", "b", "c", "d", "e", "f"])
zones = st.dictionaries(labels, st.integers(1, 3), min_size=1)


@settings(max_examples=60)
@given(before=zones, after=zones)
def test_a_plan_makes_exactly_the_wish_and_its_reverse_what_was_there(
    before: dict[str, int], after: dict[str, int]
) -> None:
    def sets(of: dict[str, int]) -> list[RecordSet]:
        return [a(label, f"192.0.2.{n}") for label, n in of.items()]

    w = world(*sets(before))
    changes = [*(put(r) for r in sets(after)), *(gone(label) for label in before.keys() - after.keys())]
    steps, _ = computed(w, *changes)
    there = dict(w.sets)
    for step in steps:
        assert there.get(step.key) == step.before
        there.pop(step.key, None)
        if step.after:
            there[step.key] = step.after
    assert there == world(*sets(after)).sets
    plan = plans.made(w, steps, (), id="p", actor="me", now=NOON) if steps else None
    for step in plans.reversed_steps(plan) if plan else ():
        there.pop(step.key, None)
        if step.after:
            there[step.key] = step.after
    assert there == w.sets


def _plan(w: World, *changes: Change) -> plans.Plan:
    steps, safety = computed(w, *changes)
    return plans.made(w, steps, safety, id="p", actor="me", now=NOON)
