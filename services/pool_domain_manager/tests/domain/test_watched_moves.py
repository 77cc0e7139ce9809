"""What is told of a move while it is watched, and only then."""

from dataclasses import replace
from datetime import timedelta

import pytest
from catalyst_pool_domain_manager.domain import delegations
from catalyst_pool_domain_manager.domain.conditions import OLD_SERVERS_ANSWER, RESOLVERS_AGREE, Condition, true
from catalyst_pool_domain_manager.domain.delegations import Delegation, Opinion, Snapshot, State, View
from catalyst_sdk.registrar import Target

from .makers import NOON

LATER = NOON + timedelta(minutes=1)
OLD = Target(("ns1.old.test.",))


def watching() -> Delegation:
    d = delegations.none_yet("acme.example", "uid", "organizations/acme", NOON)
    kept = Snapshot("p", OLD, "e", NOON)
    return replace(d, state=State.WATCHING, run="r", snapshot=kept, rollback_until=NOON + timedelta(days=7))


def types(d: Delegation) -> set[str]:
    return {c.type for c in d.conditions}


@pytest.mark.parametrize(
    ("views", "status", "told"),
    [
        ("new new", "True", ""),
        ("new silent", "True", ""),
        ("new old silent", "False", "1 of 2 tell the new name servers; old: r1; silent: r2"),
        ("other", "False", "0 of 1 tell the new name servers; other: r0"),
        ("silent silent", "Unknown", "none of 2 resolvers tells name servers"),
    ],
)
def test_resolvers_agree_when_all_that_say_anything_tell_the_new_servers(views: str, status: str, told: str) -> None:
    said = delegations.opinions([Opinion(f"r{n}", View(view)) for n, view in enumerate(views.split())])
    assert (said.type, said.status, said.message) == (RESOLVERS_AGREE, status, told)


def test_old_servers_that_are_silent_are_named_with_the_time_until_which_they_are_asked() -> None:
    assert delegations.condition_of_old(("ns1.old.test.",), (), LATER).status == "True"
    silent = delegations.condition_of_old(("ns1.old.test.", "ns2.old.test."), ("ns2.old.test.",), LATER)
    assert silent.message == (
        "ns2.old.test. of 2 old name servers give no answer for the domain; whoever has them in a cache asks them until "
        "2026-01-01T12:01:00Z"
    )


def test_what_is_seen_is_told_when_it_changes_and_not_with_every_look() -> None:
    found: tuple[Condition, ...] = (true(OLD_SERVERS_ANSWER),)
    seen = delegations.watched(watching(), found, NOON)
    assert (seen.version, types(seen)) == (watching().version + 1, {OLD_SERVERS_ANSWER})
    assert delegations.watched(seen, found, LATER) is seen


def test_what_was_seen_of_a_watch_ends_with_it() -> None:
    seen = delegations.watched(watching(), (true(OLD_SERVERS_ANSWER), true(RESOLVERS_AGREE)), NOON)
    done = delegations.confirmed(seen, (), (), LATER).state
    back = delegations.roll_back(seen, reason="x", automatic=True, run="b", now=LATER)
    assert types(done) == types(back) == set()
    assert delegations.watched(done, (true(OLD_SERVERS_ANSWER),), LATER) is done
