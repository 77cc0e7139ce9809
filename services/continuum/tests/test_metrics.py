"""What is measured of names and moves: what was not observed is not counted."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from catalyst_continuum.domain import facts
from catalyst_continuum.domain.measure import Measured
from catalyst_continuum.metrics import ContinuumMetrics
from catalyst_sdk.continuum import AuthorityView, TrafficView
from prometheus_client import CollectorRegistry


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
    metrics.moved("demo/shop", "failover", Measured(), {})
    assert registry.get_sample_value("catalyst_continuum_rto_seconds_count", {"kind": "failover"}) is None
    assert registry.get_sample_value("catalyst_continuum_rpo_rows", {"slot": "demo/shop"}) is None
    metrics.moved("demo/shop", "failover", Measured(12.0, 3.0, 0, 0.0), {"detect": 9.0})
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
