"""What is said of a slot: every reason is reached, and what is unknown is never taken for good."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from catalyst_continuum.domain import status
from catalyst_continuum.domain.parsing import lone, parse
from catalyst_continuum.domain.spec import Spec
from catalyst_continuum.domain.spec_rules import House
from catalyst_continuum.domain.status import Condition, Facts, Shown, Truth
from catalyst_continuum.domain.timing import FAST
from hypothesis import given
from hypothesis import strategies as st

from services.continuum.tests.manifests import EAST, WEST, having, stateful

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SPEC = parse(stateful(), House("demo"))
GOOD = Facts(
    EAST,
    "held",
    EAST,
    3,
    40,
    silent=False,
    cells=3,
    cells_up=3,
    cells_needed=2,
    authority=6.0,
    span=6.8,
    standbys={WEST: True},
    lags={WEST: 0.2},
    gaps={WEST: 0},
    sync=(WEST,),
    traffic={"ns1": 3, "ns2": 3},
    writable={EAST: True, WEST: False},
    fenced=False,
    barred="",
    last_failed=False,
    drill_age=60.0,
    clock_offset=0.1,
    clock_drift=40.0,
)  # fmt: skip - in the order of the fields
DAY = 86_400.0


def spec(**changes: Any) -> Spec:
    return parse(having(stateful(), **changes), House("demo"))


def said(facts: Facts, of: Spec = SPEC) -> dict[str, tuple[Truth, str]]:
    return {one.type: (one.status, one.reason) for one in status.conditions(facts, of)}


def test_where_all_is_known_and_good_the_slot_is_ready_and_healthy() -> None:
    found = status.conditions(GOOD, SPEC)
    assert found[0] == Condition("Ready", Truth.TRUE, "AllHold")
    assert status.phase(GOOD, SPEC, found) is Shown.HEALTHY


def test_of_what_nobody_knows_nothing_is_good_and_nothing_is_zero() -> None:
    found = status.conditions(Facts(EAST), SPEC)
    good = {one.type for one in found if one.status is Truth.TRUE}
    assert good == {"RTOFeasible", "LastSwitchoverHealthy", "RejoinRepair"}, (
        "of what was never begun nothing is unknown"
    )
    assert (found[0].type, found[0].status) == ("Ready", Truth.UNKNOWN)
    assert status.worst_lag(Facts(EAST), SPEC) is None
    row = status.row("demo/shop", Facts(EAST), SPEC, found, status.phase(Facts(EAST), SPEC, found), 5)
    assert (row["Lag"], row["Primary"], row["Epoch"], row["Phase"]) == ("unknown", "unknown", "unknown", "pending")


T, F, U = Truth.TRUE, Truth.FALSE, Truth.UNKNOWN
FAULTS = ("UnsafeWitness", "IdentityClash", "AmnesiacCell", "Misconfigured")
BARS = ("AntiFlap", "DataLossRisk", "NotPromotable", "NoApproval")
REASONS: list[tuple[dict[str, Any], dict[str, Any], str, Truth, str]] = [
    ({}, {}, "WitnessReady", T, "QuorumReachable"),
    ({"cells_up": 2}, {}, "WitnessReady", T, "MinorityDown"),
    ({"cells_up": 1}, {}, "WitnessReady", F, "QuorumLost"),
    ({"cells": None}, {}, "WitnessReady", U, "NotAsked"),
    *(
        ({"witness_fault": word}, {}, "WitnessReady", F, word)
        for word in ("UnsafeWitness", "IdentityClash", "AmnesiacCell", "Misconfigured")
    ),
    ({}, {}, "LeaseHeld", T, "HeldBySelf"),
    ({"holder": WEST}, {}, "LeaseHeld", T, "HeldByOther"),
    ({"record": "free"}, {}, "LeaseHeld", F, "Free"),
    ({"record": "handoff"}, {}, "LeaseHeld", F, "Handoff"),
    ({"silent": True}, {}, "LeaseHeld", F, "Expired"),
    ({"record": None}, {}, "LeaseHeld", U, "Unknown"),
    ({}, {}, "StandbyAvailable", T, "StandbyReachable"),
    ({"standbys": {WEST: False}, "absent_for": {WEST: 31.0}}, {}, "StandbyAvailable", F, "StandbyUnreachable"),
    ({"standbys": {WEST: False}, "absent_for": {WEST: 29.0}}, {}, "StandbyAvailable", U, "Unknown"),
    ({"gone": (WEST,)}, {}, "StandbyAvailable", F, "StandbyGone"),
    ({}, {}, "ReplicationWithinRPO", T, "Ok"),
    ({"lags": {WEST: 5.1}}, {}, "ReplicationWithinRPO", F, "LagExceeded"),
    ({"lags": {WEST: None}}, {}, "ReplicationWithinRPO", U, "Unknown"),
    ({}, {}, "DataLossGuard", T, "SyncStandbyCurrent"),
    ({"sync": ()}, {}, "DataLossGuard", F, "AsyncWindow"),
    ({"sync": ()}, {"database__syncMode": "async"}, "DataLossGuard", T, "AsyncWindow"),
    ({"sync": (), "lags": {WEST: 9.0}}, {"database__syncMode": "async"}, "DataLossGuard", F, "AsyncWindow"),
    ({"sync": None}, {}, "DataLossGuard", U, "Unknown"),
    ({}, {}, "TrafficConverged", T, "AllAuthoritative"),
    ({"traffic": {"ns1": 3, "ns2": 2}}, {}, "TrafficConverged", F, "StaleServers"),
    ({"traffic": {"ns1": 3, "ns2": -1}}, {}, "TrafficConverged", U, "Unverified"),
    ({"traffic": None}, {}, "TrafficConverged", U, "Unverified"),
    ({"traffic": None}, {"luaRecord": ...}, "TrafficConverged", T, "AllAuthoritative"),
    ({}, {}, "SinglePrimary", T, "Ok"),
    ({"writable": {EAST: True, WEST: True}}, {}, "SinglePrimary", F, "SplitBrainSuspected"),
    ({"unconfirmed": True}, {}, "SinglePrimary", F, "SplitBrainSuspected"),
    ({"writable": {EAST: True}}, {}, "SinglePrimary", U, "Unknown"),
    ({}, {}, "Fenced", F, "NotFenced"),
    ({"fenced": True}, {}, "Fenced", T, "Fenced"),
    ({"fenced": None}, {}, "Fenced", U, "Unknown"),
    ({}, {}, "FailoverAllowed", T, "Ok"),
    *(
        ({"barred": word}, {}, "FailoverAllowed", F, word)
        for word in ("AntiFlap", "DataLossRisk", "NotPromotable", "NoApproval")
    ),
    ({"barred": None}, {}, "FailoverAllowed", U, "Unknown"),
    ({"record": "frozen"}, {}, "FailoverAllowed", F, "Suspended"),
    ({}, {"suspend": True}, "FailoverAllowed", F, "Suspended"),
    ({}, {"autoFailover": False}, "FailoverAllowed", F, "ManualMode"),
    ({}, {}, "RTOFeasible", T, "Feasible"),
    ({}, {"rto": "30s"}, "RTOFeasible", F, "Infeasible"),
    ({}, {}, "LastSwitchoverHealthy", T, "Succeeded"),
    ({"last_failed": None}, {}, "LastSwitchoverHealthy", T, "NoneYet"),
    ({"last_failed": True}, {}, "LastSwitchoverHealthy", F, "Failed"),
    ({}, {}, "RejoinRepair", T, "NotNeeded"),
    ({"rejoin": 1}, {}, "RejoinRepair", F, "UnderWay"),
    ({"rejoin": 3, "rejoin_bounded": True}, {}, "RejoinRepair", F, "Bounded"),
    ({}, {}, "DrillCurrent", T, "Current"),
    ({"drill_age": 31 * DAY}, {}, "DrillCurrent", F, "Overdue"),
    ({"drill_age": None}, {}, "DrillCurrent", U, "NeverDrilled"),
    ({}, {}, "ClockOk", T, "Ok"),
    ({"clock_offset": -61.0}, {}, "ClockOk", F, "Offset"),
    ({"clock_offset": None}, {}, "ClockOk", U, "Unknown"),
    ({"clock_drift": 5001.0}, {}, "ClockOk", F, "Drift"),
    ({"clock_drift": None}, {}, "ClockOk", U, "Unknown"),
]  # fmt: skip - a table


@pytest.mark.parametrize(("facts", "wish", "type", "truth", "reason"), REASONS)
def test_every_reason_is_reached(
    facts: dict[str, Any], wish: dict[str, Any], type: str, truth: Truth, reason: str
) -> None:
    assert said(replace(GOOD, **facts), spec(**wish))[type] == (truth, reason)


def test_the_table_above_reaches_every_condition_that_there_is() -> None:
    assert {row[2] for row in REASONS} | {"Ready"} == set(said(GOOD))


@pytest.mark.parametrize(
    ("facts", "frozen", "shown"),
    [
        ({}, False, Shown.HEALTHY),
        ({"cells_up": 1}, False, Shown.DEGRADED),
        ({"clock_offset": None}, False, Shown.DEGRADED),
        ({}, True, Shown.SUSPENDED),
        ({"run_kind": "planned"}, False, Shown.SWITCHING_OVER),
        ({"run_kind": "planned", "run_waits": True}, False, Shown.AWAITING_APPROVAL),
        ({"last_failed": True}, False, Shown.FAILED),
        ({"epoch": 0}, False, Shown.PENDING),
        ({"holder": WEST}, False, Shown.FAILED_OVER),
        ({"fenced": True}, False, Shown.FENCED),
        ({"fenced": True, "holder": WEST}, False, Shown.FAILED_OVER),
    ],
)  # fmt: skip - a table
def test_a_slot_stands_in_the_first_phase_that_is_so(facts: dict[str, Any], frozen: bool, shown: Shown) -> None:
    seen = replace(GOOD, **facts)
    assert status.phase(seen, SPEC, status.conditions(seen, SPEC), frozen=frozen) is shown


def test_a_slot_in_manual_mode_is_ready_as_that_is_wished() -> None:
    assert said(GOOD, spec(autoFailover=False))["Ready"][0] is Truth.TRUE


def test_without_a_standby_nothing_is_said_of_standbys() -> None:
    assert set(said(GOOD, lone(EAST, FAST))) == {"Ready", "WitnessReady", "LeaseHeld", "Fenced"}


def test_the_moment_of_a_condition_moves_only_with_its_status() -> None:
    first = status.carried((), status.conditions(GOOD, SPEC), NOON)
    later = status.carried(first, status.conditions(replace(GOOD, cells_up=2), SPEC), NOON + timedelta(hours=1))
    then = status.carried(later, status.conditions(replace(GOOD, cells_up=1), SPEC), NOON + timedelta(hours=2))
    seen = [{one.type: one for one in found}["WitnessReady"] for found in (first, later, then)]
    assert [(one.reason, one.since.hour) for one in seen] == [
        ("QuorumReachable", 12),
        ("MinorityDown", 12),
        ("QuorumLost", 14),
    ]


def test_a_standby_that_cannot_be_seen_is_as_it_was_seen_last() -> None:
    before = status.carried((), status.conditions(replace(GOOD, gone=(WEST,)), SPEC), NOON)
    blind = status.conditions(replace(GOOD, standbys={}), SPEC)
    kept = {one.type: one for one in status.carried(before, blind, NOON + timedelta(hours=1))}["StandbyAvailable"]
    assert (kept.status, kept.reason, kept.since) == (Truth.FALSE, "StandbyGone", NOON)


@given(
    st.builds(
        Facts,
        st.just(EAST),
        st.sampled_from([None, "held", "free", "handoff", "frozen"]),
        st.sampled_from(["", EAST, WEST]),
        st.integers(0, 9),
        silent=st.none() | st.booleans(),
        cells=st.none() | st.integers(3, 7),
        lags=st.dictionaries(st.sampled_from([EAST, WEST]), st.none() | st.floats(0, 99)),
        sync=st.none() | st.just((WEST,)),
        traffic=st.none() | st.dictionaries(st.sampled_from(["a", "b"]), st.integers(-1, 9)),
    )
)  # fmt: skip - in the order of the fields
def test_whatever_is_known_is_kept_whole_and_said_without_a_crash(facts: Facts) -> None:
    found = status.carried((), status.conditions(facts, SPEC), NOON)
    status.row("demo/shop", facts, SPEC, found, status.phase(facts, SPEC, found), 1)
    again, conditions = status.read(status.write(facts, found))
    assert conditions == found
    assert status.conditions(again, SPEC) == status.conditions(facts, SPEC)
    if {one.type: one for one in found}["Ready"].status is Truth.TRUE:
        assert facts.sync is not None
        assert facts.traffic is not None
