"""Grants, decided without a cluster."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from catalyst_provisioner.domain import grants
from catalyst_provisioner.domain.grants import AccessHandedOut, AccessRefused, Grant, Granted, Revoked

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ENDS = NOON + timedelta(hours=1)
ASKED = Grant("grant-1", "omantel", "0" * 36, "k", "sb-east", "view", "ada", "look", "asked", 3600, NOON, ENDS, 1)
MINTED = grants.minted(ASKED, token=b"sealed", ca_bundle="PEM", expires_at=ENDS).state


def test_a_grant_is_active_by_the_agents_word_and_told_once() -> None:
    first = grants.minted(ASKED, token=b"sealed", ca_bundle="PEM", expires_at=ENDS)
    assert (first.state.state, first.events) == ("active", (Granted(first.state),))
    assert not grants.minted(first.state, token=b"other", ca_bundle="", expires_at=ENDS).events


def test_what_was_minted_is_answered_once() -> None:
    after = grants.handed_out(MINTED)
    assert after.token is None
    with pytest.raises(AccessHandedOut):
        grants.handed_out(after)


def test_an_agent_that_cannot_mint_says_why() -> None:
    with pytest.raises(AccessRefused, match="not on a Tuesday"):
        grants.handed_out(grants.refused(ASKED, "not on a Tuesday"))


def test_a_grant_ends_by_itself_at_its_moment_and_cannot_be_revoked_after_it() -> None:
    assert MINTED.state_at(ENDS - timedelta(seconds=1)) == "active"
    assert MINTED.state_at(ENDS) == "expired"
    assert grants.revoke(MINTED, by="ada", why="", now=ENDS) == MINTED


def test_a_revoked_grant_is_revoked_when_the_agent_says_so_and_told_once() -> None:
    asked = grants.revoke(MINTED, by="ada", why="done", now=NOON)
    assert (asked.state, asked.token) == ("revoking", None)
    assert grants.revoke(asked, by="eve", why="me too", now=NOON) == asked
    done = grants.ended(asked, NOON)
    assert (done.state.state, done.state.revoked_by, done.events) == ("revoked", "ada", (Revoked(done.state),))
    assert not grants.ended(done.state, NOON).events


def test_only_what_was_minted_and_not_fetched_for_a_while_is_abandoned() -> None:
    later = NOON + timedelta(minutes=3)
    assert grants.is_abandoned(MINTED, later)
    assert not grants.is_abandoned(MINTED, NOON + timedelta(minutes=1))
    assert not grants.is_abandoned(grants.handed_out(MINTED), later)
    assert not grants.is_abandoned(replace(ASKED, token=None), later)
