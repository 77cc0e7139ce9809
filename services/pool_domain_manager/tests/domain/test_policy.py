"""Policy as data: what a pool's document does to the base, and which patterns it may hold."""

import re
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from catalyst_pool_domain_manager.domain import pools
from catalyst_pool_domain_manager.domain.policy import BASE_RESERVED, Rules, merged, pattern_fault
from catalyst_pool_domain_manager.domain.pools import Pool, PoolNotEmpty, Ttls
from catalyst_pool_domain_manager.domain.server_sets import Endpoint, ServerSet
from hypothesis import given
from hypothesis import strategies as st

from .makers import NOON, POOL

KINDS = ("KIND_ORGANIZATION",)
WORDS = st.lists(st.text("abcxyz", min_size=1, max_size=8), max_size=5).map(tuple)


@given(reserved=WORDS, patterns=WORDS)
def test_a_document_adds_to_what_the_base_keeps_back_and_removes_none(
    reserved: tuple[str, ...], patterns: tuple[str, ...]
) -> None:
    policy = merged(Rules(reserved=reserved, patterns=patterns), KINDS)
    assert policy.reserved == BASE_RESERVED | set(reserved)
    assert set(policy.patterns) >= {*merged(Rules(), KINDS).patterns, *patterns}


def test_what_a_document_leaves_open_follows_the_base_of_what_the_pool_serves() -> None:
    assert merged(Rules(longest=12), KINDS).shortest == 2
    assert merged(Rules(longest=12), KINDS).longest == 12
    assert merged(Rules(), ("KIND_ORGANIZATION", "KIND_SOVEREIGN")).shortest == 1
    assert merged(Rules(leading_digit=False), KINDS).leading_digit is False
    assert merged(Rules(most_names=0), KINDS).most_names == 0


@pytest.mark.parametrize("pattern", [r"ns\d+", "mx[0-9]{1,3}", "(sip|voip)-gw", "a.c", "x-?y", "localhost"])
def test_plain_patterns_are_taken(pattern: str) -> None:
    assert pattern_fault(pattern) == ""


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "(a+)+b",
        "(a|a)*b",
        r"(a)\1",
        "a**",
        "^a",
        "a|b",
        "(?=a)a",
        "A",
        "a?" * 5,
        "a*a*a*a*a*b",
        "[b-a]",
        "",
        "a{2",
    ],
)
def test_a_pattern_that_could_take_for_ever_or_means_nothing_here_is_not_taken(pattern: str) -> None:
    assert pattern_fault(pattern)


@given(st.from_regex(r"([a-c]|\.|[a-c][*+?]|[a-c]\{1,9\}|\(a\|b\)){1,12}", fullmatch=True))
def test_what_is_taken_is_matched_in_no_time(pattern: str) -> None:
    if not pattern_fault(pattern):
        began = time.process_time()
        re.fullmatch(pattern, "a" * 62 + "!")
        assert time.process_time() - began < 2


def test_a_change_raises_the_generation_and_only_other_rules_the_version_of_the_document() -> None:
    longer = replace(POOL, quarantine=2 * POOL.quarantine)
    after = pools.change(POOL, longer, None, "admin", NOON).state
    assert (after.generation, after.version, after.rules.version) == (2, 2, 1)
    strict = replace(after, rules=Rules(reserved=("shop",)))
    decision = pools.change(after, strict, None, "admin", NOON)
    assert (decision.state.generation, decision.state.rules.version) == (3, 2)
    assert [fact.fields for fact in decision.events] == [("rules",)]  # type: ignore[attr-defined]
    assert pools.change(decision.state, decision.state, None, "admin", NOON).events == ()


def test_a_pool_with_names_neither_goes_nor_moves_to_another_backend() -> None:
    elsewhere = replace(POOL, backend="backends/other")
    with pytest.raises(PoolNotEmpty):
        pools.change(POOL, elsewhere, "pools/omani.works/allocations/acme", "admin", NOON)
    with pytest.raises(PoolNotEmpty):
        pools.remove(POOL, "pools/omani.works/allocations/acme", "admin")
    assert pools.change(POOL, elsewhere, None, "admin", NOON).state.backend == "backends/other"


def test_servers_that_a_pool_leaves_are_asked_until_no_delegation_and_no_cache_leads_there() -> None:
    held = "pools/omani.works/allocations/acme"
    old, new = (server_set(name) for name in ("old", "new"))
    pool = replace(POOL, name_server_set=old.name, servers=old, ttls=Ttls(ns=3600, record=60))
    assert pools.change(pool, replace(pool, name_server_set=new.name), None, "admin", NOON).state.left_servers == ()
    pool = pools.change(pool, replace(pool, name_server_set=new.name), held, "admin", NOON).state
    pool = replace(pool, servers=new)

    def seen(known: Pool, seconds: int, *hosts: str) -> Pool:
        now, led = NOON + timedelta(seconds=seconds), frozenset(hosts)
        return pools.observe(known, ready=True, message="", in_use=known.in_use, now=now, led=led).state or known

    led = seen(pool, 1, "ns1.old.test.", "ns1.new.test.")
    assert [(one.servers, one.until) for one in led.left_servers] == [(old.name, None)]
    cached = seen(led, 10, "ns1.new.test.")
    assert [one.until for one in cached.left_servers] == [NOON + timedelta(seconds=3610)]
    assert seen(cached, 3609, "ns1.new.test.") is cached
    assert [one.until for one in seen(cached, 3000, "ns2.old.test.").left_servers] == [None], "a cut leads there again"
    assert seen(cached, 3610, "ns1.new.test.").left_servers == ()
    unknown = pools.observe(cached, ready=True, message="", in_use=cached.in_use, now=NOON + timedelta(days=1))
    assert unknown.state is None, "who cannot look lets nobody go"
    back = pools.change(cached, replace(cached, name_server_set=old.name), held, "admin", NOON).state
    assert [one.servers for one in back.left_servers] == [new.name]


def server_set(name: str) -> ServerSet:
    hosts = tuple(f"ns{n}.{name}.test." for n in (1, 2))
    return ServerSet(name, "uid", hosts, tuple(map(Endpoint, hosts)), NOON, NOON)
