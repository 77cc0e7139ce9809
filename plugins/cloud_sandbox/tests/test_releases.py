"""How releases move; pure."""

from catalyst_cloud_sandbox.agent.releases import (
    RETRIES,
    UNINSTALL,
    Pace,
    Phase,
    Release,
    Releases,
    Wish,
    adopt,
    advance,
    next_moment,
    poke,
)
from hypothesis import given, settings
from hypothesis import strategies as st

NOON = 1_000_000.0
PACE = Pace("seed")
LATER = NOON + 1000
BASE = Wish("bp-base", "flux-system")
APP = Wish("bp-app", "flux-system", depends_on=("flux-system/bp-base",))


def at(now: float, *wishes: Wish, before: Releases | None = None, pace: Pace = PACE) -> Releases:
    return advance(adopt(before or {}, wishes, now, pace), now, pace)


def ready(release: Release) -> tuple[str, str]:
    found = release.condition("Ready")
    return (found.status, found.reason) if found else ("", "")


def test_a_release_waits_until_what_it_depends_on_is_ready() -> None:
    begun = at(NOON, BASE, APP)
    assert ready(begun[APP.key]) == ("False", "DependencyNotReady")
    assert ready(begun[BASE.key]) == ("Unknown", "Progressing")
    moment = next_moment(begun)
    assert moment
    after = advance(begun, moment, PACE)
    assert ready(after[BASE.key]) == ("True", "InstallSucceeded")
    assert ready(after[APP.key]) == ("Unknown", "Progressing")


def test_a_dependency_that_nobody_wishes_blocks_for_ever() -> None:
    assert ready(advance(at(NOON, APP), LATER, PACE)[APP.key]) == ("False", "DependencyNotReady")


def test_a_changed_manifest_is_a_new_generation_that_is_observed_when_done() -> None:
    done = advance(at(NOON, BASE), LATER, PACE)
    changed = at(LATER, Wish("bp-base", "flux-system", fingerprint="2"), before=done)[BASE.key]
    assert (changed.generation, changed.observed_generation, changed.is_ready) == (2, 1, False)
    again = advance({BASE.key: changed}, LATER + 1000, PACE)[BASE.key]
    assert (again.observed_generation, ready(again)) == (2, ("True", "UpgradeSucceeded"))


def test_what_the_tree_no_longer_has_is_uninstalled_and_then_gone() -> None:
    done = advance(at(NOON, BASE, APP), LATER, PACE)
    less = at(LATER, BASE, before=done)
    assert less[APP.key].phase is Phase.REMOVING
    assert set(advance(less, LATER + UNINSTALL, PACE)) == {BASE.key}


def test_an_install_that_outlasts_its_timeout_is_tried_again_and_then_stalls_until_poked() -> None:
    slow = Wish("bp-base", "flux-system", timeout=0.5)
    now, releases = NOON, at(NOON, slow)
    for _ in range(RETRIES + 1):
        moment = next_moment(releases)
        assert moment
        now = moment
        releases = advance(releases, now, PACE)
    stalled = releases[slow.key]
    assert (stalled.phase, stalled.failures, ready(stalled)) == (Phase.STALLED, RETRIES + 1, ("False", "InstallFailed"))
    assert next_moment(releases) is None
    tried = advance(poke(releases, ["bp-base"], now), now, PACE)[slow.key]
    assert (tried.phase, tried.failures) == (Phase.WORKING, 0)


def test_durations_scale_and_repeat_with_their_seed() -> None:
    fast = at(NOON, BASE, pace=Pace("seed", 0.05))[BASE.key].until - NOON
    assert abs(fast * 20 - (at(NOON, BASE)[BASE.key].until - NOON)) < 1e-6
    assert at(NOON, BASE) == at(NOON, BASE)
    assert at(NOON, BASE) != at(NOON, BASE, pace=Pace("other"))


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.sampled_from("abcdef"), min_size=1, unique=True), st.data())
def test_nothing_is_ready_before_what_it_needs(names: list[str], data: st.DataObject) -> None:
    wishes = [
        Wish(name, "x", depends_on=tuple(f"x/{n}" for n in names[:i] if data.draw(st.booleans())))
        for i, name in enumerate(names)
    ]
    releases, steps = at(NOON, *wishes), 0
    while moment := next_moment(releases):
        releases, steps = advance(releases, moment, PACE), steps + 1
        assert all(releases[key].is_ready for r in releases.values() if r.is_ready for key in r.wish.depends_on)
    assert all(release.is_ready for release in releases.values())
    assert steps <= len(names)
