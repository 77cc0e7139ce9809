"""Which of several addresses a host answers with: compiled by what the server can do."""

import pytest
from catalyst_pool_domain_manager.domain import allocations, refusals, traffic
from catalyst_pool_domain_manager.domain.traffic import LUA, Member, Policy, Probe, Strategy
from catalyst_sdk.dns import Capability, RecordSet
from hypothesis import given
from hypothesis import strategies as st

from .makers import HOME, NAME, NOON, TOKEN, committed, reserved

FQDN = "acme.omani.works"
HOST = f"console.{FQDN}"
TWO = (Member("192.0.2.1", rank=0), Member("192.0.2.2", rank=1))
URL = Probe(url="http://console.acme.omani.works:8080/healthz", timeout=1, down_after=2)
CAN = frozenset({Capability.LUA})
PLAIN: frozenset[Capability] = frozenset()


def policy(strategy: Strategy, *members: Member, probe: Probe | None = None, epoch: int = 0) -> Policy:
    return Policy(HOST, strategy, members or TWO, probe, epoch=epoch)


def line(p: Policy) -> str:
    (made,) = traffic.compiled(p, CAN, (), 30)
    assert (made.name, made.type, made.ttl) == (f"{HOST}.", LUA, 30)
    (content,) = made.records
    return content


@pytest.mark.parametrize(
    ("wish", "content"),
    [
        (
            policy(Strategy.ALL, probe=URL),
            "A \"ifurlup('http://console.acme.omani.works:8080/healthz',{{'192.0.2.1','192.0.2.2'}},"
            "{selector='all',timeout=1,minimumFailures=2,backupSelector='all'})\"",
        ),
        (
            policy(Strategy.ORDERED, probe=URL),
            "A \"ifurlup('http://console.acme.omani.works:8080/healthz',{{'192.0.2.1'},{'192.0.2.2'}},"
            "{selector='all',timeout=1,minimumFailures=2,backupSelector='all'})\"",
        ),
        (
            policy(Strategy.ALL, probe=Probe(port=443)),
            "A \"ifportup(443,{'192.0.2.1','192.0.2.2'},"
            "{selector='all',timeout=2,minimumFailures=3,backupSelector='all'})\"",
        ),
        (
            policy(Strategy.WEIGHTED, Member("192.0.2.1", 80), Member("192.0.2.2", 20), Member("192.0.2.3", 0)),
            "A \"pickwhashed({{80,'192.0.2.1'},{20,'192.0.2.2'}})\"",
        ),
        (policy(Strategy.HASHED), "A \"pickhashed({'192.0.2.1','192.0.2.2'})\""),
    ],
)
def test_a_server_that_evaluates_gets_a_line_of_its_own_language(wish: Policy, content: str) -> None:
    assert line(wish) == content
    assert traffic.members_of(content) == {m.address for m in wish.members if m.weight}


def test_both_families_have_a_line_each_and_a_long_one_is_split() -> None:
    many = tuple(Member(f"192.0.2.{n}") for n in range(1, 41))
    (made,) = traffic.compiled(policy(Strategy.HASHED, *many, Member("2001:db8::1")), CAN, (), 30)
    a, aaaa = made.records
    assert a.startswith('A "pickhashed({')
    assert all(len(piece) <= 255 for piece in a.split('"')[1::2])
    assert aaaa == "AAAA \"pickhashed({'2001:db8::1'})\""


def plain(p: Policy, *down: str) -> set[str]:
    made = traffic.compiled(p, PLAIN, down, 30)
    return {address for r in made for address in r.records}


def test_scenario_10_ordered_goes_to_the_first_rank_that_is_up_and_to_all_when_none_is() -> None:
    ordered = policy(Strategy.ORDERED, probe=URL)
    assert plain(ordered) == {"192.0.2.1"}
    assert plain(ordered, "192.0.2.1") == {"192.0.2.2"}
    assert plain(ordered, "192.0.2.1", "192.0.2.2") == {"192.0.2.1", "192.0.2.2"}
    assert plain(ordered, "192.0.2.2") == {"192.0.2.1"}


@given(
    members=st.lists(st.integers(1, 250), min_size=1, max_size=8, unique=True),
    ranks=st.lists(st.integers(0, 3), min_size=8, max_size=8),
    down=st.sets(st.integers(1, 250), max_size=8),
    strategy=st.sampled_from([Strategy.SINGLE, Strategy.ALL, Strategy.ORDERED]),
)
def test_there_is_always_an_answer_and_it_is_of_members_only(
    members: list[int], ranks: list[int], down: set[int], strategy: Strategy
) -> None:
    everybody = tuple(Member(f"192.0.2.{n}", rank=ranks[i]) for i, n in enumerate(members))
    told = plain(policy(strategy, *everybody, probe=URL), *(f"192.0.2.{n}" for n in down))
    assert told
    assert told <= {m.address for m in everybody}


def test_what_nobody_can_do_for_a_backend_is_said_and_what_a_prober_can_is_not() -> None:
    assert [s for s in Strategy if traffic.missing(policy(s, probe=URL), PLAIN)] == [
        Strategy.WEIGHTED, Strategy.HASHED, Strategy.CLOSEST,
    ]  # fmt: skip
    assert [s for s in Strategy if traffic.missing(policy(s, probe=URL), CAN)] == [Strategy.CLOSEST]
    assert not [s for s in Strategy if traffic.missing(policy(s, probe=URL), {*CAN, Capability.GEO})]
    assert traffic.needs_prober(policy(Strategy.ORDERED, probe=URL), PLAIN)
    assert not traffic.needs_prober(policy(Strategy.ORDERED, probe=URL), CAN)
    assert traffic.needs_prober(policy(Strategy.ORDERED, probe=Probe(port=443)), CAN), "ifportup has no sets"
    assert not traffic.needs_prober(policy(Strategy.ALL), PLAIN)


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        (Policy("console.rival.omani.works", Strategy.SINGLE, (Member("8.8.8.8"),)), "traffic[0].hostname"),
        (Policy("x'.acme.omani.works", Strategy.SINGLE, (Member("8.8.8.8"),)), "traffic[0].hostname"),
        (Policy(HOST, Strategy.SINGLE, ()), "traffic[0].members"),
        (Policy(HOST, Strategy.SINGLE, (Member("1.2.3"),)), "traffic[0].members[0].address"),
        (Policy(HOST, Strategy.SINGLE, (Member("127.0.0.1"),)), "traffic[0].members[0].address"),
        (Policy(HOST, Strategy.SINGLE, (Member("8.8.8.8"), Member("8.8.8.8"))), "traffic[0].members"),
        (Policy(HOST, Strategy.WEIGHTED, (Member("8.8.8.8", 0),)), "traffic[0].members"),
        (Policy(HOST, Strategy.ALL, (Member("8.8.8.8"),), Probe(url="http://a'b/")), "traffic[0].probe.url"),
        (Policy(HOST, Strategy.ALL, (Member("8.8.8.8"),), Probe(url="http://u:p@a/")), "traffic[0].probe.url"),
        (Policy(HOST, Strategy.ALL, (Member("8.8.8.8"),), Probe(url="http://a/{x}")), "traffic[0].probe.url"),
    ],
)
def test_what_cannot_be_is_named_with_its_place(wish: Policy, field: str) -> None:
    assert [v.field for v in traffic.checked([wish], FQDN, allow_private=False)[1]] == [field]


@given(url=st.text(max_size=60).map(lambda text: f"http://a.example/{text}"))
def test_no_text_of_a_caller_breaks_out_of_a_line(url: str) -> None:
    wish = Policy(HOST, Strategy.ALL, (Member("8.8.8.8"),), Probe(url=url))
    good, wrong = traffic.checked([wish], FQDN, allow_private=False)
    if not wrong:
        content = line(good[0])
        assert content.count("'") == 2 + 2 + 4
        assert content.count('"') == 2 * (1 + len(content) // 300)


def test_a_host_without_a_probe_of_its_own_is_asked_for_its_health_where_it_goes_by_rank() -> None:
    (good,), wrong = traffic.checked(
        [Policy(HOST.upper(), Strategy.ORDERED, (Member("8.8.8.8"),))], FQDN, allow_private=False
    )
    assert wrong == []
    assert (good.hostname, good.probe and good.probe.url) == (HOST, f"https://{HOST}/healthz")


def test_a_policy_takes_the_place_of_the_layouts_addresses() -> None:
    from catalyst_pool_domain_manager.domain import zones

    from .makers import POOL

    a = allocations.commit(reserved(), NAME, TOKEN, HOME, NOON, (policy(Strategy.SINGLE),)).state
    sets = {(r.name, r.type): r.records for r in zones.address_sets(a, POOL)}
    assert sets[f"{HOST}.", "A"] == ("192.0.2.1", "192.0.2.2")
    assert sets["acme.omani.works.", "A"] == ("127.7.0.1",)
    lua = zones.address_sets(
        allocations.retarget(a, HOME, "x", NOON, traffic=(policy(Strategy.HASHED),)).state, POOL, CAN
    )
    assert [r.type for r in lua].index(LUA) == len(lua) - 1
    assert not [r for r in lua if isinstance(r, RecordSet) and (r.name, r.type) == (f"{HOST}.", "A")]


def test_scenario_17_an_older_right_to_steer_moves_nothing() -> None:
    steered = allocations.retarget(committed(), HOME, "a", NOON, traffic=(policy(Strategy.SINGLE, epoch=7),)).state
    elsewhere = (Member("192.0.2.9"),)
    for epoch in (0, 6):
        with pytest.raises(refusals.EpochStale) as stale:
            allocations.retarget(steered, HOME, "b", NOON, traffic=(policy(Strategy.SINGLE, *elsewhere, epoch=epoch),))
        assert stale.value.metadata["stored"] == "7"
    with pytest.raises(refusals.EpochStale):
        allocations.retarget(steered, HOME, "b", NOON, traffic=())
    after = allocations.retarget(
        steered, HOME, "c", NOON, traffic=(policy(Strategy.SINGLE, *elsewhere),), epoch=8
    ).state
    assert after.epochs == ((HOST, 8),)
    assert allocations.retarget(steered, HOME, "d", NOON, traffic=steered.traffic).events == ()


def test_a_members_fall_is_an_ordinary_generation_and_goes_with_its_policy() -> None:
    a = allocations.retarget(committed(), HOME, "a", NOON, traffic=(policy(Strategy.ORDERED, probe=URL),)).state
    fallen = allocations.probed(a, ((HOST, "192.0.2.1"),), "prober", NOON)
    assert fallen.state.generation == a.generation + 1
    assert allocations.probed(fallen.state, fallen.state.down, "prober", NOON).events == ()
    assert allocations.retarget(fallen.state, HOME, "b", NOON, traffic=()).state.down == ()
