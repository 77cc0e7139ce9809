"""How releases move; pure."""

import pytest
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
from catalyst_cloud_sandbox.agent.troubles import Trouble
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


def meeting(effect: str, **about: object) -> Pace:
    return Pace("seed", troubles=(Trouble("1", effect, **about),))  # type: ignore[arg-type]  # of several types


def to_rest(releases: Releases, pace: Pace) -> Releases:
    """Once nothing happens by itself any more."""
    while (moment := next_moment(releases)) is not None:
        releases = advance(releases, moment, pace)
    return releases


@pytest.mark.parametrize(
    ("effect", "reason"),
    [("fail_install", "InstallFailed"), ("stuck", "InstallFailed"), ("chart_pull", "ChartPullError")],
)
def test_a_try_that_meets_trouble_fails_and_the_next_one_may_not(effect: str, reason: str) -> None:
    once = meeting(effect, name="bp-base")
    begun = at(NOON, BASE, APP, pace=once)
    (moment,) = [release.until for release in begun.values() if release.until]
    failed = advance(begun, moment, once)[BASE.key]
    assert (failed.failures, failed.phase) == (1, Phase.WORKING)
    assert ready(to_rest(begun, once)[BASE.key]) == ("True", "InstallSucceeded")
    always = meeting(effect, times=-1, name="bp-b*")
    given_up = to_rest(at(NOON, BASE, APP, pace=always), always)
    assert (given_up[BASE.key].phase, ready(given_up[BASE.key])) == (Phase.STALLED, ("False", reason))
    healed = to_rest(advance(poke(given_up, ["bp-base"], LATER), LATER, PACE), PACE)
    assert all(release.is_ready for release in healed.values())


def test_a_slow_install_takes_longer_and_succeeds() -> None:
    usual, slow = at(NOON, BASE), at(NOON, BASE, pace=meeting("slow_install", delay=60.0))
    assert slow[BASE.key].until - usual[BASE.key].until == 60
    assert advance(slow, NOON + 200, PACE)[BASE.key].is_ready


def test_what_flaps_is_installed_once_more_and_what_is_unwell_is_so_until_it_is_cleared() -> None:
    done = advance(at(NOON, BASE), LATER, PACE)
    flapping = meeting("flap")
    again = advance(done, LATER, flapping)
    assert again[BASE.key].phase is Phase.WORKING
    assert advance(again, LATER + 1000, flapping)[BASE.key].is_ready
    unwell = advance(done, LATER, meeting("degrade"))
    assert ready(unwell[BASE.key]) == ("False", "HealthCheckFailed")
    assert advance(unwell, LATER + 1000, meeting("degrade")) == unwell
    assert ready(advance(unwell, LATER, PACE)[BASE.key]) == ("True", "UpgradeSucceeded")
