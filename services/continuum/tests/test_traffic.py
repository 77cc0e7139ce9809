"""Names that follow the holder, without any server: what is written upon what mark, and which rules a name may have."""

from dataclasses import replace

import pytest
from catalyst_continuum.domain.spec import Selector
from catalyst_continuum.domain.steering import Place, Probe, Steering, faults
from catalyst_continuum.domain.traffic import Foreign, Mark, Seen, Stale, Update, Wanted, addressed, has, move
from catalyst_continuum.workers.traffic.pdm import NamesApart, allocation_of
from hypothesis import given, settings
from hypothesis import strategies as st

EAST, WEST = "sb-east-rtz-dev", "sb-west-rtz-dev"
TO_EAST, TO_WEST = addressed(["192.0.2.1"], 10), addressed(["198.51.100.2", "2001:DB8::2"], 10)
POWERDNS = "PowerDNS Authoritative Server 4.7.3"
SHOP = Steering(
    "demo.test", ("shop.demo.test",), {EAST: Place(("192.0.2.1",)), WEST: Place(("198.51.100.2", "2001:db8::2"), 0)}
)


def written(update: Update | Stale | Foreign | None) -> Seen:
    """What an authority has after the update."""
    assert isinstance(update, Update)
    return Seen((str(update.mark),), dict(update.wanted.records), update.wanted.ttl)


AT_EAST = written(move(Seen(), 1, EAST, TO_EAST))


def test_a_name_moves_only_forward_and_from_the_mark_that_was_read() -> None:
    first = move(Seen(), 1, EAST, TO_EAST)
    assert isinstance(first, Update)
    assert (first.only_if, first.removed) == ((), ("AAAA",))
    assert move(AT_EAST, 1, EAST, TO_EAST) is None
    second = move(AT_EAST, 2, WEST, TO_WEST)
    assert isinstance(second, Update)
    assert (second.only_if, second.mark.epoch, second.mark.number, second.removed) == (AT_EAST.marks, 2, 1, ())
    for stale in (move(written(second), 1, EAST, TO_EAST), move(AT_EAST, 1, WEST, TO_WEST)):
        assert isinstance(stale, Stale)


@pytest.mark.parametrize(
    ("seen", "wanted"),
    [
        (Seen(("v=spf1",)), TO_EAST),
        (Seen((*AT_EAST.marks, "e=2")), TO_EAST),
        (Seen((f"e=-1 h={EAST} n=1 k=a d=00000000",)), TO_EAST),
        (AT_EAST, Wanted({}, 10)),
        (AT_EAST, Wanted({"A": ()}, 10)),
    ],
)  # fmt: skip
def test_what_is_none_of_ours_and_what_is_no_answer_is_left_to_people(seen: Seen, wanted: Wanted) -> None:
    assert isinstance(move(seen, 9, EAST, wanted), Foreign)


@pytest.mark.parametrize(
    "other", [replace(TO_EAST, ttl=5), addressed(["192.0.2.1", "192.0.2.9"], 10), addressed(["2001:db8::1"], 10)]
)
def test_another_content_in_the_same_epoch_is_one_more_write_under_a_mark_that_never_was(other: Wanted) -> None:
    update = move(AT_EAST, 1, EAST, other)
    assert isinstance(update, Update)
    assert (update.mark.number, update.only_if) == (2, AT_EAST.marks)
    back = move(written(update), 1, EAST, TO_EAST)
    assert isinstance(back, Update)
    assert str(back.mark) not in AT_EAST.marks


def test_what_was_changed_by_hand_is_not_what_is_wanted_though_the_mark_says_so() -> None:
    assert has(AT_EAST, 1, EAST, TO_EAST)
    for seen in (
        replace(AT_EAST, addresses={"A": ("203.0.113.9",)}),
        replace(AT_EAST, ttl=300),
        replace(AT_EAST, addresses={}),
    ):
        assert not has(seen, 1, EAST, TO_EAST)


@given(
    epoch=st.integers(0, 10**18 - 1),
    number=st.integers(0, 10**18 - 1),
    holder=st.sampled_from([EAST, "a-0-0-0", "e" * 26 + "-0-0-0"]),
    wanted=st.sampled_from([TO_EAST, TO_WEST, Wanted({"LUA": ('A ";return 1"',)}, 1)]),
)
@settings(max_examples=50)
def test_a_mark_is_read_as_it_was_written_and_fits_one_string(
    epoch: int, number: int, holder: str, wanted: Wanted
) -> None:
    mark = Mark(epoch, holder, number, wanted.kinds, wanted.digest)
    assert Seen((str(mark),)).mark == mark
    assert len(str(mark)) <= 255


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.integers(5, 7)), max_size=12), st.randoms())
@settings(max_examples=100)
def test_whatever_writers_read_and_whenever_their_updates_come_no_epoch_falls_and_no_name_is_empty(
    wishes: list[tuple[int, bool, int]], random: object
) -> None:
    seen, on_their_way, epochs = Seen(), [], [0]
    for epoch, late, ttl in wishes:
        update = move(seen, epoch, (EAST, WEST)[epoch % 2], replace((TO_EAST, TO_WEST)[epoch % 2], ttl=ttl))
        if isinstance(update, Update):
            on_their_way.append(update)
        if late:
            continue
        random.shuffle(on_their_way)  # type: ignore[attr-defined]
        while on_their_way:
            arrived = on_their_way.pop()
            if arrived.only_if == seen.marks:
                seen = written(arrived)
                assert seen.all_addresses()
                epochs.append(arrived.mark.epoch)
    assert epochs == sorted(epochs)


def test_a_static_name_has_the_holders_addresses_and_no_others() -> None:
    plan = SHOP.plan(WEST)
    assert plan.addresses == {"shop.demo.test": ("198.51.100.2", "2001:db8::2")}
    assert SHOP.wanted(plan, "shop.demo.test").records == {"A": ("198.51.100.2",), "AAAA": ("2001:db8::2",)}
    assert SHOP.plan(WEST) == plan


@pytest.mark.parametrize(
    ("selector", "line"),
    [
        (Selector.IFURLUP, "A ifurlup('http://shop.demo.test:8080/up',{{'198.51.100.2'},{'192.0.2.1'}},"
                           "{selector='all',timeout=2,minimumFailures=3,backupSelector='all'})"),
        (Selector.IFPORTUP, "A ifportup(8080,{'198.51.100.2','192.0.2.1'},"
                            "{selector='all',timeout=2,minimumFailures=3,backupSelector='all'})"),
        (Selector.PICKCLOSEST, "A pickclosest({'198.51.100.2','192.0.2.1'})"),
        (Selector.PICKWHASHED, "A pickwhashed({{100,'192.0.2.1'}})"),
    ],
)  # fmt: skip
def test_a_rule_begins_with_the_holder_and_is_made_of_addresses_and_numbers(selector: Selector, line: str) -> None:
    steering = replace(SHOP, selector=selector, probe=Probe("http://shop.demo.test:8080/up"))
    plan = steering.plan(WEST)
    assert plan.addresses == {"shop.demo.test": ("192.0.2.1", "198.51.100.2", "2001:db8::2")}
    lines = steering.wanted(plan, "shop.demo.test").records["LUA"]
    assert lines[0] == line
    assert lines[1].startswith("AAAA ")
    assert "192.0.2.1" not in lines[1]


@pytest.mark.parametrize(
    ("change", "stateful", "software", "field"),
    [
        ({}, True, None, ""),
        ({"names": ("shop.other.test",)}, True, None, "hostnames"),
        ({"places": {EAST: Place(())}}, True, None, "regions"),
        ({"selector": Selector.IFURLUP, "probe": Probe("http://a.test/")}, True, [POWERDNS], "selector"),
        ({"selector": Selector.IFURLUP, "probe": Probe("http://a.test/")}, False, [POWERDNS], ""),
        ({"selector": Selector.IFURLUP, "probe": Probe("http://a.test/")}, False, None, ""),
        ({"selector": Selector.IFURLUP, "probe": Probe("http://a.test/")}, False, [POWERDNS, "BIND 9.18"], "selector"),
        ({"selector": Selector.IFPORTUP, "probe": Probe("http://a.test/")}, False, ["PowerDNS 5.1.0"], "selector"),
        ({"selector": Selector.PICKCLOSEST}, False, [POWERDNS], "selector"),
        ({"selector": Selector.PICKWHASHED}, False, [POWERDNS], ""),
        ({"selector": Selector.IFURLUP}, False, [POWERDNS], "health_check"),
        ({"selector": Selector.IFURLUP, "probe": Probe("http://a.test/'}")}, False, [POWERDNS], "health_check"),
        ({"selector": Selector.IFURLUP, "probe": Probe("http://a.test/", 2, 2)}, False, [POWERDNS], "health_check"),
    ],
)  # fmt: skip
def test_a_rule_that_would_be_a_second_decider_or_was_never_tried_is_not_admitted(
    change: dict[str, object], stateful: bool, software: list[str] | None, field: str
) -> None:
    found = faults(replace(SHOP, **change), stateful=stateful, software=software)  # type: ignore[arg-type]
    assert set(found) == ({field} if field else set())


def test_names_of_a_pool_belong_to_one_allocation() -> None:
    assert allocation_of(Steering("omani.works", ("shop.acme.omani.works", "acme.Omani.works."), {})) == (
        "pools/omani.works/allocations/acme"
    )
    for names in ((), ("omani.works",), ("a.acme.omani.works", "a.other.omani.works")):
        with pytest.raises(NamesApart):
            allocation_of(Steering("omani.works", names, {}))
