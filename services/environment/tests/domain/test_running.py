"""What clusters show of an Application, and which clusters are an Environment's, decided without a server."""

from dataclasses import replace
from datetime import timedelta

import pytest
from catalyst_environment.domain import applications, environments, running
from catalyst_environment.domain.applications import Application, State
from catalyst_environment.domain.environments import Environment, Host, Region
from catalyst_environment.domain.placing import Candidate, choose
from catalyst_environment.domain.running import Mode
from catalyst_environment.domain.sights import Sight, Stand

from .test_applications import COMMIT, NOON, OTHER, made, written

EAST, WEST = "sovereigns/acme/clusters/sb-east-rtz-prod", "sovereigns/acme/clusters/sb-west-rtz-prod"
LATER = NOON + timedelta(minutes=1)


def saw(one: Application, state: Stand, commit: str = COMMIT, cluster: str = EAST, message: str = "") -> Application:
    return running.see(one, cluster, Sight(cluster, state, message, commit, LATER), LATER).state


def told(one: Application, type: str) -> tuple[bool | None, str]:
    return next((c.holds, c.message) for c in one.conditions if c.type == type)


def reason(one: Application, type: str) -> str:
    return next(c.reason for c in one.conditions if c.type == type)


def test_it_is_active_when_every_cluster_runs_the_wished_commit_and_not_before() -> None:
    one = running.expect(written(made("blog")), [EAST, WEST], NOON).state
    assert [s.state for s in one.sights] == [Stand.PENDING, Stand.PENDING]
    assert saw(one, Stand.READY, OTHER).state is State.INSTALLING, "of another commit that says nothing"
    half = saw(one, Stand.READY)
    assert (half.state, told(half, "Healthy")[0]) == (State.INSTALLING, False)
    assert "1 of 2" in told(half, "Healthy")[1]
    whole = running.see(half, WEST, Sight(WEST, Stand.READY, "", COMMIT, LATER), LATER)
    assert (whole.state.state, whole.state.active_since) == (State.ACTIVE, LATER)
    assert [type(fact).__name__ for fact in whole.events] == ["Installed"]
    again = running.see(whole.state, WEST, Sight(WEST, Stand.READY, "", COMMIT, LATER + timedelta(days=1)), LATER)
    assert again.state is whole.state, "the same word again changes nothing"


def test_a_cluster_that_is_away_leaves_it_unknown_and_never_healthy() -> None:
    active = saw(written(made("blog")), Stand.READY)
    lost = running.lost_sight(active, EAST, "the provisioner does not answer", LATER).state
    assert (lost.state, lost.active_since, told(lost, "Healthy")) == (
        State.DEGRADED, None, (None, f"{EAST}: the provisioner does not answer"),
    )  # fmt: skip
    assert saw(lost, Stand.READY).state is State.ACTIVE
    assert running.lost_sight(active, WEST, "away", LATER).state is active, "it was never there"


def test_a_cluster_that_gave_up_degrades_it_with_the_reason() -> None:
    one = written(made("blog"))
    assert saw(one, Stand.INSTALLING).state is State.INSTALLING
    broken = saw(one, Stand.FAILED, message="gave up after 3 retries")
    assert broken.state is State.DEGRADED
    assert "gave up after 3 retries" in told(broken, "Healthy")[1]


def test_what_a_run_works_on_and_what_is_paused_keep_their_state() -> None:
    busy = running.see(made("blog"), EAST, Sight(EAST, Stand.READY, "", COMMIT, NOON), NOON).state
    assert busy.state is State.INSTALLING
    active = saw(written(made("blog")), Stand.READY)
    paused = written(applications.change(active, active.pin, "run-2", NOON, paused=True).state, OTHER)
    left = saw(paused, Stand.DEGRADED)
    assert (left.state, told(left, "Healthy")[0]) == (State.PAUSED, False), "a paused one only reports"
    assert running.mode(left, is_suspended=False) is Mode.LEAVE
    assert running.mode(left, is_suspended=True) is Mode.STOP


def test_on_the_way_out_users_leave_first_and_a_cluster_says_who_is_gone() -> None:
    blog, base = saw(written(made("blog", "base")), Stand.READY), saw(written(made("base")), Stand.READY)
    blog = applications.uninstall(blog, "run-2", NOON).state
    base = applications.uninstall(base, "run-2", NOON).state
    assert (running.is_wished(blog, [blog, base]), running.is_wished(base, [blog, base])) == (False, True)
    assert told(saw(blog, Stand.PENDING, message="going"), "Left") == (False, f"{EAST}: going")
    blog = running.see(blog, EAST, None, LATER).state
    assert (blog.sights, told(blog, "Left")[0], blog.state) == ((), True, State.UNINSTALLING)
    assert not running.is_wished(base, [blog, base])
    back = applications.take_back(base, "", LATER).state
    assert (back.state, running.is_wished(back, [back])) == (State.ACTIVE, True), "a cancelled one comes back"


def test_what_a_cluster_still_has_five_minutes_after_is_named_as_overdue() -> None:
    blog = applications.uninstall(saw(written(made("blog")), Stand.READY), "run-2", NOON).state
    blog = saw(running.leave(blog, NOON).state, Stand.PENDING, message="the volume data is in use")
    assert (reason(blog, "Left"), running.leave(blog, NOON + timedelta(minutes=4)).state is blog) == ("Leaving", True)
    late = running.leave(blog, NOON + timedelta(minutes=5)).state
    assert (reason(late, "Left"), told(late, "Left")) == ("Overdue", (False, f"{EAST}: the volume data is in use"))
    assert running.leave(late, NOON + timedelta(minutes=9)).state is late, "it is said once"
    assert reason(running.see(late, EAST, None, NOON + timedelta(minutes=9)).state, "Left") == "Gone"
    back = applications.take_back(late, "", NOON + timedelta(minutes=9)).state
    again = applications.uninstall(written(back), "run-3", NOON + timedelta(hours=1)).state
    assert reason(running.leave(again, NOON + timedelta(hours=1)).state, "Left") == "Leaving", "its time begins anew"
    active = saw(written(made("other")), Stand.READY)
    assert running.leave(active, NOON).state is active, "nobody takes it away"


def candidate(cluster: str, *blocks: str, type: str = "prod") -> Candidate:
    return Candidate(Host(cluster, "uid"), "sandbox", cluster.split("-")[1], frozenset(blocks), type)


def place(*regions: Region) -> Environment:
    return environments.create(None, "acme", "prod", regions, NOON).state


FEW = [candidate(EAST, "rtz"), candidate(WEST, "rtz", type="dev")]


@pytest.mark.parametrize(
    ("regions", "found"),
    [
        ((), [EAST]),
        ((Region("sb", "west"),), [WEST]),
        ((Region("sandbox", "east"), Region("sb", "west")), [EAST, WEST]),
        ((Region("sb", "east", host_cluster=WEST),), [WEST]),
    ],
)
def test_clusters_are_chosen_by_the_regions_of_an_environment(regions: tuple[Region, ...], found: list[str]) -> None:
    hosts = choose(place(*regions), FEW)
    assert [one.cluster for one in hosts if isinstance(one, Host)] == found


def test_what_does_not_match_or_matches_twice_is_said_and_not_guessed() -> None:
    assert "no Sovereign" in str(choose(place(), []))
    assert "in hz fsn" in str(choose(place(Region("hz", "fsn")), FEW))
    assert "in sb east" in str(choose(place(Region("sb", "east", "dmz")), FEW))
    both = [replace(one, env_type="dev") for one in FEW]
    assert f"none was chosen: {EAST}, {WEST}" in str(choose(place(), both))
    assert "no cluster of a Sovereign" in str(choose(place(Region("sb", "east", host_cluster=f"{EAST}2")), FEW))
    held = environments.unplaced(place(), "none", NOON).state
    assert environments.unplaced(held, "none", LATER).state is held
    assert environments.place(held, (Host(EAST, "uid"),), LATER).state.hosts == (Host(EAST, "uid"),)
