"""What people decide about versions: moves of the table and no other, told once, with the Blueprint following."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from catalyst_catalog.domain import moderation, versions
from catalyst_catalog.domain.manifest_parts import Visibility
from catalyst_catalog.domain.refusals import IllegalTransition
from catalyst_catalog.domain.sources import Blueprint, BlueprintUpdated
from catalyst_catalog.domain.universe import State
from catalyst_catalog.domain.versions import MOVES, Moderation, Version, VersionUnyanked
from catalyst_sdk import Decision

from .makers import NOON, document

BY = Moderation("ada", "it loses mail", NOON + timedelta(hours=1), catalog_revision=8)
Command = Callable[[Version, Moderation], Decision[Version]]
COMMANDS: dict[str, tuple[Command, State]] = {
    "yank": (versions.yank, State.YANKED),
    "unyank": (versions.unyank, State.VERIFIED),
    "deprecate": (versions.deprecate, State.DEPRECATED),
    "restore": (versions.restore, State.VERIFIED),
    "quarantine": (versions.quarantine, State.QUARANTINED),
    "release": (versions.release, State.VERIFIED),
}

LEAVES = {
    "yank": {State.VERIFIED, State.DEPRECATED},
    "unyank": {State.YANKED},
    "deprecate": {State.VERIFIED},
    "restore": {State.DEPRECATED},
    "quarantine": set(State),
    "release": {State.QUARANTINED},
}
"""States that each command leaves."""


def version(number: str = "1.0.0", state: State = State.VERIFIED) -> Version:
    return Version(
        "bp-shop",
        "",
        number,
        f"sha256:{number}",
        "public",
        "shop",
        state,
        "",
        document("bp-shop", number),
        (),
        (),
        NOON,
        NOON,
        1,
    )  # fmt: skip - one row


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("state", State)
def test_a_command_moves_as_the_table_says_or_refuses_or_finds_it_done(name: str, state: State) -> None:
    command, to = COMMANDS[name]
    before = version(state=state)
    done = state is to or (name == "unyank" and state is State.DEPRECATED)
    if not done and state not in LEAVES[name]:
        with pytest.raises(IllegalTransition, match=f"is {state.name}"):
            command(before, BY)
        return
    decision = command(before, BY)
    if done:
        assert decision == Decision(before)
        return
    after = decision.state
    assert after.state in MOVES[state]
    assert (after.revision, after.reason, after.state_since) == (2, BY.reason, BY.now)
    assert len(decision.events) == 1


def test_a_quarantine_is_left_by_a_release_and_by_nothing_else() -> None:
    broken = version(state=State.QUARANTINED)
    for name in COMMANDS.keys() - {"release", "quarantine"}:
        with pytest.raises(IllegalTransition, match="allowed are release"):
            COMMANDS[name][0](broken, BY)
    assert versions.release(broken, BY).state.state is State.VERIFIED


def test_a_withdrawal_that_is_taken_back_leaves_a_deprecated_version_deprecated() -> None:
    old = versions.deprecate(version(), BY, replacement="blueprints/bp-store").state
    lost, found = replace(BY, reason="it burns"), replace(BY, reason="it does not")
    decision = versions.unyank(versions.yank(old, lost).state, found)
    back = decision.state
    assert (back.state, back.replacement) == (State.DEPRECATED, "blueprints/bp-store")
    assert (back.reason, back.came_with) == (BY.reason, ""), "it is deprecated for the reason for which it was"
    (told,) = decision.events
    assert isinstance(told, VersionUnyanked)
    assert told.reason == "it does not"


def shop(newest: str) -> Blueprint:
    return Blueprint("bp-shop", "", "public", 0, newest, Visibility.LISTED, None, 3)


def test_the_newest_version_of_a_blueprint_is_the_newest_that_is_offered() -> None:
    old, new = version("1.0.0"), version("2.0.0")
    gone = moderation.follow(versions.yank(new, BY), shop("2.0.0"), [old, new], 7)
    assert gone.state.blueprint is not None
    assert (gone.state.blueprint.newest, gone.state.blueprint.revision) == ("1.0.0", 4)
    assert [change.revision for change in gone.state.changes] == [8, 9]
    assert isinstance(gone.events[1], BlueprintUpdated)
    back = moderation.follow(
        versions.unyank(gone.state.version, BY), gone.state.blueprint, [old, gone.state.version], 9
    )
    assert back.state.blueprint is not None
    assert back.state.blueprint.newest == "2.0.0"


def test_an_older_version_may_go_without_a_word_about_its_blueprint() -> None:
    old, new = version("1.0.0"), version("2.0.0")
    gone = moderation.follow(versions.yank(old, BY), shop("2.0.0"), [old, new], 7)
    assert gone.state.blueprint is None
    assert len(gone.events) == 1


def test_what_is_done_already_writes_and_tells_nothing() -> None:
    again = moderation.follow(versions.yank(version(state=State.YANKED), BY), shop("1.0.0"), [], 7)
    assert (again.state.changes, again.events) == ((), ())


def test_a_state_that_somebody_decided_keeps_the_bytes() -> None:
    before = version()
    after = versions.quarantine(before, BY).state
    assert replace(after, state=before.state, reason="", state_since=NOON, revision=1) == before
