"""Promotions, decided without a server: three gates, freed one by one, and the way past them."""

from datetime import UTC, datetime, timedelta

import pytest
from catalyst_environment.domain import applications, promotions
from catalyst_environment.domain.applications import Application, Pin, Wanted
from catalyst_environment.domain.promotions import Gate, GateState, Policy, Promotion, Window, judge, may_pass

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)  # a Thursday
COMMIT = "a" * 40
POLICY = Policy("acme-prod", NOON, NOON, 1, required_approvals=2, soak=timedelta(hours=4), required_score=80)


def active(at: datetime = NOON, score: int | None = None, uses: tuple[str, ...] = ()) -> Application:
    wanted = Wanted("blog", "blueprints/bp-blog", Pin("1.0.0", "d", {}, ""), uses, {}, False)
    made = applications.install(None, wanted, "acme-dev", "acme", {}, uid="u", run="r", now=at).state
    written = applications.settle(applications.committed(made, COMMIT, at).state, at).state
    return applications.observe(written, COMMIT, healthy=True, message="", now=at, score=score).state


def asked(source: Application | None = None) -> Promotion:
    return promotions.ask([], source or active(), "acme-prod", id="p", requester="ada", now=NOON).state


def states(gates: tuple[Gate, ...]) -> dict[str, str]:
    return {gate.name: gate.state.value for gate in gates if gate.state is not GateState.PASSED}


def test_it_is_held_for_three_reasons_and_freed_one_by_one() -> None:
    held, source = asked(), active()
    assert states(judge(POLICY, held, source, [], NOON)) == {
        "approvals": "waiting",
        "soak": "waiting",
        "score": "unknown",
    }  # fmt: skip - one table
    for who in ("ada", "bo", "bo"):
        held = promotions.approve(held, who, NOON).state
    assert "approvals" in states(judge(POLICY, held, source, [], NOON)), "the requester's own does not count"
    held = promotions.approve(held, "cy", NOON).state
    assert states(judge(POLICY, held, source, [], NOON)) == {"soak": "waiting", "score": "unknown"}
    later = NOON + timedelta(hours=4)
    assert states(judge(POLICY, held, active(score=79), [], later)) == {"score": "waiting"}
    gates = judge(POLICY, held, active(score=80), [], later)
    assert states(gates) == {}
    assert may_pass(held, gates, later)


def test_another_commit_in_its_place_is_not_the_candidate() -> None:
    held = asked()
    source = applications.committed(active(), "b" * 40, NOON).state
    gates = judge(Policy("acme-prod", NOON, NOON, 0), held, source, [], NOON)
    assert states(gates) == {"candidate": "waiting"}
    assert states(judge(POLICY, held, None, [], NOON))["candidate"] == "waiting"


def test_what_it_needs_comes_first() -> None:
    source = active(uses=("db",))
    gates = judge(Policy("acme-prod", NOON, NOON, 0), asked(source), source, [], NOON)
    assert states(gates) == {"dependencies": "waiting"}


def test_past_the_gates_lead_two_people_within_four_hours_and_not_past_what_is_missing() -> None:
    held = promotions.override(asked(), "ada", "down", NOON).state
    gates = judge(POLICY, held, active(), [], NOON)
    assert not may_pass(held, gates, NOON)
    again = promotions.override(held, "ada", "down", NOON).state
    assert not may_pass(again, gates, NOON), "one person is not two"
    both = promotions.override(held, "bo", "down", NOON + timedelta(hours=3)).state
    assert may_pass(both, gates, NOON + timedelta(hours=3))
    assert not may_pass(both, gates, NOON + timedelta(hours=4))
    assert not may_pass(both, judge(POLICY, both, None, [], NOON), NOON)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        (datetime(2026, 1, 1, 21, 29, tzinfo=UTC), False),
        (datetime(2026, 1, 1, 21, 30, tzinfo=UTC), True),
        (datetime(2026, 1, 2, 0, 29, tzinfo=UTC), True),
        (datetime(2026, 1, 2, 0, 30, tzinfo=UTC), False),
        (datetime(2026, 1, 2, 21, 30, tzinfo=UTC), False),
    ],
)
def test_a_window_opens_in_its_zone_and_lasts_past_midnight(moment: datetime, is_open: bool) -> None:
    window = Window((4,), "22:30", timedelta(hours=3))
    policy = Policy("acme-prod", NOON, NOON, 1, windows=(window,), time_zone="Europe/Berlin")
    assert ("window" not in states(judge(policy, asked(), active(), [], moment))) == is_open


def test_one_of_an_application_at_a_time_and_only_within_its_organization() -> None:
    with pytest.raises(promotions.PromotionExists):
        promotions.ask([asked()], active(), "acme-prod", id="q", requester="bo", now=NOON)
    for target in ("acme-dev", "other-prod"):
        with pytest.raises(promotions.PromotionInvalid):
            promotions.ask([], active(), target, id="q", requester="bo", now=NOON)
    with pytest.raises(promotions.TimeZoneUnknown):
        promotions.set_policy(POLICY, {"time_zone": "Mars/Base"}, NOON)
