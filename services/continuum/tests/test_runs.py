"""Runs as records: how they change, how they are kept, and what an agent's word adds to what the store has."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from catalyst.continuum.v1 import resources_pb2
from catalyst_continuum.domain import facts, runs, status, telling
from catalyst_continuum.domain.antiflap import Bounds, Move, bar
from catalyst_continuum.domain.approvals import Approval, Need
from catalyst_continuum.domain.order import MakeSync, Name, next_step
from catalyst_continuum.domain.parsing import parse
from catalyst_continuum.domain.reprotect import MOST, Repair, may_destroy
from catalyst_continuum.domain.runs import Kind, Mark, PastNoReturn, Run, RunInProgress, RunState, StepState, mark_of
from catalyst_continuum.domain.spec import Failback, Policy, Spec
from catalyst_continuum.domain.spec_rules import House
from catalyst_sdk.continuum import DatabaseView, Role

from .manifests import having, stateful

EAST, WEST = "sb-east-rtz-dev", "sb-west-rtz-dev"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
AT = NOON.timestamp()
RUN = runs.opened(Run("abcdefghij", "demo/shop", Kind.SWITCHOVER, EAST, WEST, 4, 4, initiated_by="ann"), AT)
WEST_ONLY, BOTH, NONE = frozenset({WEST}), frozenset({EAST, WEST}), frozenset[str]()


def test_a_run_is_read_back_as_it_was_written() -> None:
    approval = Approval("bob", "org-admin", "0" * 16, NOON)
    run = replace(
        runs.began(RUN, 3, AT), need=Need(1, ("bob",), False, NOON + timedelta(minutes=15)), approvals=(approval,)
    )
    assert runs.read(runs.written(run)) == run
    assert runs.read(runs.written(RUN)) == RUN


def test_what_comes_before_the_phase_in_hand_is_done() -> None:
    run = runs.began(RUN, 6, AT + 1)
    states = [step.state for step in run.steps]
    assert states == [StepState.DONE] * 5 + [StepState.RUNNING] + [StepState.PENDING] * 8
    assert runs.began(run, 6, AT + 2).steps[5].attempt == 2


def test_there_is_no_way_back_once_the_epoch_has_moved() -> None:
    assert runs.aborting(runs.began(RUN, 7, AT), AT, "no").state is RunState.ABORTING
    with pytest.raises(PastNoReturn):
        runs.aborting(runs.moved(RUN, 5, AT), AT, "no")


def test_of_a_takeover_it_is_told_who_agreed_and_whether_the_cells_were_asked() -> None:
    agreed = Approval("bob", "role:org-admin", "f" * 16, NOON)
    forced = runs.opened(replace(RUN, kind=Kind.TAKEOVER, force=True, unwitnessed=True, approvals=(agreed,)), 0.0)
    told = list(telling.of_run(forced, runs.began(forced, 5, 1.0), NOON))
    (taken,) = [fact for fact in told if isinstance(fact, facts.TakeoverForced)]
    assert (taken.approvals, taken.unwitnessed) == ((("bob", "role:org-admin", "f" * 16),), True)
    again = runs.began(runs.began(forced, 5, 1.0), 6, 2.0)
    assert not any(
        isinstance(one, facts.TakeoverForced) for one in telling.of_run(runs.began(forced, 5, 1.0), again, NOON)
    )


def test_that_people_are_asked_and_what_they_say_is_told() -> None:
    need = Need(2, ("bob", "cyd"), False, NOON + timedelta(minutes=15))
    waiting = replace(RUN, state=RunState.AWAITING_APPROVAL, need=need)
    (asked,) = telling.of_run(None, waiting, NOON)
    assert isinstance(asked, facts.ApprovalRequested)
    assert (asked.needed, asked.until, asked.by) == (2, need.until, "ann")
    assert not list(telling.of_run(waiting, waiting, NOON)), "once"
    given = telling.approved(waiting, Approval("bob", "", "f" * 16, NOON, "go"), 1)
    assert isinstance(given, facts.ApprovalGranted)
    assert (given.approver, given.missing, given.reason, given.run) == ("bob", 1, "go", waiting.name)


@pytest.mark.parametrize(
    ("kind", "evidence", "fact"),
    [
        (
            "region.fenced",
            {"level": "3", "took": "1.5"},
            facts.RegionFenced(region=EAST, level=3, took=1.5, evidence={"level": "3", "took": "1.5"}),
        ),
        ("region.unfenced", {}, facts.RegionUnfenced(region=EAST)),
        (
            "effect.rejected",
            {"effector": "names", "stale": "4", "stored": "5"},
            facts.EffectRejected(effector="names", stale=4, stored=5),
        ),
        ("failsafe.entered", {"promised_by": f"{WEST},c"}, facts.FailsafeEntered(promised_by=(WEST, "c"))),
        ("lease.collided", {}, facts.LeaseCollided(refused=EAST)),
        ("failsafe.left", {"recovered": "yes"}, facts.FailsafeLeft(recovered=True)),
        ("database.qualified", {}, facts.DatabaseQualified(standby=EAST)),
        (
            "continuum.errored",
            {"condition": "Fenced", "reason": "BudgetSpent"},
            facts.ContinuumErrored(condition="Fenced", reason="BudgetSpent"),
        ),
        ("splitbrain.suspected", {}, facts.SplitbrainSuspected(writable=(EAST,))),
        ("run.completed", {}, None),
    ],
)  # fmt: skip - a table
def test_what_an_agent_tells_is_a_fact_of_its_region(
    kind: str, evidence: dict[str, str], fact: facts.Fact | None
) -> None:
    assert telling.of_agent(kind, EAST, "", evidence) == fact


def test_what_got_worse_is_told_once_and_what_gets_better_is_not() -> None:
    def told(before: dict[str, str], after: dict[str, str]) -> list[facts.Fact]:
        rows = [
            [status.Condition(kind, status.Truth.FALSE, reason, "m") for kind, reason in one.items()]
            for one in (before, after)
        ]
        known = status.Facts(EAST, lags={WEST: 7.5, EAST: None}, gaps={WEST: 900})
        return list(telling.of_conditions(rows[0], rows[1], known, 5.0))

    lost, degraded, reachable = ({"WitnessReady": word} for word in ("QuorumLost", "MinorityDown", "QuorumReachable"))
    assert [type(one) for one in told({}, lost)] == [facts.WitnessLost]
    assert [type(one) for one in told(reachable, degraded)] == [facts.WitnessDegraded]
    assert [type(one) for one in told(degraded, lost)] == [facts.WitnessLost]
    assert told(lost, lost) == told(lost, degraded) == told(degraded, reachable) == []
    (behind,) = told({"ReplicationWithinRPO": "Ok"}, {"ReplicationWithinRPO": "LagExceeded"})
    assert behind == facts.DatabaseLagged(
        standby=WEST, rpo=5.0, gap_bytes=900, lag=7.5, reason="LagExceeded", message="m"
    )


def test_how_long_a_phase_took_is_told_from_its_first_attempt_and_not_guessed() -> None:
    begun = runs.began(runs.began(RUN, 2, AT), 2, AT + 3)
    ended = runs.reached(begun, 2, AT + 5, "")
    took = [one.took for one in telling.of_run(begun, ended, NOON) if isinstance(one, facts.RunProgressed)]
    assert took == [5.0]


def test_a_way_back_is_awaited_once_the_preferred_region_has_had_every_write_for_long_enough() -> None:
    spec = parse(having(stateful(), failback__stableFor="15m"), House("demo"))
    west = spec.standbys[0]
    away = status.Facts(west, record="held", holder=west, epoch=4)

    def told(known: status.Facts, stable: float | None, spec: Spec = spec) -> list[facts.Fact]:
        return list(telling.of_way_back(known, spec, stable, NOON))

    (awaited,) = told(away, 900.0)
    assert isinstance(awaited, facts.FailbackAwaited)
    assert awaited.stable_since == NOON - timedelta(minutes=15)
    assert (awaited.from_primary, awaited.to_primary) == (west, spec.primary)
    assert told(away, None) == told(away, 899.0) == []
    assert told(replace(away, record="handoff"), 900.0) == []
    assert told(replace(away, holder="", epoch=5), 900.0) == [], "only the holder says so"
    assert told(status.Facts(spec.primary, record="held", holder=spec.primary), 900.0) == []
    assert told(away, 900.0, replace(spec, failback=Failback(Policy.NEVER, 900.0))) == []


@pytest.mark.parametrize("kind", Kind)
def test_a_run_of_each_kind_is_told_in_the_words_of_the_contract(kind: Kind) -> None:
    run = runs.opened(replace(RUN, kind=kind), AT)
    (started,) = (
        fact for fact in telling.of_run(run, runs.began(run, 2, AT), NOON) if isinstance(fact, facts.RunStarted)
    )
    assert f"RUN_KIND_{started.kind}" in resources_pb2.RunKind.keys()  # noqa: SIM118 - an enum of the contract is no mapping


def test_a_slot_has_one_run_at_a_time() -> None:
    runs.must_be_free([runs.over(RUN, RunState.ABORTED, AT)])
    with pytest.raises(RunInProgress, match="abcdefghij"):
        runs.must_be_free([runs.over(RUN, RunState.ABORTED, AT), RUN])


def test_an_agent_that_knows_a_run_by_its_record_alone_takes_nothing_away_from_it() -> None:
    known = runs.began(RUN, 5, AT)
    told = Run(RUN.id, RUN.slot, RUN.kind, EAST, WEST, 4, 5, state=RunState.RUNNING)
    after = runs.merged(known, told)
    assert (after.initiated_by, after.epoch, after.steps) == ("ann", 5, known.steps)
    assert after.version > known.version
    over = runs.over(after, RunState.SUCCEEDED, AT)
    assert runs.merged(over, told) == over


@pytest.mark.parametrize("text", ["", "s", "s0", "s15", "f12", "x1", "sx"])
def test_what_is_no_mark_names_no_run(text: str) -> None:
    assert mark_of(text) is None


def test_a_mark_says_whose_phase_it_is_and_whether_a_write_was_seen() -> None:
    assert [mark for n in range(1, 15) if (mark := Mark(Kind.SWITCHOVER, n)).is_sources][-1].name == "Handoff"
    assert not Mark(Kind.FAILOVER, 6).is_verified
    assert Mark(Kind.FAILOVER, 7).is_verified
    assert mark_of(str(Mark(Kind.FAILBACK, 12))) == Mark(Kind.FAILBACK, 12)


def test_a_region_is_synchronous_before_the_record_says_so_and_until_it_does_not_any_more() -> None:
    assert next_step(NONE, NONE, WEST_ONLY) == MakeSync(WEST_ONLY)
    assert next_step(NONE, WEST_ONLY, WEST_ONLY) == Name(WEST_ONLY)
    assert next_step(WEST_ONLY, WEST_ONLY, WEST_ONLY) is None
    assert next_step(WEST_ONLY, WEST_ONLY, NONE) == Name(NONE)
    assert next_step(NONE, WEST_ONLY, NONE) == MakeSync(NONE)
    assert next_step(WEST_ONLY, None, WEST_ONLY) is None
    assert next_step(BOTH, None, WEST_ONLY) == Name(WEST_ONLY)


def test_a_slot_moves_by_itself_only_so_often_and_never_soon_back() -> None:
    bounds, move = Bounds(min_interval=60, most=2, window=600), Move(100.0, EAST, WEST)
    assert "does not take it back" in bar([move], EAST, bounds, 130.0)
    assert not bar([move], EAST, bounds, 160.0)
    assert "the limit is 2" in bar([move, replace(move, at=200.0, source=WEST, target=EAST)], WEST, bounds, 300.0)
    assert not bar([move], EAST, bounds, 130.0, acknowledged_at=120.0)
    assert not bar([replace(move, automatic=False)], EAST, bounds, 130.0)


OWN = DatabaseView(EAST, Role.REPLICA, writable=False, ready=False, timeline=3)
PRIMARY = DatabaseView(WEST, Role.PRIMARY, writable=True, ready=True, timeline=4, epoch=5)


def test_a_copy_is_given_up_only_where_every_guard_is_known_to_hold() -> None:
    def may(own: DatabaseView | None = OWN, primary: DatabaseView | None = PRIMARY, *, fenced: bool = True) -> bool:
        return may_destroy(Repair(), fenced=fenced, own=own, primary=primary, epoch=5, now=1000.0)

    assert may()
    assert not may(fenced=False)
    assert not may(own=None)
    assert not may(primary=None)
    assert not may(own=replace(OWN, ready=True))
    assert not may(own=replace(OWN, timeline=None))
    assert not may(own=replace(OWN, timeline=4))
    assert not may(own=replace(OWN, role=Role.PRIMARY, writable=None))
    assert not may(primary=replace(PRIMARY, epoch=4))
    assert not may(primary=replace(PRIMARY, writable=None))
    assert not may(primary=replace(PRIMARY, age=61.0))


def test_the_repair_of_a_copy_is_bounded() -> None:
    repair, at = Repair(), 0.0
    for attempt in range(1, MOST + 1):
        assert repair.is_due(5, at)
        repair = repair.tried(5, at)
        assert repair.attempts == attempt
        assert not repair.is_due(5, at + 179.0 * attempt)
        at += 180.0 * attempt
    assert repair.is_bounded(5)
    assert not repair.is_due(5, at + 10_000)
    assert repair.is_due(6, at)
