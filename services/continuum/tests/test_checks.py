"""Every check in every verdict, and the plan that is made of them, without any server."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pytest
from catalyst_continuum.domain.checks import ROWS, ClusterFacts, Facts, Goals, blockers, judged, passes
from catalyst_continuum.domain.plan import Purpose, Times, plan, steps_of
from catalyst_continuum.domain.timing import DEFAULT, FAST
from catalyst_sdk.continuum import AuthorityView, DatabaseView, Role, TrafficPlan, TrafficView, Verdict
from hypothesis import given, settings
from hypothesis import strategies as st

EAST, WEST, NORTH = "sb-east-rtz-dev", "sb-west-rtz-dev", "sb-north-rtz-dev"
PRIMARY = DatabaseView(EAST, Role.PRIMARY, writable=True, ready=True, system_id="7", timeline=3, replayed="0/60")
STANDBY = DatabaseView(
    WEST, Role.REPLICA, writable=False, ready=True, system_id="7", timeline=3, received="0/60", replayed="0/60"
)
NS1 = AuthorityView("ns1", "shop.demo.test", 4, ("192.0.2.1",), 10)
NS2 = replace(NS1, authority="ns2")
GOOD = Facts(
    source=EAST, target=WEST, holder=EAST, epoch=4, cells={"a": True, "b": True, "c": True}, versions=("0.1", "0.1"),
    databases={EAST: PRIMARY, WEST: STANDBY}, same_history=True, lag=0.2, keeps_all=frozenset({WEST}), loss=2.0,
    loss_bytes=4096, reverses=True, cluster=ClusterFacts(3.0, True, 3600.0), traffic=TrafficView((NS1, NS2)),
    writable={"ns1": True, "ns2": True}, fronts={"198.51.100.2": True}, orchestrated=True, capacity=True, frozen=False,
    reverted_by="", clocks=1, offset=0.4, drill_age=86_400.0, needs={"demo/db": WEST}, rules={"quiet": True},
    stable=1000.0, goals=Goals(ttl=10, stable_for=900.0),
)  # fmt: skip
NAMES = TrafficPlan(WEST, {"shop.demo.test": ("198.51.100.2",)}, 10)
TIMES = Times(DEFAULT)
P, W, B, U = Verdict.PASS, Verdict.WARN, Verdict.BLOCK, Verdict.UNKNOWN


def seen(*views: AuthorityView) -> TrafficView:
    return TrafficView(views)


def standby(**changes: Any) -> Mapping[str, DatabaseView]:
    return {EAST: PRIMARY, WEST: replace(STANDBY, **changes)}


CASES: list[tuple[str, Verdict, dict[str, Any]]] = [
    ("lease-holder", B, {"holder": NORTH}), ("lease-holder", B, {"holder": ""}), ("lease-holder", U, {"holder": None}),
    ("epoch-readable", U, {"epoch": None}),
    ("witness-quorum", W, {"cells": {"a": True, "b": True, "c": False}}),
    ("witness-quorum", B, {"cells": {"a": True, "b": False, "c": False}}), ("witness-quorum", B, {"cells": {}}),
    ("witness-sound", W, {"quarantined": frozenset("a")}), ("witness-sound", B, {"quarantined": frozenset("ab")}),
    ("witness-sound", P, {"quarantined": frozenset("xyz")}),
    ("target-agent", B, {"versions": ("0.1", "0.2")}), ("target-agent", U, {"versions": ("0.1", None)}),
    ("target-promotable", B, {"promotable": False}),
    ("target-ready", U, {"databases": {EAST: PRIMARY, WEST: None}}), ("target-ready", U, {"databases": {EAST: PRIMARY}}),
    ("target-ready", U, {"databases": standby(ready=None)}), ("target-ready", B, {"databases": standby(ready=False)}),
    ("target-ready", B, {"databases": standby(role=Role.STOPPED)}),
    ("target-ready", U, {"databases": standby(replayed=None)}), ("target-ready", U, {"databases": standby(received=None)}),
    ("system-identifier", U, {"databases": standby(system_id=None)}), ("system-identifier", U, {"databases": {WEST: STANDBY}}),
    ("system-identifier", B, {"databases": standby(system_id="8")}),
    ("timeline", B, {"same_history": False}), ("timeline", U, {"same_history": None}),
    ("lag", B, {"lag": 1.1}), ("lag", U, {"lag": None}), ("lag", P, {"lag": 2.0, "goals": Goals(max_lag=3, ttl=10)}),
    ("data-loss-guard", P, {"keeps_all": frozenset()}), ("data-loss-guard", P, {"keeps_all": None, "lag": None}),
    ("data-loss-guard", B, {"keeps_all": None, "lag": None, "loss": 5.1}),
    ("data-loss-guard", U, {"keeps_all": frozenset({EAST}), "lag": None, "loss": None}),
    ("data-loss-guard", W, {"keeps_all": None, "lag": None, "loss": 99.0, "accepts_loss": True}),
    ("data-loss-guard", W, {"keeps_all": None, "lag": None, "loss": None, "accepts_loss": True}),
    ("reverse-sync", B, {"reverses": False}), ("reverse-sync", U, {"reverses": None}),
    ("stable", B, {"stable": 899.0}), ("stable", U, {"stable": None}),
    ("switchover-delay", B, {"cluster": ClusterFacts(3600.0, True, 1.0)}),
    ("switchover-delay", U, {"cluster": ClusterFacts(None, True, 1.0)}),
    ("roles-and-secrets", B, {"cluster": ClusterFacts(3.0, False, 1.0)}),
    ("roles-and-secrets", U, {"cluster": ClusterFacts(3.0, None, 1.0)}),
    ("backups", B, {"cluster": ClusterFacts(3.0, True, 100_000.0)}), ("backups", U, {"cluster": ClusterFacts(3.0, True)}),
    ("zone-writable", B, {"writable": {"ns1": True, "ns2": False}}), ("zone-writable", U, {"writable": {"ns1": None}}),
    ("zone-writable", U, {"writable": {}}),
    ("epoch-marks", B, {"traffic": seen(NS1, replace(NS2, epoch=3))}), ("epoch-marks", U, {"traffic": None}),
    ("epoch-marks", B, {"traffic": seen(NS1, replace(NS2, epoch=None))}),
    ("epoch-marks", U, {"traffic": seen(NS1, replace(NS2, answers=False))}),
    ("record-ttl", B, {"traffic": seen(NS1, replace(NS2, ttl=300))}), ("record-ttl", U, {"traffic": None}),
    ("record-ttl", U, {"traffic": seen(replace(NS1, ttl=None))}),
    ("target-addresses", B, {"fronts": {"198.51.100.2": True, "198.51.100.3": False}}),
    ("target-addresses", W, {"fronts": None}),
    ("target-addresses", U, {"fronts": {}}), ("target-addresses", U, {"fronts": {"198.51.100.2": None}}),
    ("capacity", B, {"capacity": False}), ("capacity", U, {"capacity": None}),
    ("no-other-run", B, {"run": "r1"}), ("anti-flap", B, {"flaps": "twice in a day"}),
    ("not-suspended", B, {"suspended": True}), ("not-suspended", B, {"frozen": True}), ("not-suspended", U, {"frozen": None}),
    ("approval", W, {"approvals": 2}),
    ("desired-state", B, {"reverted_by": "flux"}), ("desired-state", U, {"reverted_by": None}),
    ("clock", B, {"offset": -61.0}), ("clock", U, {"offset": None}),
    ("drill-age", W, {"drill_age": None}), ("drill-age", W, {"drill_age": 31 * 86_400.0}),
    ("never-zero", B, {"databases": standby(role=Role.STOPPED)}), ("never-zero", B, {"fronts": {"198.51.100.2": False}}),
    ("never-two", B, {"databases": standby(writable=True)}),
    ("never-two", B, {"databases": {**GOOD.databases, NORTH: replace(PRIMARY, region=NORTH)}}),
    ("blackout", B, {"blackout": "month's end"}),
    ("needs-first", B, {"needs": {"demo/db": EAST}}), ("needs-first", U, {"needs": {"demo/db": None}}),
    ("own-rules", B, {"rules": {"quiet": False}}), ("own-rules", U, {"rules": {"quiet": None}}),
]  # fmt: skip


def verdicts(facts: Facts, *, planned: bool = True) -> dict[str, Verdict]:
    return {check.name: check.found.verdict for check in judged(facts, planned=planned)}


def test_where_all_is_well_every_row_passes() -> None:
    assert verdicts(GOOD) == {row.name: P for row in ROWS}
    assert passes(GOOD, planned=True)
    assert passes(GOOD, planned=False)


@pytest.mark.parametrize(("name", "verdict", "change"), CASES)
def test_each_row_says_what_it_found(name: str, verdict: Verdict, change: dict[str, Any]) -> None:
    facts = replace(GOOD, **change)
    check = next(check for check in judged(facts, planned=True) if check.name == name)
    assert check.found.verdict is verdict
    assert check.found.message
    critical = {row.name: row.critical for row in ROWS}[name]
    stops = verdict in (B, U)
    assert (check in blockers(judged(facts, planned=True), planned=True)) is stops
    lean = [one.name for one in blockers(judged(facts, planned=False), planned=False)]
    assert critical or name not in lean


def test_every_row_can_stop_a_run_or_be_worth_a_word() -> None:
    assert {name for name, verdict, _ in CASES if verdict is not P} == {row.name for row in ROWS}


def test_of_a_dead_region_nothing_but_its_copies_is_asked_in_a_failover() -> None:
    dead = replace(
        GOOD, lag=None, same_history=None, reverses=None, cluster=ClusterFacts(), capacity=None, offset=None,
        reverted_by=None, versions=("0.1", None), writable={}, traffic=None, fronts={},
        databases={EAST: replace(PRIMARY, writable=None, ready=None, role=None), WEST: STANDBY},
    )  # fmt: skip
    assert passes(dead, planned=False)
    assert not passes(dead, planned=True)


def test_the_lag_of_a_failover_may_be_what_may_be_lost() -> None:
    behind = replace(GOOD, lag=3.0)
    assert verdicts(behind, planned=False)["lag"] is P
    assert verdicts(behind)["lag"] is B


def test_a_slot_without_database_names_and_orchestrator_is_not_asked_for_them() -> None:
    bare = Facts(EAST, WEST, EAST, 4, {"a": True}, versions=("0.1", "0.1"), frozen=False, drill_age=1.0)
    assert "target-ready" not in verdicts(bare)
    assert "epoch-marks" not in verdicts(bare)
    assert passes(bare, planned=True)


def fingerprint(facts: Facts, **changes: Any) -> str:
    wish = {"purpose": Purpose.SWITCHOVER, "times": TIMES, "names": NAMES, **changes}
    return plan(wish.pop("purpose"), facts, wish.pop("times"), **wish).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        *(change for name, verdict, change in CASES if verdict is not P and name != "drill-age"),
        {"epoch": 5}, {"source": WEST, "target": EAST}, {"cells": {"a": True, "b": True}}, {"versions": ("0.2", "0.2")},
        {"databases": {EAST: replace(PRIMARY, timeline=4), WEST: replace(STANDBY, timeline=4)}},
        {"databases": {EAST: replace(PRIMARY, system_id="9"), WEST: replace(STANDBY, system_id="9")}},
        {"fronts": {"198.51.100.3": True}}, {"needs": {"demo/other": WEST}}, {"accepts_loss": True},
        {"keeps_all": frozenset({WEST, EAST})}, {"traffic": seen(NS1)},
        {"traffic": seen(replace(NS1, addresses=("192.0.2.2",)), NS2)}, {"traffic": seen(replace(NS1, ttl=9), NS2)},
    ],
)  # fmt: skip
def test_a_fact_that_changes_what_a_run_would_do_changes_the_fingerprint(change: dict[str, Any]) -> None:
    assert fingerprint(replace(GOOD, **change)) != fingerprint(GOOD)


@pytest.mark.parametrize(
    "change",
    [
        {"purpose": Purpose.FAILBACK}, {"purpose": Purpose.FAILOVER}, {"generation": 2}, {"approvals": 1}, {"names": None},
        {"names": replace(NAMES, ttl=9)}, {"names": replace(NAMES, addresses={"shop.demo.test": ("198.51.100.3",)})},
        {"times": replace(TIMES, drain=3.0)}, {"times": replace(TIMES, profile=FAST)},
    ],
)  # fmt: skip
def test_another_wish_has_another_fingerprint(change: dict[str, Any]) -> None:
    assert fingerprint(GOOD, **change) != fingerprint(GOOD)


MOVING = {
    "lag": st.floats(0, 1), "loss": st.floats(0, 4), "loss_bytes": st.integers(0, 10**9), "offset": st.floats(-59, 59),
    "drill_age": st.none() | st.floats(0, 86_400 * 60),
}  # fmt: skip
"""Figures that move from look to look without changing what may be done."""


@given(st.fixed_dictionaries(MOVING), st.floats(0, 9))
@settings(max_examples=30)
def test_what_only_moves_with_time_does_not_change_the_fingerprint(moving: dict[str, Any], age: float) -> None:
    databases = {region: replace(view, age=age, replayed=f"0/{age}") for region, view in GOOD.databases.items() if view}
    traffic = seen(*(replace(one, age=age) for one in (NS1, NS2)))
    assert fingerprint(replace(GOOD, databases=databases, traffic=traffic, **moving)) == fingerprint(GOOD)
    assert set(moving) <= {field.name for field in fields(Facts)}


def test_a_fingerprint_is_16_hex_digits_and_the_plan_the_same_whenever_it_is_made() -> None:
    assert plan(Purpose.SWITCHOVER, GOOD, TIMES, names=NAMES) == plan(Purpose.SWITCHOVER, GOOD, TIMES, names=NAMES)
    assert len(fingerprint(GOOD)) == 16
    int(fingerprint(GOOD), 16)
    turned = replace(GOOD, cells=dict(reversed(GOOD.cells.items())), databases=dict(reversed(GOOD.databases.items())))
    assert fingerprint(turned) == fingerprint(GOOD)


def test_a_planned_run_has_14_steps_seven_of_them_by_the_source_and_its_disruption_without_the_drain() -> None:
    report = plan(Purpose.SWITCHOVER, GOOD, replace(TIMES, drain=200.0), names=NAMES, approvals=1)
    assert [step.number for step in report.steps] == list(range(1, 15))
    assert [step.region for step in report.steps] == [EAST] * 7 + [WEST] * 7
    assert all(step.ready for step in report.steps)
    assert not report.blockers
    assert (report.loss, report.epoch, report.approvals) == (0.0, 4, 1)
    assert 0 < report.disruption < 60


def test_a_failover_has_11_steps_by_the_target_and_counts_from_the_death_of_the_holder() -> None:
    report = plan(Purpose.FAILOVER, replace(GOOD, keeps_all=None), TIMES, names=NAMES)
    assert [step.region for step in report.steps] == [WEST] * 11
    assert report.disruption > DEFAULT.ttl
    assert (report.loss, report.loss_bytes) == (2.0, 4096)
    assert plan(Purpose.FAILOVER, GOOD, TIMES).loss == 0.0


def test_a_step_could_not_begin_where_a_check_that_it_leans_on_blocks() -> None:
    report = plan(Purpose.SWITCHOVER, replace(GOOD, databases=standby(ready=None)), TIMES, names=NAMES)
    assert [step.phase for step in report.steps if not step.ready] == ["Promote"]
    assert report.blockers == ("target-ready: nobody says whether the database in sb-west-rtz-dev is ready",)
    assert report.warnings == ()
    warned = plan(Purpose.SWITCHOVER, replace(GOOD, drill_age=None), TIMES, names=NAMES)
    assert warned.warnings == ("drill-age: there was no drill yet; rehearse",)


@pytest.mark.parametrize("purpose", Purpose)
def test_every_step_leans_on_checks_that_there_are(purpose: Purpose) -> None:
    known = {row.name for row in ROWS}
    steps = steps_of(purpose, TIMES)
    assert {need for step in steps for need in step.needs} <= known
    assert all(step.note and step.duration >= 0 for step in steps)
    assert plan(Purpose.DRILL_ISOLATED, GOOD, TIMES).disruption == 0
