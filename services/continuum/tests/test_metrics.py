"""What is measured of names and moves: what was not observed is not counted."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from catalyst_continuum.domain import facts, runs, telling
from catalyst_continuum.domain.measure import Measured
from catalyst_continuum.domain.parsing import parse
from catalyst_continuum.domain.spec_rules import House
from catalyst_continuum.domain.status import Facts
from catalyst_continuum.metrics import ContinuumMetrics
from catalyst_sdk.continuum import AuthorityView, TrafficView
from prometheus_client import CollectorRegistry

from . import manifests


def test_an_authority_shows_the_lowest_epoch_of_its_names_and_a_silent_one_keeps_what_was_known() -> None:
    registry = CollectorRegistry()
    metrics = ContinuumMetrics(registry)
    metrics.traffic("demo/shop", TrafficView((AuthorityView("ns1", "a", 4), AuthorityView("ns1", "b", 3))))
    metrics.traffic(
        "demo/shop", TrafficView((AuthorityView("ns1", "a", None, answers=False), AuthorityView("ns2", "a", None)))
    )
    epochs = {
        name: registry.get_sample_value("catalyst_continuum_traffic_epoch", {"slot": "demo/shop", "authority": name})
        for name in ("ns1", "ns2")
    }
    assert epochs == {"ns1": 3, "ns2": 0}


def test_what_agents_tell_is_what_the_alerts_look_at() -> None:
    registry = CollectorRegistry()
    metrics, where = ContinuumMetrics(registry), {"slot": "demo/shop", "region": "east"}
    record: Any = SimpleNamespace(continuum="namespaces/demo/continuums/shop", region="east")
    for fact in (
        facts.FailsafeEntered(promised_by=("west",)),
        facts.RegionFenced(region="east", level=1, took=2.5),
        facts.ContinuumErrored(condition="Fenced"),
        facts.ContinuumErrored(condition="LeaseHeld"),
        facts.EffectRejected(effector="promote", stale=1, stored=2),
    ):  # fmt: skip - a list
        metrics.told(replace(fact, record=record))
    assert registry.get_sample_value("catalyst_continuum_failsafe_active", where) == 1
    assert registry.get_sample_value("catalyst_continuum_deadline_miss_total", where) == 1
    assert registry.get_sample_value("catalyst_continuum_fence_seconds_sum", {"level": "1"}) == 2.5
    assert registry.get_sample_value("catalyst_continuum_stale_effect_rejected_total", {"effector": "promote"}) == 1
    metrics.told(replace(facts.FailsafeLeft(recovered=True), record=record))
    assert registry.get_sample_value("catalyst_continuum_failsafe_active", where) == 0


def test_a_move_of_which_nothing_was_seen_leaves_no_sample() -> None:
    registry = CollectorRegistry()
    metrics = ContinuumMetrics(registry)
    metrics.moved("demo/shop", "failover", Measured())
    assert registry.get_sample_value("catalyst_continuum_rto_seconds_count", {"kind": "failover"}) is None
    assert registry.get_sample_value("catalyst_continuum_rpo_rows", {"slot": "demo/shop"}) is None
    metrics.moved("demo/shop", "failover", Measured(12.0, 3.0, 0, 0.0))
    metrics.planned("demo/shop", 2)
    metrics.stale("names")
    assert registry.get_sample_value("catalyst_continuum_rto_seconds_sum", {"kind": "failover"}) == 12
    assert registry.get_sample_value("catalyst_continuum_rpo_rows", {"slot": "demo/shop"}) == 0
    assert registry.get_sample_value("catalyst_continuum_plan_blockers", {"slot": "demo/shop"}) == 2
    assert registry.get_sample_value("catalyst_continuum_stale_effect_rejected_total", {"effector": "names"}) == 1


def test_a_phase_of_a_run_is_measured_when_it_ends_and_only_where_it_is_known_how_long_it_took() -> None:
    registry = CollectorRegistry()
    metrics = ContinuumMetrics(registry)
    record: Any = SimpleNamespace(continuum="namespaces/demo/continuums/shop", region="east")
    ended = facts.RunProgressed(kind="SWITCHOVER", number=6, phase="FenceSource", record=record)
    for took in (1.5, None):
        metrics.told(replace(ended, took=took))
    labels = {"kind": "switchover", "step": "FenceSource"}
    assert registry.get_sample_value("catalyst_continuum_run_step_seconds_sum", labels) == 1.5
    assert registry.get_sample_value("catalyst_continuum_run_step_seconds_count", labels) == 1


def told(facts_: Facts) -> CollectorRegistry:
    registry = CollectorRegistry()
    spec: Any = parse(manifests.stateful(), House("demo"))
    ContinuumMetrics(registry).slot("demo/shop", facts_, spec, ())
    return registry


def test_names_of_the_earlier_system_say_the_same_and_nothing_that_is_not_known() -> None:
    east, west = manifests.EAST, manifests.WEST
    known = Facts(
        east, record="held", holder=east, cells_up=2, cells_needed=2, gaps={east: None, west: 4096}, sync=[west],
        waiting=3, missed=7,
    )  # fmt: skip
    here, there = {"slot": "demo/shop", "region": east}, {"slot": "demo/shop", "region": west}
    asked = (
        ("failover_lease_status", here, 1),
        ("failover_witness_reachable", here, 1),
        ("cnpg_sync_lag_bytes", there, 4096),
        ("cnpg_in_flight_commits", here, 3),
        ("catalyst_continuum_rpo_bytes", here, 7),
    )  # fmt: skip - a table
    registry = told(known)
    assert [registry.get_sample_value(name, where) for name, where, _ in asked] == [value for _, _, value in asked]
    registry = told(Facts(east, gaps={west: 4096}, holder=west, waiting=3))
    assert [registry.get_sample_value(name, where) for name, where, _ in asked] == [None] * len(asked)
    registry = told(replace(known, holder=west, cells_up=1))
    assert [registry.get_sample_value(name, where) for name, where, _ in asked] == [0, 0, 4096, None, 7]


def test_a_move_that_ended_counts_with_its_parts_and_its_time() -> None:
    registry = CollectorRegistry()
    record: Any = SimpleNamespace(continuum="namespaces/demo/continuums/shop", region="east")
    steps = runs.opened(runs.Run("abcdefghij", "demo/shop", runs.Kind.FAILOVER, "east", "west", 4, 5), 0.0)
    begun = runs.reached(runs.began(steps, 5, 100.0), 5, 102.5)
    ended = runs.over(begun, runs.RunState.SUCCEEDED, 110.0)
    (moved,) = (one for one in telling.of_run(begun, ended, runs.moment(110.0)) if isinstance(one, facts.Moved))
    ContinuumMetrics(registry).told(replace(moved, record=record))
    value = registry.get_sample_value
    assert (
        value("catalyst_continuum_failover_total", {"slot": "demo/shop", "kind": "failover", "result": "succeeded"})
        == 1
    )
    assert value("catalyst_continuum_rto_component_seconds_sum", {"component": "promote"}) == 2.5
    assert value("failover_last_failover_time", {"slot": "demo/shop"}) == 110


def test_renewals_are_counted_by_what_became_of_them() -> None:
    registry = CollectorRegistry()
    metrics, where = ContinuumMetrics(registry), {"slot": "demo/shop", "region": "east"}
    for result, seconds in (("committed", 0.5), ("unknown", 2.0)):
        metrics.renewed("demo/shop", "east", result, seconds)
    assert registry.get_sample_value("catalyst_continuum_lease_renew_total", {**where, "result": "committed"}) == 1
    assert registry.get_sample_value("catalyst_continuum_lease_renew_seconds_sum", where) == 2.5
